//! Counts what happens, and says at the end what it means.

use crate::exit::ExitCode;
use crate::inspect::Verdict;
use crate::plan::Action;

use super::event::Standing;
use super::{Event, Summary};

impl Standing {
    fn of(action: Action) -> Self {
        match action {
            Action::Enroll => Self::Left,
            Action::Keep => Self::Kept,
            Action::Hold => Self::Held,
            Action::Review => Self::ToReview,
            Action::Unsuitable => Self::Rejected,
            Action::InDoubt => Self::InDoubt,
            Action::Refused => Self::RefusedBefore,
            Action::Waiting => Self::Waiting,
        }
    }
}

impl Summary {
    /// Counts one event.
    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::Castline { characters, .. } => self.characters = *characters as u64,
            Event::BadRow { .. } => self.bad_rows += 1,
            Event::Checked {
                verdict, approved, ..
            } => {
                match verdict {
                    Verdict::Suitable => self.suitable += 1,
                    Verdict::Review => self.review += 1,
                    Verdict::Unsuitable => self.unsuitable += 1,
                }
                match approved {
                    Some(true) => self.approved += 1,
                    Some(false) => self.rejected += 1,
                    None => {}
                }
            }
            Event::Planned {
                name,
                action,
                cost_usd,
            } => {
                if *action == Action::Enroll {
                    self.to_enroll += 1;
                    self.planned_usd = self.planned_usd + *cost_usd;
                }
                // What an interrupted run had sent is settled before the cast is looked at, and counted then.
                if !self.standing.contains_key(name) {
                    self.stands(name, Standing::of(*action));
                }
            }
            Event::Enrolled { name, cost_usd, .. } => {
                self.stands(name, Standing::Enrolled);
                self.cost_usd = self.cost_usd + *cost_usd;
            }
            Event::Failed { name, .. } => self.stands(name, Standing::Failed),
            Event::InDoubt { name, cost_usd, .. } => {
                self.stands(name, Standing::InDoubt);
                self.in_doubt_usd = self.in_doubt_usd + *cost_usd;
            }
            Event::Published { .. } => self.published += 1,
            Event::Session { .. }
            | Event::Liveness { .. }
            | Event::Paused { .. }
            | Event::Stopping { .. }
            | Event::Unwritten { .. }
            | Event::Plan(_)
            | Event::Summary(_) => {}
        }
    }

    /// Counts a character where it stands from now on, and no more where it stood before.
    fn stands(&mut self, name: &str, now: Standing) {
        if let Some(before) = self.standing.insert(name.to_owned(), now) {
            *self.counter(before) -= 1;
        }
        *self.counter(now) += 1;
    }

    fn counter(&mut self, standing: Standing) -> &mut u64 {
        match standing {
            Standing::Left => &mut self.left,
            Standing::Kept => &mut self.kept,
            Standing::Held => &mut self.held,
            Standing::ToReview => &mut self.to_review,
            Standing::Rejected => &mut self.rejected,
            Standing::Waiting => &mut self.waiting,
            Standing::RefusedBefore => &mut self.refused_before,
            Standing::Enrolled => &mut self.enrolled,
            Standing::Failed => &mut self.failed,
            Standing::InDoubt => &mut self.in_doubt,
        }
    }

    /// How many characters the command was about: those of the cast, and whom an interrupted run had begun.
    pub(super) fn all(&self) -> u64 {
        self.characters.max(self.standing.len() as u64)
    }

    /// What became of all of them, in parts that add up to [`Summary::all`].
    pub(super) fn parts(&self) -> Vec<(u64, &'static str)> {
        if self.command == "check" {
            let judged = self.suitable + self.review + self.unsuitable;
            return vec![
                (self.suitable, "suitable"),
                (self.approved, "approved"),
                (self.undecided(), "to review"),
                (self.unsuitable + self.rejected, "unsuitable"),
                (self.all().saturating_sub(judged), "not reached"),
            ];
        }
        let left = if self.command == "plan" {
            "to enroll"
        } else {
            "left"
        };
        vec![
            (self.enrolled, "enrolled"),
            (self.left, left),
            (self.kept, "kept"),
            (self.held, "held"),
            (self.to_review, "to review"),
            (self.rejected, "unsuitable"),
            (self.waiting, "waiting for realface"),
            (self.refused_before, "refused before"),
            (self.failed, "failed"),
            (self.in_doubt, "in doubt"),
            (self.all() - self.standing.len() as u64, "not reached"),
        ]
    }

    /// How many characters it is known of what is done with them.
    pub(super) fn reached(&self) -> u64 {
        match self.command {
            "check" => self.suitable + self.review + self.unsuitable,
            _ => self.standing.len() as u64,
        }
    }

    /// The exit code that these counts alone ask for.
    pub fn exit(&self) -> ExitCode {
        if self.in_doubt > 0 {
            ExitCode::InDoubt
        } else if self.needs_a_person() > 0 {
            ExitCode::SomeFailed
        } else {
            ExitCode::Done
        }
    }

    /// How many pictures are not suitable, and not approved where that is known.
    pub(super) fn unsure(&self) -> u64 {
        if self.command == "check" {
            self.undecided() + self.unsuitable + self.rejected
        } else {
            self.to_review + self.rejected
        }
    }

    /// Of `check`: how many unsure pictures nobody has decided on.
    fn undecided(&self) -> u64 {
        self.review.saturating_sub(self.approved + self.rejected)
    }

    /// How many characters wait for somebody to do something about their pictures.
    pub fn needs_a_person(&self) -> u64 {
        self.unsure() + self.held + self.failed + self.refused_before + self.bad_rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Usd;
    use crate::report::Stage;

    const ACTIONS: [Action; 8] = [
        Action::Enroll,
        Action::Keep,
        Action::Hold,
        Action::Review,
        Action::Unsuitable,
        Action::InDoubt,
        Action::Refused,
        Action::Waiting,
    ];

    /// What may become of a character, in a run that may stop at any point: nothing, an action, an outcome.
    fn event(name: &str, what: usize) -> Event {
        let (name, cost_usd) = (name.to_owned(), Usd::from_micros(10_000));
        let (code, message) = (String::new(), String::new());
        match what {
            0 => Event::Enrolled {
                name,
                asset_id: "ta_1".to_owned(),
                cost_usd,
            },
            1 => Event::Failed {
                name,
                stage: Stage::Enroll,
                code,
                message,
            },
            2 => Event::InDoubt {
                name,
                code,
                message,
                cost_usd,
                asset_id: None,
            },
            n => Event::Planned {
                name,
                action: ACTIONS[(n - 3) % ACTIONS.len()],
                cost_usd,
            },
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_parts_add_up_to_the_cast(
            characters in 1..20usize,
            happened in proptest::collection::vec((0..20usize, 0..11usize), 0..60),
        ) {
            let mut summary = Summary { command: "run", ..Summary::default() };
            summary.characters = characters as u64;
            for (who, what) in happened {
                summary.count(&event(&format!("Hero {}", who % characters), what));
                let sum: u64 = summary.parts().iter().map(|(count, _)| count).sum();
                prop_assert_eq!(sum, summary.characters);
            }
        }
    }

    #[test]
    fn what_people_decided_is_no_more_to_review() {
        let mut summary = Summary {
            command: "check",
            characters: 3,
            ..Summary::default()
        };
        let inspection = crate::inspect::Inspection {
            verdict: Verdict::Review,
            ..crate::inspect::Inspection::unreadable(crate::inspect::ReasonCode::NoFace, String::new())
        };
        for decided in [Some(true), Some(false), None] {
            let mut event = Event::checked("Ada", "ada.png", &inspection);
            if let Event::Checked { approved, .. } = &mut event {
                *approved = decided;
            }
            summary.count(&event);
        }
        let told: Vec<_> = summary.parts().into_iter().filter(|(n, _)| *n > 0).collect();
        assert_eq!(told, [(1, "approved"), (1, "to review"), (1, "unsuitable")]);
        assert_eq!(summary.unsure(), 2);
    }

    #[test]
    fn a_run_that_stops_at_its_budget_tells_whom_it_did_not_reach() {
        let mut summary = Summary {
            command: "run",
            characters: 13,
            ..Summary::default()
        };
        for n in 0..8 {
            summary.count(&event(&format!("Hero {n}"), 3));
        }
        for n in 0..5 {
            summary.count(&event(&format!("Hero {n}"), if n == 0 { 2 } else { 0 }));
        }
        let told: Vec<_> = summary
            .parts()
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .collect();
        assert_eq!(
            told,
            [(4, "enrolled"), (3, "left"), (1, "in doubt"), (5, "not reached")]
        );
    }

    #[test]
    fn what_an_interrupted_run_had_sent_counts_once() {
        let mut summary = Summary {
            command: "run",
            characters: 1,
            ..Summary::default()
        };
        // Enrolled by the payment sent again, and then found to be kept.
        summary.count(&event("Ada", 0));
        summary.count(&event("Ada", 4));
        assert_eq!((summary.enrolled, summary.kept), (1, 0));
    }
}
