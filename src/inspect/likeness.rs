//! Finds pictures that are the same, or nearly: scaled, encoded again, slightly retouched.

use image::RgbImage;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::resize::{Quality, resized};

/// Side of the thumbnail that is compared.
const SIDE: u32 = 8;
const VALUES: usize = (SIDE * SIDE * 3) as usize;
/// Mean difference a value, of 255, up to which two thumbnails are nearly the same. Encoding a picture
/// again, or at another size, moves it by less than 1; another character of a series by far more.
const NEAR: u32 = 2;

/// A thumbnail of 8 × 8 colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likeness([u8; VALUES]);

impl Likeness {
    pub(super) fn of(picture: &RgbImage) -> Self {
        let small = resized(picture, SIDE, SIDE, Quality::Quick);
        Self(small.as_raw().as_slice().try_into().expect("8 × 8 colours"))
    }

    /// Whether both are the same picture, or nearly.
    pub fn is_near(&self, other: &Self) -> bool {
        let most = NEAR * VALUES as u32;
        let mut sum = 0;
        // In parts: most pictures differ in the first already, and a cast has many pairs.
        for (a, b) in self.0.chunks(24).zip(other.0.chunks(24)) {
            sum += a
                .iter()
                .zip(b)
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum::<u32>();
            if sum > most {
                return false;
            }
        }
        true
    }
}

impl Serialize for Likeness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Likeness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut values = [0; VALUES];
        hex::decode_to_slice(text, &mut values).map_err(serde::de::Error::custom)?;
        Ok(Self(values))
    }
}
