//! Publishes a JPEG as it is, without its metadata, where encoding it again would change nothing but its quality.

use image::metadata::Orientation;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use crate::jpeg::START_OF_SCAN;

/// Frames that every decoder reads alike: baseline, extended sequential, progressive.
const FRAMES: [u8; 3] = [0xC0, 0xC1, 0xC2];
const END_OF_IMAGE: u8 = 0xD9;
const QUANTIZATION: u8 = 0xDB;
const HUFFMAN: u8 = 0xC4;
const RESTART_INTERVAL: u8 = 0xDD;
const COMMENT: u8 = 0xFE;

/// The JPEG without metadata, comments, previews, and whatever follows its end. `None` unless it is upright, sRGB, and
/// without doubt about its colours: then it must be encoded anew.
pub(super) fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend([0xFF, 0xD8]);
    let (mut frame, mut is_jfif) = (None, false);
    loop {
        while let [0xFF, 0xFF, ..] = rest {
            rest = &rest[1..];
        }
        let [0xFF, marker, ..] = *rest else { return None };
        if marker == END_OF_IMAGE {
            out.extend([0xFF, END_OF_IMAGE]);
            return (frame.is_some() && is_jfif).then_some(out);
        }
        let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        let (segment, after) = rest.split_at_checked(2 + length)?;
        let content = segment.get(4..)?;
        rest = after;
        match marker {
            0xE0 if content.starts_with(b"JFIF\0") => {
                // Version, density; without a preview.
                is_jfif = content.get(12..14)? == [0, 0];
                out.extend(segment);
            }
            0xE1 if content.starts_with(b"Exif\0\0") => {
                let orientation = Orientation::from_exif_chunk(&content[6..]);
                if orientation.is_some_and(|orientation| orientation != Orientation::NoTransforms) {
                    return None;
                }
            }
            0xE2 if content.starts_with(b"ICC_PROFILE\0") => {
                let whole = content.get(12..14)? == [1, 1];
                if !whole || !is_srgb(&content[14..]) {
                    return None;
                }
            }
            // Adobe's, which changes what the components mean.
            0xEE => return None,
            0xE0..=0xEF | COMMENT => {}
            marker if FRAMES.contains(&marker) => {
                // Precision, height, width, components: grey, or the YCbCr of JFIF.
                let components = *content.get(5)?;
                if frame.is_some() || content.first() != Some(&8) || !matches!(components, 1 | 3) {
                    return None;
                }
                frame = Some((marker, components));
                out.extend(segment);
            }
            START_OF_SCAN => {
                let (kind, components) = frame?;
                // Not all decoders read a scan for each colour, unless it is progressive.
                if kind != 0xC2 && content.first() != Some(&components) {
                    return None;
                }
                out.extend(segment);
                let end = data_ends(rest)?;
                out.extend(&rest[..end]);
                rest = &rest[end..];
            }
            QUANTIZATION | HUFFMAN | RESTART_INTERVAL => out.extend(segment),
            // Arithmetic coding, hierarchies, and what nobody knows.
            _ => return None,
        }
    }
}

/// Where the data of a scan end: at the next marker that is no part of them.
fn data_ends(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += data.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        match data.get(at + 1)? {
            // A byte of data, a restart, a fill byte.
            0 | 0xD0..=0xD7 => at += 2,
            0xFF => at += 1,
            _ => return Some(at),
        }
    }
}

