//! Proposes thresholds for a studio's own art, from labelled images.

use serde::Serialize;

/// A labelled image, and what was seen in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Whether it shows exactly one face, as labelled.
    pub one: bool,
    /// The likelihood (0–1) of the clearest face.
    pub best: f32,
    /// The likelihood (0–1) of a comparable second one.
    pub second: f32,
    /// Whether something besides the number of faces keeps it from being suitable.
    pub held: bool,
    /// Any number that is the same for images that resemble each other, such as those of a folder: they are measured
    /// with thresholds that were chosen without them.
    pub group: u64,
}

/// The thresholds that decide which images are accepted: [`Thresholds::sure`](super::Thresholds) and
/// [`Thresholds::second`](super::Thresholds).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Choice {
    /// Least likelihood of the face.
    pub sure: f32,
    /// Likelihood of a second face from which an image is not accepted.
    pub second: f32,
}

/// A share of images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The number of images that are meant.
    pub part: u32,
    /// The number of all.
    pub of: u32,
}

/// The images that a choice of thresholds accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Accepted, of those with exactly one face.
    pub accepted: Share,
    /// Accepted, of the others.
    pub accepted_wrongly: Share,
}

/// A proposal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Suggestion {
    /// The thresholds, chosen on all images; `None` if none keeps to the wanted rate.
    pub choice: Option<Choice>,
    /// What to expect of it: every image judged with thresholds that were chosen without its group.
    pub expected: Outcome,
    /// The outcome of today's thresholds.
    pub now: Outcome,
}

/// Parts into which groups are divided to measure what to expect.
const FOLDS: u64 = 5;
/// The least and greatest `sure` that is tried, in hundredths.
const SURE: std::ops::RangeInclusive<u8> = 30..=99;
/// The values of `second` that are tried, in hundredths.
const SECOND: [u8; 8] = [50, 40, 30, 25, 20, 15, 10, 5];

impl Choice {
    fn accepts(self, seen: &Seen) -> bool {
        !seen.held && seen.best >= self.sure && seen.second < self.second
    }
}

impl Share {
    fn add(&mut self, counts: bool) {
        self.part += u32::from(counts);
        self.of += 1;
    }

    /// The share, 0–1; 0 of nothing.
    pub fn rate(self) -> f64 {
        f64::from(self.part) / f64::from(self.of.max(1))
    }

    /// Wilson's 95 % interval of the share (E. B. Wilson, 1927), 0–1 each.
    pub fn interval(self) -> (f64, f64) {
        const Z: f64 = 1.96;
        let (p, n) = (self.rate(), f64::from(self.of.max(1)));
        let middle = p + Z * Z / (2.0 * n);
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let all = 1.0 + Z * Z / n;
        (
            ((middle - spread) / all).max(0.0),
            ((middle + spread) / all).min(1.0),
        )
    }
}

impl Outcome {
    fn add(&mut self, choice: Choice, seen: &Seen) {
        let share = if seen.one {
            &mut self.accepted
        } else {
            &mut self.accepted_wrongly
        };
        share.add(choice.accepts(seen));
    }

    fn of<'a>(choice: Choice, all: impl IntoIterator<Item = &'a Seen>) -> Self {
        let mut outcome = Self::default();
        for seen in all {
            outcome.add(choice, seen);
        }
        outcome
    }
}

/// Proposes the thresholds that accept the most images with one face, and of the others at most `most` (0–1).
pub fn suggest(all: &[Seen], most: f64, today: Choice) -> Suggestion {
    let mut expected = Outcome::default();
    for fold in 0..FOLDS {
        let (tested, others): (Vec<&Seen>, Vec<&Seen>) =
            all.iter().partition(|seen| seen.group % FOLDS == fold);
        let choice = choose(&others, most).unwrap_or(STRICTEST);
        for seen in tested {
            expected.add(choice, seen);
        }
    }
    Suggestion {
        choice: choose(&all.iter().collect::<Vec<_>>(), most),
        expected,
        now: Outcome::of(today, all),
    }
}

const STRICTEST: Choice = Choice {
    sure: 0.99,
    second: 0.05,
};

fn choose(all: &[&Seen], most: f64) -> Option<Choice> {
    let hundredths = |value: u8| f32::from(value) / 100.0;
    let choices = SECOND.iter().flat_map(|second| {
        SURE.rev().map(|sure| Choice {
            sure: hundredths(sure),
            second: hundredths(*second),
        })
    });
    choices
        .map(|choice| (choice, Outcome::of(choice, all.iter().copied())))
        .filter(|(_, outcome)| outcome.accepted_wrongly.rate() <= most)
        // The strictest `sure` of those that accept as many.
        .max_by(|(a, one), (b, other)| {
            let by_accepted = one.accepted.part.cmp(&other.accepted.part);
            by_accepted.then(a.sure.total_cmp(&b.sure))
        })
        .map(|(choice, _)| choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Faces from .6 upwards, things up to .8, two of them with a second face; each its own group.
    fn art() -> Vec<Seen> {
        (0..100)
            .map(|at: u64| {
                let one = at.is_multiple_of(2);
                let part = at as f32 / 100.0;
                Seen {
                    one,
                    best: if one { 0.6 + part * 0.4 } else { part * 0.8 },
                    second: if at == 11 || at == 13 { 0.45 } else { 0.0 },
                    held: false,
                    group: at / 2,
                }
            })
            .collect()
    }

    const TODAY: Choice = Choice {
        sure: 0.85,
        second: 0.25,
    };

    #[test]
    fn a_lower_wanted_rate_gives_stricter_thresholds() {
        let sure = |most| suggest(&art(), most, TODAY).choice.unwrap().sure;
        assert!(sure(0.0) > sure(0.1) && sure(0.1) > sure(0.4));
        // The things' best are .792 and below.
        assert_eq!(sure(0.0), 0.8);
    }

    #[test]
    fn what_to_expect_is_measured_on_what_was_not_chosen_on() {
        let found = suggest(&art(), 0.0, TODAY);
        assert_eq!(found.now.accepted_wrongly, Share { part: 0, of: 50 });
        let chosen = Outcome::of(found.choice.unwrap(), &art());
        assert_eq!(chosen.accepted_wrongly.part, 0);
        assert!(
            found.expected.accepted_wrongly.part > 0,
            "a threshold fits the things it was chosen on"
        );
        assert_eq!(
            found.expected.accepted.of + found.expected.accepted_wrongly.of,
            100
        );
    }

    #[test]
    fn nothing_is_proposed_where_nothing_keeps_to_the_rate() {
        let mut all = art();
        all[1].best = 1.0;
        assert_eq!(suggest(&all, 0.01, TODAY).choice, None);
        assert!(suggest(&all, 0.02, TODAY).choice.is_some());
    }

    #[test]
    fn the_interval_is_wilsons() {
        let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 5e-4 && (b - d).abs() < 5e-4;
        assert!(near(Share { part: 0, of: 20 }.interval(), (0.0, 0.161)));
        assert!(near(Share { part: 10, of: 20 }.interval(), (0.299, 0.701)));
    }
}
