//! Compares the networks with PyTorch on the same files, whose results `models/reference.py` recorded.

use serde::Deserialize;

use super::verifier::CLOSE;
use super::*;

#[derive(Deserialize)]
struct Expected {
    picture: String,
    fine: Vec<[f32; 5]>,
    coarse: Vec<[f32; 5]>,
    /// The verifier's log-odds for an area in the middle whose close-up is the whole image.
    middle: f32,
}

/// Tolerance of scores, for another order of sums and another decoder's rounding.
const SCORE: f32 = 0.01;
/// Tolerance of log-odds, for the same reasons, and for a close-up that begins at a whole pixel.
const LOG_ODDS: f32 = 0.4;
/// Tolerance of edges, as a fraction of the image's longer side.
const EDGE: f32 = 0.004;
/// A box whose score is this close to the minimum may be found by only one of the two.
const UNSURE: f32 = 0.02;

fn compare(what: &str, found: &[Candidate], expected: &[[f32; 5]], least: f32, longer: f32) {
    let sure = |score: f32| score > least + UNSURE;
    let (found, expected): (Vec<_>, Vec<_>) = (
        found.iter().filter(|f| sure(f.score)).collect(),
        expected.iter().filter(|e| sure(e[4])).collect(),
    );
    assert_eq!(found.len(), expected.len(), "{what}: {found:?} for {expected:?}");
    for (found, [left, top, right, bottom, score]) in found.iter().zip(&expected) {
        assert!(
            (found.score - score).abs() < SCORE,
            "{what}: {found:?} for {score}"
        );
        let Rect {
            left: l,
            top: t,
            right: r,
            bottom: b,
        } = found.area;
        for (is, should) in [(l, left), (t, top), (r, right), (b, bottom)] {
            assert!(
                (is - should).abs() < EDGE * longer,
                "{what}: {found:?} for {expected:?}"
            );
        }
    }
}

#[test]
fn the_networks_see_what_the_reference_saw() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let reference = std::fs::read(root.join("models/reference.json")).expect("the reference");
    let reference: Vec<Expected> = serde_json::from_slice(&reference).expect("the reference");
    assert!(
        reference
            .iter()
            .any(|r| !r.fine.is_empty() && !r.coarse.is_empty())
    );
    for Expected {
        picture: path,
        fine,
        coarse,
        middle,
    } in reference
    {
        let mut picture = image::open(root.join(&path)).expect("a sample").to_rgba8();
        for pixel in picture.pixels_mut() {
            let alpha = f32::from(pixel[3]) / 255.0;
            for channel in 0..3 {
                let over = f32::from(pixel[channel]) * alpha + f32::from(MARGIN) * (1.0 - alpha);
                pixel[channel] = over.round() as u8;
            }
        }
        let picture = image::DynamicImage::ImageRgba8(picture).into_rgb8();
        let longer = picture.width().max(picture.height()) as f32;
        let found = Detector::shared().at_first_sight(&picture);
        for (what, (found, expected)) in ["fine", "coarse"].iter().zip(found.iter().zip([fine, coarse])) {
            compare(&format!("{path}, {what}"), found, &expected, LEAST, longer);
        }
        let side = longer / CLOSE;
        let area = Rect::around(
            picture.width() as f32 / 2.0,
            picture.height() as f32 / 2.0,
            side,
            side,
        );
        let [is] = Detector::shared().verifier.ask(&picture, &[area])[..] else {
            panic!("one area, one answer");
        };
        assert!((is - middle).abs() < LOG_ODDS, "{path}: {is} for {middle}");
    }
}
