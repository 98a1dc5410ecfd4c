//! Prepares an image for publishing: size, background, format, no metadata.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use super::decode::Pixels;
use super::resize::{Quality, resized, resized_opaque};
use super::{MAX_BYTES, MIN_SIDE, OutputFormat, Prepared};

/// Scales an image: never enlarged, the longer side at most `long_side`, the shorter one not below the API's minimum if
/// the image allows it.
pub(super) fn fit(pixels: &Pixels, long_side: u32) -> RgbImage {
    let (width, height) = pixels.dimensions();
    let (longer, shorter) = (f64::from(width.max(height)), f64::from(width.min(height)));
    let scale = (f64::from(long_side) / longer)
        .max(f64::from(MIN_SIDE) / shorter)
        .min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let (to_width, to_height) = (side(width), side(height));
    match pixels {
        Pixels::Rgb(picture) => resized(picture, to_width, to_height, Quality::Fine),
        Pixels::Rgba(picture) => resized_opaque(picture, to_width, to_height),
    }
}

/// Encodes a scaled image within the API's size limit; an image that is too large is scaled down. `None` if that
/// would make a side shorter than the API's minimum, or if encoding fails.
pub(super) fn encode(picture: &RgbImage, format: OutputFormat, quality: u8) -> Option<Prepared> {
    let mut smaller;
    let mut picture = picture;
    let mut quality = quality;
    loop {
        let bytes = encoded(picture, format, quality)?;
        let (width, height) = picture.dimensions();
        if bytes.len() <= MAX_BYTES {
            return Some(Prepared {
                bytes,
                format,
                width,
                height,
            });
        }
        if format == OutputFormat::Jpeg && quality > 80 {
            quality = 80;
            continue;
        }
        let (width, height) = (width * 3 / 4, height * 3 / 4);
        if width.min(height) < MIN_SIDE {
            return None;
        }
        smaller = resized(picture, width, height, Quality::Fine);
        picture = &smaller;
    }
}

/// Encodes an image as JPEG, with a quality of 1–100; `None` for sides over 65,535.
pub(super) fn jpeg(picture: &RgbImage, quality: u8) -> Option<Vec<u8>> {
    let (width, height) = picture.dimensions();
    let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder
        .encode(picture.as_raw(), width, height, jpeg_encoder::ColorType::Rgb)
        .ok()?;
    Some(bytes)
}

fn encoded(picture: &RgbImage, format: OutputFormat, quality: u8) -> Option<Vec<u8>> {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    match format {
        OutputFormat::Jpeg => return jpeg(picture, quality),
        OutputFormat::Png => {
            let encoder =
                PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
            encoder
                .write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
                .ok()?;
        }
        OutputFormat::WebP => {
            let encoder = WebPEncoder::new_lossless(&mut bytes);
            encoder
                .write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
                .ok()?;
        }
    }
    Some(bytes)
}
