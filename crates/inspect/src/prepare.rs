//! Prepares an image for publishing: size, background, format, no metadata.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

use super::decode::Pixels;
use super::resize::{Quality, resized, resized_with_alpha};
use super::{MAX_BYTES, MIN_SIDE, OutputFormat, Prepared};

/// Scales an image and flattens it on its background: never enlarged, the longer side at most `long_side`, the
/// shorter one not below the API's minimum if the image allows it.
pub(super) fn fit(pixels: &Pixels, long_side: u32, ground: [u8; 3]) -> RgbImage {
    let (width, height) = pixels.dimensions();
    let (longer, shorter) = (f64::from(width.max(height)), f64::from(width.min(height)));
    let scale = (f64::from(long_side) / longer)
        .max(f64::from(MIN_SIDE) / shorter)
        .min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let (to_width, to_height) = (side(width), side(height));
    match pixels {
        Pixels::Opaque(picture) => resized(picture, to_width, to_height, Quality::Fine),
        Pixels::Transparent(picture) if scale < 1.0 => flatten(
            resized_with_alpha(picture, to_width, to_height).as_raw(),
            (to_width, to_height),
            ground,
        ),
        Pixels::Transparent(picture) => flatten(picture.as_raw(), (to_width, to_height), ground),
    }
}

fn flatten(rgba: &[u8], (width, height): (u32, u32), ground: [u8; 3]) -> RgbImage {
    let mut out = RgbImage::from_pixel(width, height, Rgb(ground));
    for (to, [r, g, b, alpha]) in out.as_chunks_mut::<3>().0.iter_mut().zip(rgba.as_chunks::<4>().0) {
        let alpha = u32::from(*alpha);
        for (to, from) in to.iter_mut().zip([r, g, b]) {
            // Exact rounding of (from·α + ground·(255 − α)) / 255.
            let sum = u32::from(*from) * alpha + u32::from(*to) * (255 - alpha) + 128;
            *to = ((sum + (sum >> 8)) >> 8) as u8;
        }
    }
    out
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
