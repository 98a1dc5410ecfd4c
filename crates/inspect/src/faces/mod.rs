//! Finds faces: a network looks at the whole image finely and coarsely, its scores are calibrated, and another one is asked
//! where there is doubt.
//!
//! The first network is CenterFace, trained further on drawn, chibi and non-human faces (`training/`). It runs on the image
//! letterboxed to 160² and to 96². Overlapping boxes are one face, and [`calibration`] computes its likelihood from both scores
//! and the size. Of uncertain faces the [`verifier`] sees close-ups.
//! Measured against E3p, three passes of photo-trained networks, in `models/README.md`.

pub(super) mod calibration;
mod boxes;
mod convolve;
mod depthwise;
mod layers;
mod network;
#[cfg(test)]
mod parity;
mod tensor;
mod turned;
mod verifier;

use std::sync::OnceLock;

use image::RgbImage;

pub(super) use self::boxes::Rect;
use self::boxes::{Candidate, Merged};
use self::network::Network;
use self::tensor::Tensor;
use self::verifier::Verifier;
use super::resize::{Quality, part_resized};

static NETWORK: &[u8] = include_bytes!("../../../../models/artface_160.safetensors");
static VERIFIER: &[u8] = include_bytes!("../../../../models/verifier_128.safetensors");

/// Side of the square on which the network sees the whole image well enough for small faces, in pixels.
const FINE: usize = 160;
/// Side of the square on which it sees the image coarsely.
const COARSE: usize = 96;
/// Boxes with a lower score are ignored.
const LEAST: f32 = 0.05;
/// Boxes smaller than this fraction of the longer side are ignored.
const SPECK: f32 = 0.03;
/// Range of likelihoods after the first pass in which a face is uncertain, and the verifier is asked.
const DOUBT: std::ops::Range<f32> = 0.12..0.9;
/// Maximum number of areas per image that the verifier is asked about, the most likely faces first.
const MAX_ASKED: usize = 3;
/// Grey value around a letterboxed image.
const MARGIN: u8 = 128;

/// A face: its box, in pixels of the inspected image, and its likelihood (0–1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) area: Rect,
    pub(super) score: f32,
}

/// Both networks, ready to run; shared by all threads.
pub(super) struct Detector {
    network: Network,
    verifier: Verifier,
}

/// What the network says of a box, before it is calibrated: what `training/calibrate.py` fits the calibration on.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Evidence {
    /// Left, top, right and bottom, in parts of the image's width and height.
    pub area: [f32; 4],
    /// The fine and the coarse score, on the whole image.
    pub scores: [f32; 2],
    /// The box's longer side, in parts of the image's.
    pub size: f32,
    /// The verifier's log-odds on a close-up.
    pub near: f32,
    /// Whether the same lies opposite, turned by 180°: a court card's second head.
    pub turned: bool,
}

impl Detector {
    /// A detector with other networks: such as are being trained.
    pub(super) fn with(network: &[u8], verifier: &[u8]) -> Self {
        Self {
            network: Network::embedded(network),
            verifier: Verifier::with(verifier),
        }
    }

