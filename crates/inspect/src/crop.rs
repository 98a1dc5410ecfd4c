//! Crops an image to head and shoulders.

use std::str::FromStr;

use image::imageops::crop_imm;
use serde::{Deserialize, Serialize};

use super::decode::Pixels;
use super::{Face, MIN_SIDE, RATIOS};

/// Whether a prepared image is cropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// Not cropped.
    None,
    /// Cropped to head and shoulders.
    Portrait,
}

/// The text is not a crop mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a crop mode: use none or portrait")]
pub struct ParseCropError(String);

impl FromStr for Crop {
    type Err = ParseCropError;

    fn from_str(text: &str) -> Result<Self, ParseCropError> {
        match text {
            "none" => Ok(Self::None),
            "portrait" => Ok(Self::Portrait),
            _ => Err(ParseCropError(text.to_owned())),
        }
    }
}

/// A part of an image, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

pub(super) fn whole((width, height): (u32, u32)) -> Part {
    Part {
        x: 0,
        y: 0,
        width,
        height,
    }
}

/// Head and shoulders: a margin of `margin` face sizes on each side and above, and 1.5 times that below. The face is
/// never cut, and the part is within the API's limits if the whole image is.
pub(super) fn portrait(face: &Face, (width, height): (u32, u32), margin: f32) -> Part {
    let (across, down) = (face.width * margin, face.height * margin);
    let x = span(face.x - across, face.x + face.width + across, width, 0);
    let y = span(face.y - down, face.y + face.height + 1.5 * down, height, 0);
    // The shorter side grows until the proportions are allowed, and both until they are large enough.
    let least = |other: u32| ((other as f32 * RATIOS.0).ceil() as u32).max(MIN_SIDE);
    let x = span(x.0, x.1, width, least((y.1 - y.0) as u32));
    let y = span(y.0, y.1, height, least((x.1 - x.0) as u32));
    Part {
        x: x.0 as u32,
        y: y.0 as u32,
        width: (x.1 - x.0) as u32,
        height: (y.1 - y.0) as u32,
    }
}

/// Whole pixels from `low` to `high`, within 0 and `length`, and at least `least` of them if `length` allows.
fn span(low: f32, high: f32, length: u32, least: u32) -> (f32, f32) {
    let length = length as f32;
    let (mut low, mut high) = (low.floor().max(0.0), high.ceil().min(length));
    let missing = (least as f32).min(length) - (high - low);
    if missing > 0.0 {
        // What doesn't fit on one side is added on the other.
        low = (low - (missing / 2.0).ceil()).max(0.0);
        high = (low + least as f32).min(length);
        low = (high - least as f32).max(0.0);
    }
    (low, high)
}

pub(super) fn cut(pixels: &Pixels, part: Part) -> Pixels {
    let Part {
        x, y, width, height, ..
    } = part;
    match pixels {
        Pixels::Rgb(picture) => Pixels::Rgb(crop_imm(picture, x, y, width, height).to_image()),
        Pixels::Rgba(picture) => Pixels::Rgba(crop_imm(picture, x, y, width, height).to_image()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn face(x: f32, y: f32, side: f32) -> Face {
        Face {
            x,
            y,
            width: side,
            height: side,
            score: 1.0,
        }
    }

    #[test]
    fn a_full_figure_becomes_head_and_shoulders() {
        let part = portrait(&face(900.0, 200.0, 200.0), (2000, 4000), 1.0);
        assert_eq!(
            part,
            Part {
                x: 700,
                y: 0,
                width: 600,
                height: 700
            }
        );
    }

    proptest! {
        #[test]
        fn the_face_is_never_cut_and_the_limits_are_kept(
            width in 300_u32..3000, height in 300_u32..3000,
            x in 0.0_f32..0.8, y in 0.0_f32..0.8, size in 0.03_f32..0.9, margin in 0.3_f32..5.0,
        ) {
            prop_assume!((0.4..=2.5).contains(&(width as f32 / height as f32)));
            let side = size * width.min(height) as f32;
            let face = face(x * (width as f32 - side), y * (height as f32 - side), side);
            let part = portrait(&face, (width, height), margin);
            prop_assert!(part.x + part.width <= width && part.y + part.height <= height);
            prop_assert!(part.width.min(part.height) >= MIN_SIDE, "{part:?}");
            let ratio = part.width as f32 / part.height as f32;
            prop_assert!((0.39..=2.51).contains(&ratio), "{part:?}");
            prop_assert!(part.x as f32 <= face.x && part.y as f32 <= face.y);
            prop_assert!((part.x + part.width) as f32 + 0.5 >= face.x + face.width);
            prop_assert!((part.y + part.height) as f32 + 0.5 >= face.y + face.height);
        }
    }
}
