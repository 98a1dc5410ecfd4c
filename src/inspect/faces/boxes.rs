//! Boxes: overlap, suppression within a pass, and merging across passes.

use super::Found;

/// An area in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
}

/// A box that one pass proposes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) area: Rect,
    pub(super) score: f32,
}

/// Within a pass, boxes that overlap more are one.
const SAME_IN_PASS: f32 = 0.3;
/// Across passes: intersection over union, or over the smaller one.
const SAME_ACROSS: f32 = 0.3;
const SAME_WITHIN: f32 = 0.65;
const PASSES: usize = 3;

impl Rect {
    pub(super) fn around(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self {
            left: x - width / 2.0,
            top: y - height / 2.0,
            right: x + width / 2.0,
            bottom: y + height / 2.0,
        }
    }

    pub(super) fn shifted(self, x: f32, y: f32) -> Self {
        Self {
            left: self.left + x,
            top: self.top + y,
            right: self.right + x,
            bottom: self.bottom + y,
        }
    }

    pub(crate) fn scaled(self, by: f32) -> Self {
        Self {
            left: self.left * by,
            top: self.top * by,
            right: self.right * by,
            bottom: self.bottom * by,
        }
    }

    pub(crate) fn width(self) -> f32 {
        (self.right - self.left).max(0.0)
    }

    pub(crate) fn height(self) -> f32 {
        (self.bottom - self.top).max(0.0)
    }

    pub(crate) fn longer_side(self) -> f32 {
        self.width().max(self.height())
    }

    pub(crate) fn area(self) -> f32 {
        self.width() * self.height()
    }

    /// The area that both share.
    pub(crate) fn shared(self, other: Self) -> f32 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    fn over_union(self, other: Self) -> f32 {
        let shared = self.shared(other);
        shared / (self.area() + other.area() - shared).max(1e-9)
    }

    fn over_smaller(self, other: Self) -> f32 {
        self.shared(other) / self.area().min(other.area()).max(1e-9)
    }
}

/// Of boxes that overlap, keeps the surest.
pub(super) fn suppress(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept
            .iter()
            .all(|k| candidate.area.over_union(k.area) <= SAME_IN_PASS)
        {
            kept.push(candidate);
        }
    }
    kept
}

/// Boxes that several passes propose are one face; its score is the sum of theirs over the passes.
pub(super) fn merge(passes: [Vec<Candidate>; PASSES]) -> Vec<Found> {
    let mut all: Vec<(usize, Candidate)> = passes
        .into_iter()
        .enumerate()
        .flat_map(|(p, boxes)| boxes.into_iter().map(move |b| (p, b)))
        .collect();
    all.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut merged: Vec<(Rect, [Option<f32>; PASSES])> = Vec::new();
    for (pass, candidate) in all {
        let same = merged.iter_mut().find(|(area, _)| {
            candidate.area.over_union(*area) > SAME_ACROSS || candidate.area.over_smaller(*area) > SAME_WITHIN
        });
        match same {
            // A pass counts once, with the surest of its boxes: they come in that order.
            Some((_, scores)) => _ = scores[pass].get_or_insert(candidate.score),
            None => {
                let mut scores = [None; PASSES];
                scores[pass] = Some(candidate.score);
                merged.push((candidate.area, scores));
            }
        }
    }
    let score = |scores: [Option<f32>; PASSES]| scores.iter().flatten().sum::<f32>() / PASSES as f32;
    let mut found: Vec<Found> = merged
        .into_iter()
        .map(|(area, scores)| Found {
            area,
            score: score(scores),
        })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(x: f32, side: f32, score: f32) -> Candidate {
        Candidate {
            area: Rect::around(x, 50.0, side, side),
            score,
        }
    }

    #[test]
    fn a_face_that_all_passes_see_is_one_face_with_their_mean_score() {
        let found = merge([
            vec![candidate(50.0, 20.0, 0.9)],
            vec![candidate(51.0, 22.0, 0.6)],
            vec![candidate(49.0, 19.0, 0.3)],
        ]);
        assert_eq!(found.len(), 1);
        assert!((found[0].score - 0.6).abs() < 1e-6);
    }

    #[test]
    fn a_small_box_within_a_large_one_is_the_same_face() {
        let found = merge([
            vec![candidate(50.0, 40.0, 0.9)],
            vec![candidate(52.0, 18.0, 0.6)],
            vec![],
        ]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn faces_apart_are_two() {
        let found = merge([
            vec![candidate(20.0, 20.0, 0.9), candidate(80.0, 20.0, 0.8)],
            vec![],
            vec![],
        ]);
        assert_eq!(found.len(), 2);
        assert!(found[0].score > found[1].score);
    }
}
