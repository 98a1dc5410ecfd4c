//! Finds faces: three passes of two photo-trained networks, merged.
//!
//! BlazeFace (MediaPipe's full-range-sparse) looks at the picture letterboxed on 192², and again at zoom
//! 0.42 in a wide margin, for close-ups; CenterFace looks at it on 160². A face is believed as far as
//! the passes agree: its score is the sum of theirs over three. Measured on game art, this combination
//! errs least of a dozen detectors: see `models/README.md`.

mod boxes;
mod network;

use std::sync::OnceLock;

use image::RgbImage;

use self::boxes::{Candidate, Rect};
use self::network::{Network, Tensor};
use super::resize::{Quality, resized};

static BLAZE: &[u8] = include_bytes!("../../../models/blazeface_full_range_sparse_192.safetensors");
static CENTER: &[u8] = include_bytes!("../../../models/centerface_160.safetensors");

/// How far the second look at the picture steps back.
const STEP_BACK: f32 = 0.42;
/// What a pass believes less than this is not even considered.
const PASS_LEAST: f32 = 0.1;
/// Boxes smaller than this part of the longer side are specks.
const SPECK: f32 = 0.03;
/// What lies around a letterboxed picture.
const MARGIN: u8 = 128;

/// A face: where, in pixels of the picture that was looked at, and how sure the passes are together (0–1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) area: Rect,
    pub(super) score: f32,
}

/// Both networks, ready to run; shared by all threads.
pub(super) struct Detector {
    blaze: Network,
    center: Network,
}

impl Detector {
    /// The detector of this process.
    pub(super) fn shared() -> &'static Self {
        static DETECTOR: OnceLock<Detector> = OnceLock::new();
        DETECTOR.get_or_init(|| Self {
            blaze: Network::embedded(BLAZE),
            center: Network::embedded(CENTER),
        })
    }

    /// The faces of a picture, the surest first.
    pub(super) fn find(&self, picture: &RgbImage) -> Vec<Found> {
        let passes = [
            self.blaze(picture, 1.0),
            self.blaze(picture, STEP_BACK),
            self.center(picture),
        ];
        let speck = SPECK * picture.width().max(picture.height()) as f32;
        boxes::merge(passes)
            .into_iter()
            .filter(|found| found.area.longer_side() >= speck)
            .collect()
    }

    /// One pass of BlazeFace: values in −1…1; anchors every 4 pixels, boxes as centre offset and size.
    fn blaze(&self, picture: &RgbImage, zoom: f32) -> Vec<Candidate> {
        let mut letter = Letterbox::new(picture, self.blaze.side(), zoom, |v| f32::from(v) / 127.5 - 1.0);
        let [scores, boxes] = self
            .blaze
            .run(std::mem::take(&mut letter.values), ["scores", "regressors"]);
        // 48² anchors, one output row each; both outputs are flat there.
        let grid = self.blaze.side() / 4;
        let (scores, boxes) = (flat(scores, grid, 1), flat(boxes, grid, 16));
        let mut found = Vec::new();
        for y in 0..grid {
            for x in 0..grid {
                let score = 1.0 / (1.0 + (-scores.at(y, x, 0)).exp());
                if score > PASS_LEAST {
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

    /// One pass of CenterFace: values 0–255; a heat map at a quarter of the size, with sizes as logarithms.
    fn center(&self, picture: &RgbImage) -> Vec<Candidate> {
        let mut letter = Letterbox::new(picture, self.center.side(), 1.0, f32::from);
        let [heat, sizes, offsets] = self
            .center
            .run(std::mem::take(&mut letter.values), ["537", "538", "539"]);
        let mut found = Vec::new();
        for y in 0..heat.height {
            for x in 0..heat.width {
                let score = heat.at(y, x, 0);
                if score > PASS_LEAST {
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

/// A picture in the middle of a square, and the way back to its own pixels.
struct Letterbox {
    values: Vec<f32>,
    scale: f32,
    left: usize,
    top: usize,
}

impl Letterbox {
    fn new(picture: &RgbImage, side: usize, zoom: f32, value: impl Fn(u8) -> f32) -> Self {
        let (width, height) = picture.dimensions();
        let scale = side as f32 * zoom / width.max(height) as f32;
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
