//! Finds faces: two networks run on the whole image, and their scores are calibrated.
//!
//! BlazeFace (MediaPipe's full-range-sparse, trained on photos) runs on the image letterboxed to 192²;
//! CenterFace, trained further on drawn, chibi and non-human faces (`training/`), on 160². Overlapping boxes are
//! one face, and [`calibration`] computes its likelihood from both scores and the size. Uncertain faces go through
//! both networks again as close-ups. Measured against E3p, three passes of the photo-trained networks, in
//! `models/README.md`.

pub(super) mod calibration;
mod boxes;
mod convolve;
mod depthwise;
mod layers;
mod network;
#[cfg(test)]
mod parity;
mod tensor;

use std::sync::OnceLock;

use image::RgbImage;

pub(super) use self::boxes::Rect;
use self::boxes::{Candidate, Merged};
use self::network::Network;
use self::tensor::Tensor;
use super::resize::{Quality, resized};

static BLAZE: &[u8] = include_bytes!("../../../../models/blazeface_full_range_sparse_192.safetensors");
static ART: &[u8] = include_bytes!("../../../../models/artface_160.safetensors");

/// Boxes with a lower BlazeFace score are ignored.
const BLAZE_LEAST: f32 = 0.1;
/// Boxes with a lower score of the art network, which is more confident, are ignored.
const ART_LEAST: f32 = 0.05;
/// Boxes smaller than this fraction of the longer side are ignored.
const SPECK: f32 = 0.03;
/// Range of likelihoods after the first pass in which a face is uncertain and gets a close-up pass.
const DOUBT: std::ops::Range<f32> = 0.12..0.95;
/// Maximum number of close-up passes per image, the most likely faces first.
const MAX_CLOSER_LOOKS: usize = 3;
/// Side of a close-up, in multiples of the face's longer side.
const CLOSE: f32 = 2.4;
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
    blaze: Network,
    art: Network,
}

/// What both networks say of a box, before it is calibrated: what `training/calibrate.py` fits the calibration on.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Evidence {
    /// Left, top, right and bottom, in parts of the image's width and height.
    pub area: [f32; 4],
    /// The scores of BlazeFace and of the art network on the whole image.
    pub scores: [f32; 2],
    /// The box's longer side, in parts of the image's.
    pub size: f32,
    /// The scores on a close-up.
    pub close: [f32; 2],
}

impl Detector {
    /// A detector with another art network: one that is being trained.
    pub(super) fn with_art(network: &[u8]) -> Self {
        Self {
            blaze: Network::embedded(BLAZE),
            art: Network::embedded(network),
        }
    }

    /// What the networks say of the image, box by box.
    pub(super) fn evidence(&self, picture: &RgbImage) -> Vec<Evidence> {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let merged = boxes::merge([self.blaze(picture), self.art(picture)]).into_iter();
        let large = merged.filter(|merged| merged.area.longer_side() >= SPECK * width.max(height));
        large
            .map(|Merged { area, scores }| Evidence {
                area: [
                    area.left / width,
                    area.top / height,
                    area.right / width,
                    area.bottom / height,
                ],
                scores,
                size: area.longer_side() / width.max(height),
                close: self.closer(picture, area),
            })
            .collect()
    }

