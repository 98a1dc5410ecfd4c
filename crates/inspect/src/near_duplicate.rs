//! Finds near-duplicate images: scaled, re-encoded, slightly brightened or trimmed copies.
//!
//! Two characters of a series can share everything but a small face, and a mean difference alone would take them
//! for one image. So no single place may differ by more than scaling and trimming explain.

use std::fmt;
use std::str::FromStr;

use image::RgbImage;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::resize::{Quality, resized};

/// Side of the thumbnails that are compared, in pixels.
const SIDE: usize = 12;
const VALUES: usize = SIDE * SIDE * 3;
/// Largest mean difference per value, out of 255, between near-duplicates.
const NEAR: u32 = 4;
/// Largest difference of each value, out of 255, and in [`EDGE`] the addition per unit by which the values around
/// it differ, because a slightly shifted edge changes its neighbours. On 276 images of game art, the worst value of
/// 99 % stays within it when scaled by ½ or 1½, encoded as JPEG 60, or made 3 % brighter, and that of most when
/// trimmed by 1 % on each side; of 14 pairs of other faces in the same dress, none does.
const VALUE: f32 = 7.0;
const EDGE: f32 = 0.06;

/// Largest sum of the differences of all values between near-duplicates.
const MOST: u32 = NEAR * VALUES as u32;
/// Range of brightness in one cell of [`SignatureIndex`].
const CELL: u32 = MOST / 8;
const CELLS: usize = (u8::MAX as usize * VALUES) / CELL as usize + 1;

/// The signature of an image: a thumbnail of 12 × 12 colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSignature([u8; VALUES]);

/// The text is not a signature, or is one of an older version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an image signature")]
pub struct ParseLikenessError;

impl ImageSignature {
    /// What the text of a signature begins with: its version, apart from that of the inspection. It changes with the
    /// thumbnail's size or the way of resizing.
    pub const VERSION: &str = "1:";
    /// The length of a text of the first version, which was written without its number.
    pub const UNVERSIONED: u32 = VALUES as u32 * 2;

    pub(super) fn of(picture: &RgbImage) -> Self {
        let small = resized(picture, SIDE as u32, SIDE as u32, Quality::Quick);
        Self(small.as_raw().as_slice().try_into().expect("12 × 12 colours"))
    }

    /// Whether both images are the same, or near-duplicates.
    pub fn is_near(&self, other: &Self) -> bool {
        let mut sum = 0;
        // In chunks: most images differ in the first one already, and a cast has many pairs.
        for (a, b) in self.0.chunks(36).zip(other.0.chunks(36)) {
            sum += a
                .iter()
                .zip(b)
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum::<u32>();
            if sum > MOST {
                return false;
            }
        }
        (0..VALUES).all(|at| {
            let differ = f32::from(self.0[at].abs_diff(other.0[at]));
            differ <= VALUE
                || differ <= VALUE + EDGE * f32::from(self.range_around(at).max(other.range_around(at)))
        })
    }

    /// The range of the values of a channel in the 3 × 3 pixels around a place.
    fn range_around(&self, at: usize) -> u8 {
        let (x, y, channel) = (at / 3 % SIDE, at / 3 / SIDE, at % 3);
        let (mut least, mut most) = (u8::MAX, 0);
        for y in y.saturating_sub(1)..=(y + 1).min(SIDE - 1) {
            for x in x.saturating_sub(1)..=(x + 1).min(SIDE - 1) {
                let value = self.0[(y * SIDE + x) * 3 + channel];
                (least, most) = (least.min(value), most.max(value));
            }
        }
        most - least
    }
}

/// Number of bands of rows, each summed per colour.
const BANDS: usize = 4;

/// The sum of each colour in each band of a signature. Sums differ by no more than the values themselves do.
#[derive(Debug, Clone, Copy)]
struct Sums([u16; BANDS * 3]);

impl Sums {
    fn of(signature: &ImageSignature) -> Self {
        let mut sums = [0; BANDS * 3];
        for (at, value) in signature.0.iter().enumerate() {
            sums[at * BANDS / VALUES * 3 + at % 3] += u16::from(*value);
        }
        Self(sums)
    }

    /// The total brightness.
    fn all(&self) -> u32 {
        self.0.iter().map(|sum| u32::from(*sum)).sum()
    }

