//! JPEGs that have a scan for each colour: rare, but some encoders write them to save memory. zune-jpeg 0.5 decodes those
//! with reduced colour wrongly, so that no face is found; jpeg-decoder, which `image` used before, decodes them right.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};

use super::{Caps, DecodeError, Pixels, parsed, upright_srgb};
use crate::jpeg::{SEQUENTIAL_FRAMES, START_OF_SCAN, Segment, segments};

/// Whether a JPEG that is not progressive has three colours, but not all of them in its first scan.
pub(super) fn has_one_for_each_colour(bytes: &[u8]) -> bool {
    let mut colours = None;
    for Segment { marker, content, .. } in segments(bytes) {
        match marker {
            // Precision, height, width, colours.
            marker if SEQUENTIAL_FRAMES.contains(&marker) => colours = content.get(5),
            START_OF_SCAN => return colours == Some(&3) && content.first().is_some_and(|here| *here < 3),
            _ => {}
        }
    }
    false
}

/// Decodes such a JPEG.
///
/// # Errors
/// It is larger than `caps` allow, or damaged.
pub(super) fn decode(bytes: &[u8], caps: Caps) -> Result<Pixels, DecodeError> {
    let broken = |error: jpeg_decoder::Error| DecodeError::broken(&error.to_string());
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(usize::try_from(caps.bytes).unwrap_or(usize::MAX));
    decoder.read_info().map_err(broken)?;
    let info = decoder
        .info()
        .ok_or_else(|| DecodeError::broken("it has no size"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    caps.check(
        (width, height),
        u64::from(width) * u64::from(height) * info.pixel_format.pixel_bytes() as u64,
    )?;
    let data = decoder.decode().map_err(broken)?;
    let picture = match info.pixel_format {
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, data).ok_or(DecodeError::Truncated)?,
        _ => return Err(DecodeError::broken("it has not three colours")),
    };
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    let profile = decoder.icc_profile().and_then(|own| parsed(&own));
    Ok(upright_srgb(
        DynamicImage::ImageRgb8(picture),
        orientation,
        profile,
    ))
}