    /// The detector of this process.
    pub(super) fn shared() -> &'static Self {
        static DETECTOR: OnceLock<Detector> = OnceLock::new();
        DETECTOR.get_or_init(|| Self {
            blaze: Network::embedded(BLAZE),
            art: Network::embedded(ART),
        })
    }

    /// The faces of an image, the most likely first.
    pub(super) fn find(&self, picture: &RgbImage) -> Vec<Found> {
        let longer = picture.width().max(picture.height()) as f32;
        let mut found: Vec<Found> = boxes::merge([self.blaze(picture), self.art(picture)])
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
        for face in doubtful.take(MAX_CLOSER_LOOKS) {
            face.score = calibration::rescore(face.score, self.closer(picture, face.area));
        }
        found.sort_by(surest_first);
        found
    }

    /// The scores of both networks on a close-up of a face.
    fn closer(&self, picture: &RgbImage, area: Rect) -> [f32; 2] {
        let side = (area.longer_side() * CLOSE).max(16.0) as u32;
        let (left, top) = area.centre();
        let corner = [left, top].map(|middle| (middle - side as f32 / 2.0) as i64);
        let mut close = RgbImage::from_pixel(side, side, image::Rgb([MARGIN; 3]));
        image::imageops::replace(&mut close, picture, -corner[0], -corner[1]);
        let area = area.shifted(-corner[0] as f32, -corner[1] as f32);
        [self.blaze(&close), self.art(&close)].map(|seen| {
            let same = seen.iter().filter(|s| s.area.is_same(area));
            same.map(|s| s.score).fold(0.0, f32::max)
        })
    }

    /// BlazeFace: values in −1…1; anchors every 4 pixels, boxes as centre offset and size.
    fn blaze(&self, picture: &RgbImage) -> Vec<Candidate> {
        let mut letter = Letterbox::new(picture, self.blaze.side(), |v| f32::from(v) / 127.5 - 1.0);
        let [scores, boxes] = self
            .blaze
            .run(std::mem::take(&mut letter.values), ["scores", "regressors"]);
        // 48² anchors, one output row each; both outputs are flat.
        let grid = self.blaze.side() / 4;
        let (scores, boxes) = (flat(scores, grid, 1), flat(boxes, grid, 16));
        let mut found = Vec::new();
        for y in 0..grid {
            for x in 0..grid {
                let score = 1.0 / (1.0 + (-scores.at(y, x, 0)).exp());
                if score > BLAZE_LEAST {
                    let centre_x = boxes.at(y, x, 0) + (x as f32 + 0.5) * 4.0;
                    let centre_y = boxes.at(y, x, 1) + (y as f32 + 0.5) * 4.0;
                    let area = Rect::around(centre_x, centre_y, boxes.at(y, x, 2), boxes.at(y, x, 3));
                    found.push(Candidate {
                        area: letter.back(area),
                        score,
                    });
                }
            }
        }
        boxes::suppress(found)
    }

    /// The art network: values 0–255; a heat map at a quarter of the size, with sizes as logarithms.
    fn art(&self, picture: &RgbImage) -> Vec<Candidate> {
        let mut letter = Letterbox::new(picture, self.art.side(), f32::from);
        let [heat, sizes, offsets] = self
            .art
            .run(std::mem::take(&mut letter.values), ["537", "538", "539"]);
        let mut found = Vec::new();
        for y in 0..heat.height {
            for x in 0..heat.width {
                let score = heat.at(y, x, 0);
                if score > ART_LEAST {
                    let (height, width) = (sizes.at(y, x, 0).exp() * 4.0, sizes.at(y, x, 1).exp() * 4.0);
                    let centre_y = (y as f32 + offsets.at(y, x, 0) + 0.5) * 4.0;
                    let centre_x = (x as f32 + offsets.at(y, x, 1) + 0.5) * 4.0;
                    let area = Rect::around(centre_x, centre_y, width, height);
                    found.push(Candidate {
                        area: letter.back(area),
                        score,
                    });
                }
            }
        }
        boxes::suppress(found)
    }
}

fn flat(tensor: Tensor, grid: usize, channels: usize) -> Tensor {
    Tensor {
        height: grid,
        width: grid,
        channels,
        data: tensor.data,
    }
}

/// An image centred in a square, and the mapping back to its own pixels.
struct Letterbox {
    values: Vec<f32>,
    scale: f32,
    left: usize,
    top: usize,
}

impl Letterbox {
    fn new(picture: &RgbImage, side: usize, value: impl Fn(u8) -> f32) -> Self {
        let (width, height) = picture.dimensions();
        let scale = side as f32 / width.max(height) as f32;
        let fit = |length: u32| ((length as f32 * scale).round() as usize).clamp(1, side);
        let (fit_width, fit_height) = (fit(width), fit(height));
        let small = resized(picture, fit_width as u32, fit_height as u32, Quality::Quick);
        let (left, top) = ((side - fit_width) / 2, (side - fit_height) / 2);
        let mut values = vec![value(MARGIN); side * side * 3];
        for (y, line) in small.as_raw().chunks_exact(fit_width * 3).enumerate() {
            let to = ((y + top) * side + left) * 3;
            for (to, from) in values[to..to + line.len()].iter_mut().zip(line) {
                *to = value(*from);
            }
        }
        Self {
            values,
            scale,
            left,
            top,
        }
    }

    fn back(&self, area: Rect) -> Rect {
        area.shifted(-(self.left as f32), -(self.top as f32))
            .scaled(1.0 / self.scale)
    }
}