    fn can_be_near(&self, other: &Self) -> bool {
        let differ = self.0.iter().zip(other.0).map(|(a, b)| u32::from(a.abs_diff(b)));
        differ.sum::<u32>() <= MOST
    }
}

/// An index of signatures and their owners. It finds what [`ImageSignature::is_near`] finds, but compares only
/// signatures of about the same brightness, in total and per colour in each band.
///
/// A cast of 50,000 new images has 1.25 billion pairs: `cargo bench --bench near_duplicate`.
#[derive(Debug, Clone)]
pub struct SignatureIndex<T> {
    all: Vec<(ImageSignature, T)>,
    /// Cells by brightness: indices into `all`, in ascending order, with their sums.
    cells: Vec<Vec<(u32, Sums)>>,
}

impl<T> Default for SignatureIndex<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            cells: vec![Vec::new(); CELLS],
        }
    }
}

impl<T> SignatureIndex<T> {
    /// Adds a signature and its owner.
    pub fn push(&mut self, signature: ImageSignature, whose: T) {
        let sums = Sums::of(&signature);
        let at = u32::try_from(self.all.len()).expect("fewer than 2^32 images");
        self.cells[(sums.all() / CELL) as usize].push((at, sums));
        self.all.push((signature, whose));
    }

    /// The owner of the first added signature that is near to `signature` and whose owner `accept` accepts.
    pub fn find_first(&self, signature: &ImageSignature, accept: impl Fn(&T) -> bool) -> Option<&T> {
        let sums = Sums::of(signature);
        let low = sums.all().saturating_sub(MOST) / CELL;
        let high = (sums.all() + MOST) / CELL;
        let mut first = self.all.len();
        for cell in &self.cells[low as usize..CELLS.min(high as usize + 1)] {
            for (at, its) in cell {
                let at = *at as usize;
                if at >= first {
                    break;
                }
                let (seen, whose) = &self.all[at];
                if sums.can_be_near(its) && signature.is_near(seen) && accept(whose) {
                    first = at;
                }
            }
        }
        self.all.get(first).map(|(_, whose)| whose)
    }
}

impl<T> Extend<(ImageSignature, T)> for SignatureIndex<T> {
    fn extend<I: IntoIterator<Item = (ImageSignature, T)>>(&mut self, more: I) {
        for (signature, whose) in more {
            self.push(signature, whose);
        }
    }
}

/// Deserializes a signature that was written down, perhaps by another version: one of an older version counts as missing,
/// and the image is inspected anew.
///
/// # Errors
/// It is neither text nor null.
pub fn known_signature<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ImageSignature>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// The version, a colon, and the values in hexadecimal.
impl fmt::Display for ImageSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A manifest has a signature for each character, and `hex::encode` builds its text digit by digit.
        let mut digits = [0; VALUES * 2];
        hex::encode_to_slice(self.0, &mut digits).expect("two digits for each value");
        f.write_str(Self::VERSION)?;
        f.write_str(str::from_utf8(&digits).expect("digits are ASCII"))
    }
}

impl Serialize for ImageSignature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl FromStr for ImageSignature {
    type Err = ParseLikenessError;

    fn from_str(text: &str) -> Result<Self, ParseLikenessError> {
        // The first version was written without its number.
        let text = text.strip_prefix(Self::VERSION).unwrap_or(text);
        let mut values = [0; VALUES];
        hex::decode_to_slice(text, &mut values).map_err(|_| ParseLikenessError)?;
        Ok(Self(values))
    }
}

