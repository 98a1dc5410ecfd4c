//! JPEGs as programs write them.

use castline::inspect::Verdict;
use image::{DynamicImage, ImageFormat};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::{dimensions, drawing, encoded, inspect, sample};

/// One grey, in that many channels.
pub(super) fn jpeg(colour: ColorType, channels: usize, progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_progressive(progressive);
    encoder
        .encode(&vec![90; 320 * 360 * channels], 320, 360, colour)
        .unwrap();
    bytes
}

/// The sample, encoded as `set` says.
pub(super) fn sample_as(set: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let (face, mut bytes) = (sample().to_rgb8(), Vec::new());
    let mut encoder = Encoder::new(&mut bytes, 90);
    set(&mut encoder);
    let (width, height) = (face.width() as u16, face.height() as u16);
    encoder.encode(&face, width, height, ColorType::Rgb).unwrap();
    bytes
}

#[test]
fn a_picture_is_seen_as_it_is_displayed() {
    let jpeg = encoded(&drawing(), ImageFormat::Jpeg);
    // An Exif segment with one entry: orientation 6, a quarter turn.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let exif = [b"Exif\0\0".as_slice(), tiff].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat();
    let seen = inspect(&turned);
    assert_eq!((seen.width, seen.height), (360, 320));
}

/// A scan for each colour, as encoders write it that compute the best tables.
#[test]
fn a_jpeg_with_a_scan_for_each_colour_is_read_as_any_other() {
    let plain = inspect(&encoded(
        &DynamicImage::ImageRgb8(sample().to_rgb8()),
        ImageFormat::Png,
    ));
    for (sampling, progressive) in [
        (SamplingFactor::F_2_2, false),
        (SamplingFactor::F_1_1, false),
        (SamplingFactor::F_2_2, true),
    ] {
        let bytes = sample_as(|encoder| {
            encoder.set_optimized_huffman_tables(true);
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive(progressive);
        });
        let scans = bytes.windows(2).filter(|marker| *marker == [0xff, 0xda]).count();
        assert!(scans >= 3, "{sampling:?}: {scans} scans");
        let seen = inspect(&bytes);
        assert_eq!(
            seen.verdict,
            Verdict::Suitable,
            "{sampling:?}: {:?}",
            seen.reasons
        );
        assert!(seen.signature.unwrap().is_near(&plain.signature.unwrap()));
    }
}

#[test]
fn cmyk_is_told_apart_from_rgb() {
    let grey = jpeg(ColorType::Cmyk, 4, false);
    assert_eq!(dimensions(&grey), (320, 360));
    for percent in 0..100 {
        assert!(!inspect(&grey[..grey.len() * percent / 100]).reasons.is_empty());
    }
}
