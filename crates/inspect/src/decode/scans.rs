//! JPEGs that have a scan for each colour: rare, but some encoders write them to save memory. zune-jpeg 0.5 decodes those
//! with reduced colour wrongly, so that no face is found; jpeg-decoder, which `image` used before, decodes them right.

use image::DynamicImage;
use image::metadata::Orientation;
use jpeg_decoder::{Decoder, PixelFormat};

use super::{Caps, DecodeError, Pixels, upright_srgb};

/// Whether a JPEG that is not progressive has several colours, but not all of them in its first scan.
pub(super) fn has_one_for_each_colour(bytes: &[u8]) -> bool {
    let mut colours = None;
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        let [0xff, marker, high, low, ..] = *rest else {
            return false;
        };
        if marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        match marker {
            // Baseline and extended sequential: length, precision, height, width, colours.
            0xc0 | 0xc1 => colours = rest.get(9).copied(),
            0xda => return colours.is_some_and(|colours| rest.get(4).is_some_and(|here| *here < colours)),
            _ => {}
        }
        let Some(after) = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..) else {
            return false;
        };
        rest = after;
    }
}

/// Decodes such a JPEG.
///
/// # Errors
/// It is larger than `caps` allow, or damaged.
pub(super) fn decode(bytes: &[u8], caps: Caps) -> Result<Pixels, DecodeError> {
    let broken = |error: jpeg_decoder::Error| {
        DecodeError::Broken(
            error
                .to_string()
                .chars()
                .filter(|c| !c.is_control())
                .take(160)
                .collect(),
        )
    };
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(usize::try_from(caps.bytes).unwrap_or(usize::MAX));
    decoder.read_info().map_err(broken)?;
    let info = decoder
        .info()
        .ok_or_else(|| DecodeError::Broken("it has no size".to_owned()))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    caps.check(
        (width, height),
        u64::from(width) * u64::from(height) * info.pixel_format.pixel_bytes() as u64,
    )?;
    let data = decoder.decode().map_err(broken)?;
    let picture = match info.pixel_format {
        PixelFormat::RGB24 => image::RgbImage::from_raw(width, height, data).map(DynamicImage::ImageRgb8),
        PixelFormat::L8 => image::GrayImage::from_raw(width, height, data).map(DynamicImage::ImageLuma8),
        _ => return Err(DecodeError::Broken("four colours in a scan each".to_owned())),
    };
    let picture = picture.ok_or(DecodeError::Truncated)?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    let profile = decoder.icc_profile();
    Ok(upright_srgb(picture, orientation, profile))
}
