//! Events as newline-delimited JSON: for scripts, and for the log file.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::detached::Detached;
use crate::event::{Event, Reporter};

/// Writes each event as one line of JSON, flushed so that a reader sees it at once.
pub struct Ndjson<W> {
    out: Mutex<W>,
    stamped: bool,
    failed: AtomicBool,
    /// Waits until the last event is written.
    wait: fn(&W),
}

impl Ndjson<Detached> {
    /// Events without timestamps, for a reader who may be slow: paid calls don't wait for it, the summary does.
    pub fn for_reader(out: impl Write + Send + 'static) -> Self {
        Self {
            wait: Detached::wait,
            ..Self::new(Detached::new(out))
        }
    }
}

impl<W: Write + Send> Ndjson<W> {
    /// Events without timestamps.
    pub fn new(out: W) -> Self {
        Self {
            out: Mutex::new(out),
            stamped: false,
            failed: AtomicBool::new(false),
            wait: |_| {},
        }
    }

    /// Events with a timestamp (`"at"`, RFC 3339, UTC), for a log file.
    pub fn stamped(out: W) -> Self {
        Self {
            stamped: true,
            ..Self::new(out)
        }
    }

    fn line(&self, event: &Event) -> std::io::Result<()> {
        let mut line = serde_json::to_value(event)?;
        if self.stamped
            && let Some(object) = line.as_object_mut()
        {
            if let Event::LivenessLink { .. } = event {
                object.remove("link");
            }
            object.insert("at".to_owned(), jiff::Timestamp::now().to_string().into());
        }
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        out.write_all(&text)?;
        out.flush()?;
        if let Event::Summary(_) = event {
            (self.wait)(&out);
        }
        Ok(())
    }
}

impl<W: Write + Send> Reporter for Ndjson<W> {
    fn is_for_machines(&self) -> bool {
        true
    }

    fn event(&self, event: &Event) {
        // A closed reader is no reason to stop a run that pays: warn once and continue.
        if let Err(error) = self.line(event)
            && !self.failed.swap(true, Ordering::Relaxed)
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            tracing::warn!(%error, "events can no longer be written");
        }
    }
}
