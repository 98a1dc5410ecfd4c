//! Estimates how likely a proposed box is a face: logistic regression on the scores of both networks and the size.
//!
//! Fitted by `training/calibrate.py` on labelled images that the art network was not trained on.

/// Weights of: BlazeFace, the art network, the larger and the smaller score, ln(size), size above one half.
const WEIGHTS: [f32; 6] = [1.914, 3.820, 2.503, 3.230, 0.791, 2.907];
const BIAS: f32 = -1.818;
/// Weights for an uncertain face after a close-up pass: the log-odds before, the art network.
const CLOSER: [f32; 2] = [0.727, 3.266];
const CLOSER_BIAS: f32 = -1.172;
/// Fraction of the first face's size from which a second face counts fully: a much smaller one is an emblem, a
/// staff's head, or a person in the background.
const COMPARABLE: f32 = 0.45;

/// The likelihood (0–1) that a box is a face, from both scores and its longer side over the image's.
pub(super) fn face([blaze, art]: [f32; 2], size: f32) -> f32 {
    let size = size.max(1e-3);
    let evidence = [
        blaze,
        art,
        blaze.max(art),
        blaze.min(art),
        size.ln(),
        (size - 0.5).max(0.0),
    ];
    logistic(&evidence, &WEIGHTS, BIAS)
}

/// The likelihood (0–1) that an uncertain face is one, after the art network ran on a close-up.
pub(super) fn rescore(before: f32, art: f32) -> f32 {
    let odds = (before / (1.0 - before)).ln();
    logistic(&[odds, art], &CLOSER, CLOSER_BIAS)
}

fn logistic(evidence: &[f32], weights: &[f32], bias: f32) -> f32 {
    let sum: f32 = evidence.iter().zip(weights).map(|(e, w)| e * w).sum();
    1.0 / (1.0 + (-(sum + bias)).exp())
}

/// The weight (0–1) of a second face relative to the first, from the sizes of both.
pub(crate) fn comparable(first: f32, second: f32) -> f32 {
    (second / first.max(1e-3) / COMPARABLE).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_agree_are_believed_more_than_one_alone() {
        let (both, art, blaze, none) = (
            face([0.8, 0.9], 0.3),
            face([0.0, 0.9], 0.3),
            face([0.5, 0.0], 0.3),
            face([0.1, 0.05], 0.3),
        );
        assert!(
            both > art && art > blaze && blaze > none,
            "{both} {art} {blaze} {none}"
        );
        assert!(both > 0.95 && none < 0.2, "{both} {none}");
    }

    #[test]
    fn a_second_face_counts_by_its_size_beside_the_first() {
        assert_eq!(comparable(100.0, 90.0), 1.0);
        assert!((comparable(100.0, 9.0) - 0.2).abs() < 1e-6);
    }
}
