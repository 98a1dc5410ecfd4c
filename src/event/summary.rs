//! Counts the events, and derives the result of the command.

use super::{Event, Summary};
use crate::exit::ExitCode;
use crate::inspect::Verdict;
use crate::ledger::Approval;
use crate::plan::Standing;

impl Summary {
    /// Counts one event.
    pub(crate) fn count(&mut self, event: &Event) {
        match event {
            Event::Castline { characters, .. } => self.characters = *characters as u64,
            Event::BadRow { .. } => self.bad_rows += 1,
            Event::Checked {
                name,
                verdict,
                approved,
                ..
            } => {
                match verdict {
                    Verdict::Suitable => self.images.suitable += 1,
                    Verdict::Review => self.images.review += 1,
                    Verdict::Unsuitable => self.images.unsuitable += 1,
                }
                // `check` plans nothing: the image alone determines the standing.
                if self.command == CHECK {
                    let approval = match approved {
                        None => Approval::None,
                        Some(true) => Approval::Overridden,
                        Some(false) => Approval::Rejected,
                    };
                    self.set_standing(name, Standing::of_image(*verdict, approval));
                }
            }
            Event::Planned {
                name,
                standing,
                cost_usd,
            } => {
                if standing.is_paid_next() {
                    self.to_enroll += 1;
                    self.planned_usd = self.planned_usd + *cost_usd;
                }
                // Calls of an interrupted run are settled, and counted, before the cast is inspected.
                if !self.by_name.contains_key(name) {
                    self.set_standing(name, *standing);
                }
            }
            Event::Enrolled { name, cost_usd, .. } => {
                self.set_standing(name, Standing::Enrolled);
                self.enrolled += 1;
                self.ended += 1;
                self.cost_usd = self.cost_usd + *cost_usd;
            }
            Event::Failed { name, standing, .. } => {
                self.set_standing(name, *standing);
                self.ended += 1;
                self.failed += u64::from(*standing == Standing::Failed);
            }
            Event::InDoubt { name, cost_usd, .. } => {
                self.set_standing(name, Standing::InDoubt);
                self.ended += 1;
                self.in_doubt_usd = self.in_doubt_usd + *cost_usd;
            }
            Event::Published { .. } => self.published += 1,
            Event::LivenessLink { .. }
            | Event::Liveness { .. }
            | Event::Paused { .. }
            | Event::Stopping { .. }
            | Event::WriteFailed { .. }
            | Event::Error { .. }
            | Event::Plan(_)
            | Event::Summary(_) => {}
        }
    }

    /// Moves a character from the count of its previous standing to that of `now`.
    fn set_standing(&mut self, name: &str, now: Standing) {
        if let Some(before) = self.by_name.insert(name.to_owned(), now) {
            self.standing[before] -= 1;
        }
        self.standing[now] += 1;
    }

    /// The number of characters that the command covers: those of the cast, and those that an interrupted run began.
    pub(crate) fn all(&self) -> u64 {
        self.characters.max(self.reached())
    }

    /// The number of characters that have a standing by now.
    pub(crate) fn reached(&self) -> u64 {
        self.by_name.len() as u64
    }

    /// The characters by standing, with counts that add up to [`Summary::all`].
    pub(crate) fn parts(&self) -> Vec<(u64, String)> {
        let standing = self.standing.iter().map(|(standing, count)| {
            let now = self.enrolled;
            let label = match standing {
                Standing::Enrolled if now > 0 && now < *count => format!("enrolled ({now} of them now)"),
                _ => standing.label().to_owned(),
            };
            (*count, label)
        });
        let rest = (self.all() - self.reached(), "not reached".to_owned());
        standing.chain([rest]).collect()
    }

    /// The exit code that follows from the counts alone.
    pub fn exit(&self) -> ExitCode {
        if self.standing[Standing::InDoubt] > 0 {
            ExitCode::InDoubt
        } else if self.needs_a_person() > 0 {
            ExitCode::Partial
        } else {
            ExitCode::Done
        }
    }