    /// The detector of this process.
    pub(super) fn shared() -> &'static Self {
        static DETECTOR: OnceLock<Detector> = OnceLock::new();
        DETECTOR.get_or_init(|| Self::with(NETWORK, VERIFIER))
    }

    /// What the network says of the image, box by box.
    pub(super) fn evidence(&self, picture: &RgbImage) -> Vec<Evidence> {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let merged = boxes::merge(self.at_first_sight(picture)).into_iter();
        let large = merged.filter(|merged| merged.area.longer_side() >= SPECK * width.max(height));
        let large: Vec<_> = large.collect();
        let areas: Vec<_> = large.iter().map(|merged| merged.area).collect();
        let near = self.verifier.ask(picture, &areas);
        large
            .into_iter()
            .zip(near)
            .map(|(Merged { area, scores }, near)| Evidence {
                area: [
                    area.left / width,
                    area.top / height,
                    area.right / width,
                    area.bottom / height,
                ],
                scores,
                size: area.longer_side() / width.max(height),
                near,
                turned: turned::head(picture, area).is_some(),
            })
            .collect()
    }

    /// The faces of an image, the most likely first.
    pub(super) fn find(&self, picture: &RgbImage) -> Vec<Found> {
        let longer = picture.width().max(picture.height()) as f32;
        let mut found: Vec<Found> = boxes::merge(self.at_first_sight(picture))
            .into_iter()
            .filter(|merged| merged.area.longer_side() >= SPECK * longer)
            .map(|merged| Found {
                area: merged.area,
                score: calibration::face(merged.scores, merged.area.longer_side() / longer),
            })
            .collect();
        let surest_first = |a: &Found, b: &Found| b.score.total_cmp(&a.score);
        found.sort_by(surest_first);
        let doubtful = found.iter_mut().filter(|f| DOUBT.contains(&f.score));
        let doubtful: Vec<_> = doubtful.take(MAX_ASKED).collect();
        let areas: Vec<_> = doubtful.iter().map(|face| face.area).collect();
        let near = self.verifier.ask(picture, &areas);
        for (face, near) in doubtful.into_iter().zip(near) {
            face.score = calibration::rescore(face.score, near);
        }
        found.sort_by(surest_first);
        if let Some(&first) = found.first()
            && let Some(area) = turned::head(picture, first.area)
        {
            // As likely as the first one, whatever the network says of it.
            let others = found.split_off(1);
            found.push(Found { area, ..first });
            found.extend(others.into_iter().filter(|other| !other.area.is_same(area)));
        }
        found
    }

    /// What the network finds on the whole image, in a fine and a coarse look.
    fn at_first_sight(&self, picture: &RgbImage) -> [Vec<Candidate>; 2] {
        [FINE, COARSE].map(|side| self.seen(Letterbox::whole(picture, side)))
    }

    /// What the network finds: values are 0–255; it answers with a heat map at a quarter of the size, with sizes as logarithms.
    fn seen(&self, Letterbox { pixels, place }: Letterbox) -> Vec<Candidate> {
        let [heat, sizes, offsets] = self.network.run(&pixels, ["537", "538", "539"]);
        let mut found = Vec::new();
        for y in 0..heat.height {
            for x in 0..heat.width {
                let score = heat.at(y, x, 0);
                if score > LEAST {
                    let (height, width) = (sizes.at(y, x, 0).exp() * 4.0, sizes.at(y, x, 1).exp() * 4.0);
                    let centre_y = (y as f32 + offsets.at(y, x, 0) + 0.5) * 4.0;
                    let centre_x = (x as f32 + offsets.at(y, x, 1) + 0.5) * 4.0;
                    let area = Rect::around(centre_x, centre_y, width, height);
                    found.push(Candidate {
                        area: place.back(area),
                        score,
                    });
                }
            }
        }
        boxes::suppress(found)
    }
}

/// An image, or a part of it, in a square.
struct Letterbox {
    pixels: Tensor,
    place: Place,
}

/// Where an image lies in a square.
#[derive(Debug, Clone, Copy)]
struct Place {
    scale: f32,
    /// Where the image's corner comes to lie.
    corner: [f32; 2],
}

impl Place {
    /// An area of the square, in the image's own pixels.
    fn back(self, area: Rect) -> Rect {
        let [left, top] = self.corner;
        area.shifted(-left, -top).scaled(1.0 / self.scale)
    }
}

impl Letterbox {
    /// The whole image, in the middle of the square.
    fn whole(picture: &RgbImage, side: usize) -> Self {
        let lengths = [picture.width(), picture.height()];
        let scale = side as f32 / lengths[0].max(lengths[1]) as f32;
        let spans = lengths.map(|length| {
            let fit = ((length as f32 * scale).round() as usize).clamp(1, side);
            Span {
                from: 0,
                length,
                to: (side - fit) / 2,
                fit,
            }
        });
        Self {
            pixels: laid(picture, spans, side),
            place: Place {
                scale,
                corner: spans.map(|span| span.to as f32),
            },
        }
    }

