//! Boxes of faces: overlap, suppression within a pass, and merging across passes.

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

/// Intersection over union above which boxes within a pass are one face.
const SAME_IN_PASS: f32 = 0.3;
/// Across passes, boxes above this intersection over union, or over the smaller box ([`SAME_WITHIN`]), are one face.
const SAME_ACROSS: f32 = 0.3;
const SAME_WITHIN: f32 = 0.65;
const PASSES: usize = 2;

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

    pub(super) fn centre(self) -> (f32, f32) {
        ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    /// Whether boxes of two passes are the same face.
    pub(super) fn is_same(self, other: Self) -> bool {
        self.over_union(other) > SAME_ACROSS || self.over_smaller(other) > SAME_WITHIN
    }

    /// The area of the intersection.
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

/// Keeps the most likely of overlapping boxes.
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

/// A face that one or several passes propose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merged {
    /// The most likely box.
    pub(super) area: Rect,
    /// The score of each pass; 0 where it proposes nothing.
    pub(super) scores: [f32; PASSES],
}

/// Merges boxes of several passes that are the same face.
pub(super) fn merge(passes: [Vec<Candidate>; PASSES]) -> Vec<Merged> {
    let mut all: Vec<(usize, Candidate)> = passes
        .into_iter()
        .enumerate()
        .flat_map(|(p, boxes)| boxes.into_iter().map(move |b| (p, b)))
        .collect();
    all.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut merged: Vec<Merged> = Vec::new();
    for (pass, Candidate { area, score }) in all {
        match merged.iter_mut().find(|m| area.is_same(m.area)) {
            // A pass counts once, with its most likely box, which comes first.
            Some(face) => face.scores[pass] = face.scores[pass].max(score),
            None => {
                let mut scores = [0.0; PASSES];
                scores[pass] = score;
                merged.push(Merged { area, scores });
            }
        }
    }
    merged
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
    fn a_face_that_both_passes_see_is_one_face_with_both_scores() {
        let found = merge([
            vec![candidate(50.0, 20.0, 0.6)],
            vec![candidate(51.0, 22.0, 0.9), candidate(50.0, 21.0, 0.2)],
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].scores, [0.6, 0.9]);
        assert_eq!(found[0].area, candidate(51.0, 22.0, 0.9).area);
    }

    #[test]
    fn a_small_box_within_a_large_one_is_the_same_face() {
        let found = merge([vec![candidate(50.0, 40.0, 0.9)], vec![candidate(52.0, 18.0, 0.6)]]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn faces_apart_are_two() {
        let found = merge([
            vec![candidate(20.0, 20.0, 0.9), candidate(80.0, 20.0, 0.8)],
            vec![],
        ]);
        assert_eq!(found.len(), 2);
    }
}
