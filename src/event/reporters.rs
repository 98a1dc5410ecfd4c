//! The consumers of events, and their counts.

use super::{Event, Summary};

/// Consumes events. Called from many tasks at once; must not block for long.
pub trait Reporter: Send + Sync {
    /// Handles one event.
    fn event(&self, event: &Event);
}

/// Passes every event to several reporters, and counts the events.
pub struct Reporters {
    all: Vec<Box<dyn Reporter>>,
    count: std::sync::Mutex<Summary>,
}

impl Reporters {
    /// The reporters of one command.
    pub fn new(command: &'static str, all: Vec<Box<dyn Reporter>>) -> Self {
        Self {
            all,
            count: std::sync::Mutex::new(Summary {
                command,
                ..Summary::default()
            }),
        }
    }

    /// Adds a reporter that receives events before the others: a script that reads an event finds the work of this
    /// reporter done.
    pub fn add(&mut self, reporter: Box<dyn Reporter>) {
        self.all.insert(0, reporter);
    }

    /// Emits one event to all reporters.
    pub fn emit(&self, event: Event) {
        if tracing::enabled!(tracing::Level::INFO)
            && let Ok(event) = serde_json::to_string(&event)
        {
            tracing::info!("{event}");
        }
        self.count
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .count(&event);
        for reporter in &self.all {
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