    /// A square of the image, which may reach beyond it: its upper left corner and its side, in pixels.
    fn part(picture: &RgbImage, corner: [f32; 2], length: f32, side: usize) -> Self {
        let scale = side as f32 / length;
        let span = |axis: usize, whole: u32| {
            let whole = whole as f32;
            // `clamp` would panic at what is no number.
            let from = corner[axis].max(0.0).min(whole - 1.0);
            let until = (corner[axis] + length).max(from + 1.0).min(whole);
            let at = |place: f32| (((place - corner[axis]) * scale).round() as usize).min(side);
            let to = at(from).min(side - 1);
            Span {
                from: from as u32,
                length: (until - from) as u32,
                to,
                fit: at(until).max(to + 1) - to,
            }
        };
        Self {
            pixels: laid(
                picture,
                [span(0, picture.width()), span(1, picture.height())],
                side,
            ),
            place: Place {
                scale,
                corner: corner.map(|place| -place * scale),
            },
        }
    }
}

/// A span of an image along one axis, and the one that it fills in a square.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u32,
    length: u32,
    to: usize,
    fit: usize,
}

/// A grey square, with a part of an image laid on it.
fn laid(picture: &RgbImage, [x, y]: [Span; 2], side: usize) -> Tensor {
    let part = [x.from, y.from, x.length, y.length];
    let small = part_resized(picture, part, x.fit as u32, y.fit as u32, Quality::Quick);
    let mut out = Tensor::stale(1, side, side, 3);
    out.data.fill(f32::from(MARGIN));
    for (line, from) in small.as_raw().chunks_exact(x.fit * 3).enumerate() {
        let to = ((line + y.to) * side + x.to) * 3;
        for (to, from) in out.data[to..to + from.len()].iter_mut().zip(from) {
            *to = f32::from(*from);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The red of a pixel tells its column, the green its line.
    fn places(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 2) as u8, (y * 2) as u8, 0])
        })
    }

    proptest! {
        /// A part shows what is there, grey where nothing is, and leads back to the image's own pixels.
        #[test]
        fn a_part_of_an_image_leads_back_to_it(
            (width, height) in (1_u32..100, 1_u32..100),
            corner in [-150_i16..150, -150_i16..150],
            length in 16_u16..200,
        ) {
            let corner = corner.map(f32::from);
            let (side, length) = (40, f32::from(length));
            let part = Letterbox::part(&places(width, height), corner, length, side);
            let pixel = length / side as f32;
            for line in 0..side {
                for column in 0..side {
                    let [red, green, blue] = part.pixels.data[(line * side + column) * 3..][..3] else { panic!() };
                    let middle = Rect::around(column as f32 + 0.5, line as f32 + 0.5, 1.0, 1.0);
                    let (x, y) = part.place.back(middle).centre();
                    let within = |at: f32, most: u32| (pixel..most as f32 - pixel).contains(&at);
                    if within(x, width) && within(y, height) {
                        // Less than a pixel of the square away, on the side that was rounded to, and half of the image's own.
                        prop_assert!((red / 2.0 - x).abs() <= pixel + 1.0, "{red} at {x}");
                        prop_assert!((green / 2.0 - y).abs() <= pixel + 1.0, "{green} at {y}");
                    } else if x < -pixel || y < -pixel || x > width as f32 + pixel || y > height as f32 + pixel {
                        let grey = [red, green, blue] == [f32::from(MARGIN); 3];
                        // Of an image beside the square, its last line is left at the square's edge.
                        let edge = [column, line].iter().any(|at| [0, side - 1].contains(at));
                        prop_assert!(grey || edge, "{x}, {y} is beside the image");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_is_a_part_all_the_same() {
        for (corner, length) in [
            (f32::NAN, 16.0),
            (f32::NEG_INFINITY, f32::INFINITY),
            (0.0, f32::INFINITY),
        ] {
            let part = Letterbox::part(&places(9, 7), [corner; 2], length, 8);
            assert_eq!(part.pixels.data.len(), 8 * 8 * 3);
        }
    }
}
