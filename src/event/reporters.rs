//! The consumers of events, and their counts.

use super::{Event, SCHEMA, Summary};
use crate::exit::ExitCode;

/// Consumes events. Called from many tasks at once; must not block for long.
pub trait Reporter: Send + Sync {
    /// Handles one event.
    fn event(&self, event: &Event);

    /// Whether it writes for machines, which get errors as events too.
    fn is_for_machines(&self) -> bool {
        false
    }
}

/// Passes every event to several reporters, and counts the events.
pub struct Reporters {
    all: std::sync::RwLock<Vec<Box<dyn Reporter>>>,
    count: std::sync::Mutex<Summary>,
    progress: std::sync::Mutex<Progress>,
}

/// How far the stream of events has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Nothing was emitted.
    Silent,
    /// The first event was emitted.
    Begun,
    /// The summary was emitted.
    Ended,
}

impl Reporters {
    /// The reporters of one command.
    pub fn new(command: &'static str, all: Vec<Box<dyn Reporter>>) -> Self {
        Self {
            all: std::sync::RwLock::new(all),
            count: std::sync::Mutex::new(Summary {
                command,
                ..Summary::default()
            }),
            progress: std::sync::Mutex::new(Progress::Silent),
        }
    }

    /// Adds a reporter that receives events before the others: a script that reads an event finds the work of this
    /// reporter done.
    pub fn add(&self, reporter: Box<dyn Reporter>) {
        let mut all = self
            .all
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.insert(0, reporter);
    }

    fn all(&self) -> std::sync::RwLockReadGuard<'_, Vec<Box<dyn Reporter>>> {
        self.all.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Tells machines that the command ends with an error: the first event if there was none, the error, and a summary.
    /// Returns `false`, and tells nothing, where the summary was emitted before.
    pub(crate) fn fail(&self, code: &str, message: &str, exit: ExitCode) -> bool {
        let before = std::mem::replace(&mut *self.progress(), Progress::Ended);
        if before == Progress::Ended {
            return false;
        }
        let summary = self.summary();
        let first = Event::Castline {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            command: summary.command,
            characters: 0,
        };
        let error = Event::Error {
            code: code.to_owned(),
            message: message.to_owned(),
            exit_code: exit.code(),
        };
        let last = Event::Summary(Summary {
            exit_code: exit.code(),
            ..summary
        });
        let first = (before == Progress::Silent).then_some(first);
        for event in first.into_iter().chain([error, last]) {
            let all = self.all();
            let machines = all.iter().filter(|reporter| reporter.is_for_machines());
            machines.for_each(|reporter| reporter.event(&event));
        }
        true
    }

    /// Emits one event to all reporters.
    pub fn emit(&self, event: Event) {
        {
            let mut progress = self.progress();
            *progress = (*progress).max(match event {
                Event::Summary(_) => Progress::Ended,
                _ => Progress::Begun,
            });
        }
        if tracing::enabled!(tracing::Level::INFO)
            && let Ok(event) = serde_json::to_string(&event)
        {
            tracing::info!("{event}");
        }
        self.count
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .count(&event);
        for reporter in &*self.all() {
            reporter.event(&event);
        }
    }

    /// The counts so far.
    pub fn summary(&self) -> Summary {
        self.count
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}
