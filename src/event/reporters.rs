//! Who consumes events, and the counts of them.

use super::{Event, Summary};

/// Consumes events. Called from many tasks at once; must not block for long.
pub trait Reporter: Send + Sync {
    /// One thing that happened.
    fn event(&self, event: &Event);
}

/// Tells every event to several reporters, and counts them.
pub struct Reporters {
    all: Vec<Box<dyn Reporter>>,
    count: std::sync::Mutex<Summary>,
}

impl Reporters {
    /// Reporters for one command.
    pub fn new(command: &'static str, all: Vec<Box<dyn Reporter>>) -> Self {
        Self {
            all,
            count: std::sync::Mutex::new(Summary {
                command,
                ..Summary::default()
            }),
        }
    }

    /// Tells one more reporter, from now on, and before the others: a script that reads an event finds done what
    /// this reporter does about it.
    pub fn add(&mut self, reporter: Box<dyn Reporter>) {
        self.all.insert(0, reporter);
    }

    /// Tells one event.
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

    /// What was counted so far.
    pub fn summary(&self) -> Summary {
        self.count
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}
