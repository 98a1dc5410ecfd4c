//! Estimates how likely a proposed box is a face: logistic regression on the fine and the coarse score and the
//! size, and where there is doubt on what the verifier says.
//!
//! Fitted by `training/calibrate.py` on labelled images that neither network was trained on.

/// Weights of: the fine and the coarse score, the larger and the smaller one, ln(size), size above one half.
const WEIGHTS: [f32; 6] = [2.818, 2.636, 3.305, 2.149, 0.471, 1.983];
const BIAS: f32 = -2.469;
/// Weights for an uncertain face once the verifier was asked: the log-odds before, the verifier's log-odds.
const ASKED: [f32; 2] = [0.775, 0.717];
const ASKED_BIAS: f32 = -0.327;
/// The most that the verifier's log-odds count, either way (`training/README.md`).
const BELIEVED: f32 = 2.5;
/// Fraction of the first face's size from which a second face counts fully: a much smaller one is an emblem, a
/// staff's head, or a person in the background.
const COMPARABLE: f32 = 0.45;

/// The likelihood (0–1) that a box is a face, from both scores and its longer side over the image's.
pub(super) fn face([fine, coarse]: [f32; 2], size: f32) -> f32 {
    let size = size.max(1e-3);
    let evidence = [
        fine,
        coarse,
        fine.max(coarse),
        fine.min(coarse),
        size.ln(),
        (size - 0.5).max(0.0),
    ];
    logistic(&evidence, &WEIGHTS, BIAS)
}

/// The likelihood (0–1) that an uncertain face is one, from that before and the verifier's log-odds.
pub(super) fn rescore(before: f32, near: f32) -> f32 {
    let odds = (before / (1.0 - before)).ln();
    logistic(&[odds, near.clamp(-BELIEVED, BELIEVED)], &ASKED, ASKED_BIAS)
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
    fn what_both_looks_see_is_believed_more_than_what_one_sees() {
        let (both, coarse, fine, none) = (
            face([0.8, 0.9], 0.3),
            face([0.0, 0.9], 0.3),
            face([0.5, 0.0], 0.3),
            face([0.1, 0.05], 0.3),
        );
        assert!(
            both > coarse && coarse > fine && fine > none,
            "{both} {coarse} {fine} {none}"
        );
        assert!(both > 0.95 && none < 0.2, "{both} {none}");
    }

    #[test]
    fn the_verifier_decides_where_there_is_doubt_but_not_alone() {
        assert!(rescore(0.4, 4.0) > 0.7 && rescore(0.4, -4.0) < 0.15);
        assert!(rescore(0.9, -9.0) > rescore(0.2, -9.0) && rescore(0.9, -9.0) == rescore(0.9, -3.0));
    }

    #[test]
    fn a_second_face_counts_by_its_size_beside_the_first() {
        assert_eq!(comparable(100.0, 90.0), 1.0);
        assert!((comparable(100.0, 9.0) - 0.2).abs() < 1e-6);
    }
}
