//! Thumbnails for reports and review pages.

use image::RgbImage;

use super::prepare::jpeg;
use super::resize::{Quality, resized};

/// A small JPEG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The file.
    pub jpeg: Vec<u8>,
}

/// The size of thumbnails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThumbnailSize {
    /// At most 160 px and 6,000 bytes: a report on 5,000 characters stays under 40 MB in base64.
    #[default]
    Card,
    /// At most 480 px and 36,000 bytes, to be looked at alone: for some hundreds of characters.
    Large,
}

impl ThumbnailSize {
    /// The size for a report on so many characters.
    pub fn for_characters(count: usize) -> Self {
        match count {
            0..=300 => Self::Large,
            _ => Self::Card,
        }
    }

    /// Maximum length of the longer side in pixels, and fewer to try if the file gets too large.
    pub const fn sides(self) -> [u32; 3] {
        match self {
            Self::Card => [160, 120, 80],
            Self::Large => [480, 320, 160],
        }
    }

    /// Maximum size in bytes.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Card => 6_000,
            Self::Large => 36_000,
        }
    }
}

/// The thumbnail of an image, in the best quality that fits into its bytes; with fewer pixels if even the lowest quality is
/// too large.
pub(super) fn of(picture: &RgbImage, size: ThumbnailSize) -> Option<Thumbnail> {
    let (width, height) = picture.dimensions();
    let longer = f64::from(width.max(height));
    for side in size.sides() {
        let scale = (f64::from(side) / longer).min(1.0);
        let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        let small = resized(picture, scaled(width), scaled(height), Quality::Fine);
        for quality in [80, 68, 55, 42] {
            let jpeg = jpeg(&small, quality)?;
            if jpeg.len() <= size.max_bytes() {
                return Some(Thumbnail { jpeg });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hardest image for JPEG: all neighbouring pixels differ.
    fn noise(width: u32, height: u32) -> RgbImage {
        let mut state = 1u32;
        RgbImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
        })
    }

    #[test]
    fn a_thumbnail_is_small_in_pixels_and_bytes() {
        for picture in [
            noise(160, 160),
            noise(900, 400),
            RgbImage::new(1024, 1024),
            RgbImage::new(30, 20),
        ] {
            for size in [ThumbnailSize::Card, ThumbnailSize::Large] {
                let thumbnail = of(&picture, size).expect("a thumbnail");
                assert!(thumbnail.jpeg.len() <= size.max_bytes());
                let small = image::load_from_memory(&thumbnail.jpeg).expect("a JPEG");
                assert!(small.width().max(small.height()) <= size.sides()[0]);
                assert!(small.width() <= picture.width(), "never enlarged");
            }
        }
    }
}