/// Whether a profile shows colours as sRGB does.
fn is_srgb(profile: &[u8]) -> bool {
    const COLORS: [u8; 24] = [
        0, 0, 0, 255, 255, 255, 128, 128, 128, 200, 60, 40, 40, 200, 60, 60, 40, 200, 230, 190, 160, 30, 50,
        70,
    ];
    let Ok(profile) = ColorProfile::new_from_slice(profile) else {
        // Nobody can follow it: decoders ignore it.
        return true;
    };
    if profile.color_space != DataColorSpace::Rgb {
        return false;
    }
    let srgb = ColorProfile::new_srgb();
    let transform =
        profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, TransformOptions::default());
    let mut shown = [0; COLORS.len()];
    transform.is_ok_and(|transform| transform.transform(&COLORS, &mut shown).is_ok())
        && COLORS
            .iter()
            .zip(shown)
            .all(|(one, other)| one.abs_diff(other) <= 2)
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView as _, RgbImage};
    use proptest::prelude::*;

    use super::*;

    /// A JPEG as encoders write it, with these segments after its first.
    fn file(progressive: bool, segments: &[(u8, &[u8])]) -> Vec<u8> {
        let picture = RgbImage::from_fn(64, 48, |x, y| {
            image::Rgb([(x * 4) as u8, (y * 5) as u8, (x * y) as u8])
        });
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        encoder.set_progressive(progressive);
        encoder
            .encode(picture.as_raw(), 64, 48, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        // After SOI and JFIF.
        let mut at = 4 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        for (marker, content) in segments {
            let length = (content.len() as u16 + 2).to_be_bytes();
            let segment = [&[0xFF, *marker][..], &length, content].concat();
            let end = at + segment.len();
            bytes.splice(at..at, segment);
            at = end;
        }
        bytes
    }

    fn pixels(bytes: &[u8]) -> Vec<u8> {
        let picture = image::load_from_memory(bytes).unwrap();
        assert_eq!(picture.dimensions(), (64, 48));
        picture.into_rgb8().into_raw()
    }

    #[test]
    fn metadata_go_and_the_picture_stays() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        let icc = [b"ICC_PROFILE\0\x01\x01".as_slice(), &srgb].concat();
        let secret = b"Exif\0\0MM\0*\0\0\0\x08\0\0 GPS 52.1 N".as_slice();
        for progressive in [false, true] {
            let mut bytes = file(
                progressive,
                &[(0xE1, secret), (0xE2, &icc), (0xFE, b"who made it")],
            );
            bytes.extend(b"a second picture, or anything");
            let bare = jpeg(&bytes).expect("it is taken as it is");
            assert!(bare.len() < bytes.len());
            let holds = |text: &[u8]| bare.windows(text.len()).any(|part| part == text);
            assert!(!holds(b"GPS") && !holds(b"who made it") && !holds(b"ICC") && !holds(b"anything"));
            assert_eq!(pixels(&bare), pixels(&bytes));
        }
    }

    #[test]
    fn what_is_not_upright_srgb_or_clear_is_encoded_anew() {
        let turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".as_slice();
        let wide = ColorProfile::new_display_p3().encode().unwrap();
        let wide = [b"ICC_PROFILE\0\x01\x01".as_slice(), &wide].concat();
        let adobe = b"Adobe\0\x64\0\0\0\0\x01".as_slice();
        for (marker, content) in [(0xE1, turned), (0xE2, &wide), (0xEE, adobe)] {
            assert_eq!(jpeg(&file(false, &[(marker, content)])), None, "{marker:x}");
        }
        let whole = file(false, &[]);
        assert!(jpeg(&whole).is_some());
        assert_eq!(jpeg(&whole[..whole.len() - 2]), None, "its end is missing");
        assert_eq!(jpeg(b"\xFF\xD8\xFF\xD9"), None);
        assert_eq!(jpeg(b"not a JPEG"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_broken_nothing_panics_and_what_is_taken_is_a_jpeg(
            at in 0..2000usize, value: u8, cut in 0..2000usize, progressive: bool,
        ) {
            let mut bytes = file(progressive, &[(0xFE, b"x")]);
            let length = bytes.len();
            bytes[at % length] = value;
            bytes.truncate(length - cut % length);
            if let Some(bare) = jpeg(&bytes) {
                prop_assert!(bare.starts_with(&[0xFF, 0xD8]) && bare.ends_with(&[0xFF, 0xD9]));
                prop_assert!(jpeg(&bare).as_deref() == Some(&bare), "taken again, it is the same");
            }
        }
    }
}