impl<'de> Deserialize<'de> for ImageSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use image::imageops::{FilterType, crop_imm, resize};
    use image::{DynamicImage, ImageFormat, Rgb};
    use proptest::prelude::*;

    use super::*;

    /// A bust on a plain background: hair, a face with two eyes, and a coat, in these colours.
    fn bust(skin: [u8; 3], hair: [u8; 3], coat: [u8; 3], side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| {
            let (x, y) = (x as f32 / side as f32 - 0.5, y as f32 / side as f32);
            let within =
                |cx: f32, cy: f32, rx: f32, ry: f32| ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0;
            Rgb(
                if within(0.05, 0.38, 0.02, 0.012) || within(-0.05, 0.38, 0.02, 0.012) {
                    [20; 3]
                } else if within(0.0, 0.4, 0.11, 0.14) {
                    skin
                } else if within(0.0, 0.35, 0.15, 0.17) {
                    hair
                } else if within(0.0, 1.0, 0.4, 0.45) {
                    coat
                } else {
                    [128; 3]
                },
            )
        })
    }

    fn near(a: &RgbImage, b: &RgbImage) -> bool {
        let (a, b) = (ImageSignature::of(a), ImageSignature::of(b));
        assert_eq!(a.is_near(&b), b.is_near(&a), "the comparison is symmetric");
        a.is_near(&b)
    }

    fn as_jpeg(picture: &RgbImage) -> RgbImage {
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture.clone())
            .write_to(&mut bytes, ImageFormat::Jpeg)
            .unwrap();
        image::load_from_memory(&bytes.into_inner()).unwrap().to_rgb8()
    }

    #[test]
    fn another_face_in_the_same_dress_is_another_picture() {
        let (coat, hair) = ([60, 80, 50], [70, 40, 30]);
        let pale = bust([230, 190, 170], hair, coat, 400);
        assert!(!near(&pale, &bust([150, 100, 70], hair, coat, 400)), "other skin");
        assert!(
            !near(&pale, &bust([230, 190, 170], [170, 140, 60], coat, 400)),
            "other hair"
        );
        assert!(
            !near(&pale, &bust([230, 190, 170], hair, [120, 40, 40], 400)),
            "another coat"
        );
    }

    #[test]
    fn a_small_figure_on_plain_ground_is_compared_by_the_figure() {
        let on_ground = |skin| {
            let mut picture = RgbImage::from_pixel(600, 600, Rgb([128; 3]));
            let figure = bust(skin, [70, 40, 30], [60, 80, 50], 150);
            image::imageops::replace(&mut picture, &figure, 225, 225);
            picture
        };
        assert!(!near(&on_ground([230, 190, 170]), &on_ground([90, 150, 80])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_picture_that_was_scaled_encoded_brightened_or_trimmed_is_the_same(
            skin in any::<[u8; 3]>(), hair in any::<[u8; 3]>(), coat in any::<[u8; 3]>(),
            side in 300_u32..1100, lighter in 0_u8..5, trim in 0_u32..3,
        ) {
            let picture = bust(skin, hair, coat, 400);
            prop_assert!(near(&picture, &resize(&picture, side, side, FilterType::CatmullRom)));
            prop_assert!(near(&picture, &as_jpeg(&picture)));
            let mut light = picture.clone();
            light.iter_mut().for_each(|v| *v = v.saturating_add(lighter));
            prop_assert!(near(&picture, &light));
            let trimmed = crop_imm(&picture, trim, trim, 400 - 2 * trim, 400 - 2 * trim).to_image();
            prop_assert!(near(&picture, &trimmed));
        }

        #[test]
        fn among_many_the_one_is_found_that_comparing_with_each_finds(
            shades in prop::collection::vec((0_u8..4, 0_u8..4, 0_u8..6), 1..60), refused in 0_usize..60,
        ) {
            let signature = |(base, spread, shift): (u8, u8, u8)| {
                let value = |at: usize| match base {
                    0 => 0,
                    1 => u8::MAX,
                    base => 60 * base + spread * (at / 40) as u8 + shift,
                };
                ImageSignature(std::array::from_fn(value))
            };
            let mut many = SignatureIndex::default();
            let mut each = Vec::new();
            for (n, shade) in shades.into_iter().enumerate() {
                let one = signature(shade);
                let found = many.find_first(&one, |whose| *whose != refused).copied();
                let compared = each.iter().enumerate().position(|(at, other)| at != refused && one.is_near(other));
                prop_assert_eq!(found, compared);
                many.push(one, n);
                each.push(one);
            }
        }

        #[test]
        fn it_is_read_as_it_was_written(skin in any::<[u8; 3]>()) {
            let signature = ImageSignature::of(&bust(skin, [0; 3], [255; 3], 300));
            let text = serde_json::to_string(&signature).unwrap();
            prop_assert_eq!(serde_json::from_str::<ImageSignature>(&text).unwrap(), signature);
        }
    }

    #[test]
    fn what_an_older_version_wrote_is_no_likeness() {
        assert_eq!(
            "80".repeat(192).parse::<ImageSignature>(),
            Err(ParseLikenessError)
        );
    }
}
