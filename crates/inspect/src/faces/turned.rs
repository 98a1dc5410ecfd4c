//! The second head of a court card, which stands on its head: the networks don't see it, but it is the first one, turned.

use image::RgbImage;

use super::boxes::Rect;
use crate::resize::{Quality, part_resized};

/// Correlation of a face with what lies opposite, turned by 180°, from which that is its second head. Of 1,211 labelled images,
/// 16 of 100 with several faces reach .80; of those with one none exceeds .41, of those without .56.
const SAME: f32 = 0.78;
/// Side of the copies that are compared, in pixels.
const SIDE: u32 = 24;
/// Part of a face that may lie on what is opposite of it, at most: a face in the middle is its own opposite.
const SHARED: f32 = 0.15;

/// The second head that belongs to a head, if the image shows the same one turned by 180°.
pub(super) fn head(picture: &RgbImage, head: Rect) -> Option<Rect> {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    // `max` before `min`: what is no number is zero then.
    let within = |at: f32, most: f32| at.max(0.0).min(most).floor();
    let head = Rect {
        left: within(head.left, width),
        top: within(head.top, height),
        right: within(head.right, width),
        bottom: within(head.bottom, height),
    };
    let other = Rect {
        left: width - head.right,
        top: height - head.bottom,
        right: width - head.left,
        bottom: height - head.top,
    };
    if head.width() < 1.0 || head.height() < 1.0 || head.shared(other) > SHARED * head.area() {
        return None;
    }
    let upright = greys(picture, head);
    let mut turned = greys(picture, other);
    turned.reverse();
    (correlation(&upright, &turned) >= SAME).then_some(other)
}

/// A small grey copy of an area of whole pixels.
fn greys(picture: &RgbImage, area: Rect) -> Vec<f32> {
    let part = [area.left, area.top, area.width(), area.height()].map(|length| length as u32);
    let small = part_resized(picture, part, SIDE, SIDE, Quality::Quick);
    let grey = |pixel: &image::Rgb<u8>| pixel.0.iter().map(|value| f32::from(*value)).sum();
    small.pixels().map(grey).collect()
}

/// Pearson's correlation, −1 to 1; 0 where one side is all alike.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut alone_a, mut alone_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        alone_a += a * a;
        alone_b += b * b;
    }
    let spread = (alone_a * alone_b).sqrt();
    if spread > 1.0 { both / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::*;

    /// Something that is not its own opposite.
    fn figure(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 3) as u8, (y * 7) as u8, (x * y / 5) as u8])
        })
    }

    /// A figure above, and the same below, turned.
    fn card(width: u32, height: u32) -> RgbImage {
        let figure = figure(width, height);
        RgbImage::from_fn(width, 2 * height, |x, y| match y < height {
            true => *figure.get_pixel(x, y),
            false => *figure.get_pixel(width - 1 - x, 2 * height - 1 - y),
        })
    }

    #[test]
    fn the_second_head_of_a_court_card_lies_opposite() {
        let head_above = Rect::around(40.0, 35.0, 40.0, 50.0);
        let below = head(&card(100, 80), head_above).unwrap();
        assert_eq!(below, Rect::around(60.0, 125.0, 40.0, 50.0));
        assert_eq!(head(&card(100, 80), below), Some(head_above));
    }

    #[test]
    fn a_single_figure_has_none_nor_has_a_plain_ground() {
        let face = Rect::around(40.0, 35.0, 40.0, 50.0);
        assert_eq!(head(&figure(100, 160), face), None);
        assert_eq!(head(&RgbImage::new(100, 160), face), None);
        // In the middle, it is its own opposite.
        let middle = Rect::around(50.0, 80.0, 40.0, 40.0);
        assert_eq!(head(&card(100, 80), middle), None);
    }

    proptest! {
        #[test]
        fn no_box_is_too_strange(
            (width, height) in (1_u32..60, 1_u32..60),
            sides in [-1e9_f32..1e9, -1e9_f32..1e9, -1e9_f32..1e9, -1e9_f32..1e9],
            near in [-5_f32..65.0, -5_f32..65.0, -5_f32..65.0, -5_f32..65.0],
            nothing in any::<bool>(),
        ) {
            for [left, top, right, bottom] in [sides, near, [f32::NAN; 4]] {
                let right = if nothing { left } else { right };
                head(&figure(width, height), Rect { left, top, right, bottom });
            }
        }
    }
}
