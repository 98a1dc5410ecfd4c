//! Checks whether the face is sharp, well lit and complete, from the luma of its box in the scaled image.

use image::RgbImage;

use super::faces::Found;
use super::resize::{Quality, part_resized};
use super::{Inspection, ReasonCode, Thresholds, Verdict};

/// Side of the patch on which a face is measured, in pixels.
const PATCH: u32 = 64;

/// Adds reasons for what a careful art director would criticize about the face; never worse than review.
pub(super) fn judge(inspection: &mut Inspection, picture: &RgbImage, face: &Found, thresholds: &Thresholds) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let area = face.area;
    let inside = area.right.min(width) - area.left.max(0.0);
    let inside = inside.max(0.0) * (area.bottom.min(height) - area.top.max(0.0)).max(0.0);
    let seen = inside / area.area().max(1.0);
    let mut review = |code, message: &str| inspection.add_reason(Verdict::Review, code, message.to_owned());
    if seen < thresholds.cut_off {
        review(
            ReasonCode::FaceCutOff,
            "the face extends beyond the image's edge: leave room around it",
        );
    }
    // An uncertain face may be one that is too small to be recognized.
    let doubtful = if face.score < thresholds.sure { 1.5 } else { 1.0 };
    if area.longer_side() / width.max(height) < thresholds.least_size * doubtful {
        review(
            ReasonCode::FaceTooSmall,
            "the face is a small part of the image: crop closer to it",
        );
    }
    let Some(patch) = Patch::of(picture, face) else {
        return;
    };
    let (mean, contrast) = (patch.middle(), patch.contrast());
    if mean < thresholds.dark {
        review(
            ReasonCode::TooDark,
            "the face is very dark: light it, or lighten the image",
        );
    } else if mean > thresholds.bright {
        review(
            ReasonCode::TooBright,
            "the face is nearly white: lower the exposure",
        );
    }
    if contrast < thresholds.contrast {
        review(
            ReasonCode::LowContrast,
            "the face has too little contrast: raise it",
        );
    } else if patch.sharpness() < thresholds.sharp {
        review(
            ReasonCode::Blurry,
            "the face is out of focus, or enlarged from few pixels: export it larger and sharp",
        );
    }
}

/// The luma of a face, 0–255, at its own resolution, at most 64².
struct Patch {
    luma: Vec<f32>,
    width: usize,
}

impl Patch {
    fn of(picture: &RgbImage, face: &Found) -> Option<Self> {
        let area = face.area;
        let clamp = |v: f32, most: u32| (v.max(0.0) as u32).min(most);
        let (left, right) = (
            clamp(area.left, picture.width()),
            clamp(area.right, picture.width()),
        );
        let (top, bottom) = (
            clamp(area.top, picture.height()),
            clamp(area.bottom, picture.height()),
        );
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        if width < 8 || height < 8 {
            return None;
        }
        let scale = (PATCH as f32 / width.max(height) as f32).min(1.0);
        let fit = |length: u32| ((length as f32 * scale).round() as u32).max(4);
        let part = [left, top, width, height];
        let small = part_resized(picture, part, fit(width), fit(height), Quality::Quick);
        // Rec. 709 weights on the encoded values: close enough to perceived brightness.
        let luma = small
            .pixels()
            .map(|p| 0.2126 * f32::from(p[0]) + 0.7152 * f32::from(p[1]) + 0.0722 * f32::from(p[2]));
        Some(Self {
            luma: luma.collect(),
            width: small.width() as usize,
        })
    }

    fn height(&self) -> usize {
        self.luma.len() / self.width
    }

    fn mean(&self) -> f32 {
        self.luma.iter().sum::<f32>() / self.luma.len() as f32
    }

    /// The mean of the ellipse in the middle, 0.8 of width and height: skin, not hair and background.
    fn middle(&self) -> f32 {
        let (width, height) = (self.width as f32, self.height() as f32);
        let inside = |at: usize| {
            let x = ((at % self.width) as f32 + 0.5) / width - 0.5;
            let y = ((at / self.width) as f32 + 0.5) / height - 0.5;
            x * x + y * y < 0.16
        };
        let (mut sum, mut count) = (0.0, 0.0);
        for (_, luma) in self.luma.iter().enumerate().filter(|(at, _)| inside(*at)) {
            sum += luma;
            count += 1.0;
        }
        sum / f32::max(count, 1.0)
    }

    /// The standard deviation.
    fn contrast(&self) -> f32 {
        let mean = self.mean();
        (self.luma.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / self.luma.len() as f32).sqrt()
    }

    /// What 3 × 3 means lose, at the 98th percentile, over the contrast: without unit, so that flat cartoons and dim
    /// paintings are measured alike.
    fn sharpness(&self) -> f32 {
        let (width, height) = (self.width, self.height());
        // At the border, the nearest values are repeated.
        let near = |at: usize, length: usize| [at.saturating_sub(1), at, (at + 1).min(length - 1)];
        let mut lost: Vec<f32> = (0..self.luma.len())
            .map(|at| {
                let (x, y) = (near(at % width, width), near(at / width, height));
                let sum: f32 = y.iter().flat_map(|y| x.map(|x| self.luma[y * width + x])).sum();
                (self.luma[at] - sum / 9.0).abs()
            })
            .collect();
        let at = lost.len() * 98 / 100;
        let (_, most, _) = lost.select_nth_unstable_by(at, f32::total_cmp);
        *most / self.contrast().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faces::Found;

    fn reasons(paint: impl Fn(u32, u32) -> u8, left: f32) -> Vec<ReasonCode> {
        let picture = RgbImage::from_fn(400, 400, |x, y| image::Rgb([paint(x, y); 3]));
        let face = Found {
            area: crate::faces::Rect {
                left,
                top: 100.0,
                right: left + 200.0,
                bottom: 300.0,
            },
            score: 0.9,
        };
        let mut inspection = Inspection::unreadable(ReasonCode::Unreadable, String::new());
        inspection.reasons.clear();
        judge(&mut inspection, &picture, &face, &Thresholds::default());
        inspection.reasons.into_iter().map(|r| r.code).collect()
    }

    fn checks(x: u32, y: u32) -> u8 {
        if (x / 20 + y / 20).is_multiple_of(2) {
            60
        } else {
            190
        }
    }

    #[test]
    fn a_lit_sharp_whole_face_has_no_fault() {
        assert_eq!(reasons(checks, 100.0), []);
    }

    #[test]
    fn each_fault_has_its_code() {
        assert_eq!(
            reasons(|x, y| checks(x, y) / 40, 100.0),
            [ReasonCode::TooDark, ReasonCode::LowContrast]
        );
        assert_eq!(
            reasons(|x, y| 250 + checks(x, y) / 48, 100.0),
            [ReasonCode::TooBright, ReasonCode::LowContrast]
        );
        assert_eq!(reasons(|_, _| 120, 100.0), [ReasonCode::LowContrast]);
        assert_eq!(reasons(|x, _| (x * 255 / 400) as u8, 100.0), [ReasonCode::Blurry]);
        assert_eq!(reasons(checks, 320.0), [ReasonCode::FaceCutOff]);
    }
}
