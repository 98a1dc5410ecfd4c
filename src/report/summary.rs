//! Counts what happens, and says at the end what it means.

use crate::exit::ExitCode;
use crate::inspect::Verdict;
use crate::plan::Action;

use super::{Event, Summary};

impl Summary {
    /// Counts one event.
    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::Castline { characters, .. } => self.characters = *characters as u64,
            Event::BadRow { .. } => self.bad_rows += 1,
            Event::Checked { verdict, .. } => match verdict {
                Verdict::Suitable => self.suitable += 1,
                Verdict::Review => self.review += 1,
                Verdict::Unsuitable => self.unsuitable += 1,
            },
            Event::Planned { action, cost_usd, .. } => match action {
                Action::Enroll => {
                    self.to_enroll += 1;
                    self.planned_usd = self.planned_usd + *cost_usd;
                }
                Action::Keep => self.kept += 1,
                Action::Hold => self.held += 1,
                Action::Review => self.to_review += 1,
                Action::InDoubt => self.in_doubt += 1,
                Action::Waiting => self.waiting += 1,
                Action::Refused => self.refused_before += 1,
                Action::Unsuitable => self.rejected += 1,
            },
            Event::Enrolled { cost_usd, .. } => {
                self.enrolled += 1;
                self.cost_usd = self.cost_usd + *cost_usd;
            }
            Event::Failed { .. } => self.failed += 1,
            Event::InDoubt { cost_usd, .. } => {
                self.in_doubt += 1;
                self.in_doubt_usd = self.in_doubt_usd + *cost_usd;
            }
            Event::Published { .. } => self.published += 1,
            Event::Session { .. }
            | Event::Liveness { .. }
            | Event::Paused { .. }
            | Event::Stopping { .. }
            | Event::Plan(_)
            | Event::Summary(_) => {}
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
            self.review + self.unsuitable
        } else {
            self.to_review + self.rejected
        }
    }

    /// How many characters wait for somebody to do something about their pictures.
    pub fn needs_a_person(&self) -> u64 {
        self.unsure() + self.held + self.failed + self.refused_before + self.bad_rows
    }
}