    /// The number of characters and rows that need action by the user. Real actors count for `realface` only; those
    /// that failed before are tried again by the run, and count only if they fail in it, too.
    pub(crate) fn needs_a_person(&self) -> u64 {
        let waits = |standing: Standing| match standing {
            Standing::NeedsConsent | Standing::AwaitingLiveness => self.command == REALFACE,
            standing => standing.needs_a_person(),
        };
        let counts = self.standing.iter().filter(|(standing, _)| waits(*standing));
        self.bad_rows + self.failed + counts.map(|(_, count)| count).sum::<u64>()
    }
}

/// The command that only inspects images.
const CHECK: &str = "check";
/// The command that guides real actors through their liveness check.
const REALFACE: &str = "realface";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Stage;
    use crate::util::money::Usd;

    /// Arguments of [`event`] that plan the standing.
    const ENROLLED: usize = 3 + Standing::Enrolled as usize;
    const TO_ENROLL: usize = 3 + Standing::ToEnroll as usize;

    /// The events of a character in a run that may stop at any point: none, a standing, an outcome.
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
                standing: Standing::Refused,
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
                standing: Standing::ALL[(n - 3) % Standing::ALL.len()],
                cost_usd,
            },
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_parts_add_up_to_the_cast(
            characters in 1..20usize,
            happened in proptest::collection::vec((0..20usize, 0..16usize), 0..60),
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
        for (name, approval) in [
            ("Ada", Approval::Approved),
            ("Bo", Approval::Rejected),
            ("Cy", Approval::None),
        ] {
            summary.count(&Event::checked(name, "a.png", &inspection, approval));
        }
        assert_eq!(
            shown(&summary),
            [(1, "suitable"), (1, "to review"), (1, "rejected")].map(|(n, label)| (n, label.to_owned()))
        );
        assert_eq!(summary.needs_a_person(), 2);
    }

    fn shown(summary: &Summary) -> Vec<(u64, String)> {
        summary
            .parts()
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .collect()
    }

    #[test]
    fn a_run_that_stops_at_its_budget_tells_whom_it_did_not_reach() {
        let mut summary = Summary {
            command: "run",
            characters: 13,
            ..Summary::default()
        };
        for n in 0..8 {
            summary.count(&event(&format!("Hero {n}"), TO_ENROLL));
        }
        for n in 0..5 {
            summary.count(&event(&format!("Hero {n}"), if n == 0 { 2 } else { 0 }));
        }
        assert_eq!(
            shown(&summary),
            [
                (4, "enrolled"),
                (3, "to enroll"),
                (1, "in doubt"),
                (5, "not reached")
            ]
            .map(|(n, label)| (n, label.to_owned()))
        );
    }

    #[test]
    fn only_what_fails_now_needs_a_person() {
        let planned = 3 + Standing::Failed as usize;
        let mut summary = Summary {
            command: "run",
            characters: 1,
            ..Summary::default()
        };
        summary.count(&event("Ada", planned));
        assert_eq!(summary.exit(), ExitCode::Done, "the run tries it again");
        let (code, message) = (String::new(), String::new());
        summary.count(&Event::Failed {
            name: "Ada".to_owned(),
            stage: Stage::Publish,
            standing: Standing::Failed,
            code,
            message,
        });
        assert_eq!(summary.exit(), ExitCode::Partial);
        assert_eq!(summary.standing[Standing::Failed], 1);
    }

    #[test]
    fn what_an_interrupted_run_had_sent_counts_once() {
        let mut summary = Summary {
            command: "run",
            characters: 1,
            ..Summary::default()
        };
        // Enrolled by the resent payment, and then found to be enrolled.
        summary.count(&event("Ada", 0));
        summary.count(&event("Ada", ENROLLED));
        assert_eq!((summary.enrolled, summary.standing[Standing::Enrolled]), (1, 1));
    }
}
