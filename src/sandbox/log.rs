//! The request log: one line per request, and the last ones in memory so that a test can measure a client's rate.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::faults::FaultKind;

/// The number of requests that are kept in memory; older ones are only in the file.
const KEPT: usize = 100_000;

/// A request as it arrived, and its result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestRecord {
    /// Arrival, milliseconds since the sandbox started, by a monotonic clock.
    pub at_ms: f64,
    /// `api` or `s3`.
    pub server: &'static str,
    /// The HTTP method.
    pub method: String,
    /// The path without its query. S3 keys are omitted in memory: `/bucket/…`.
    pub path: String,
    /// The HTTP status of the reply; `None` if the connection ended first.
    pub status: Option<u16>,
    /// Milliseconds from arrival to reply.
    pub ms: f64,
    /// The fault that was applied.
    pub fault: Option<FaultKind>,
}

/// The most requests that arrived within any window of this length: a measure of a client's pacing.
pub fn busiest(requests: &[RequestRecord], window: Duration) -> usize {
    let window = window.as_secs_f64() * 1e3;
    let mut at: Vec<f64> = requests.iter().map(|request| request.at_ms).collect();
    at.sort_by(f64::total_cmp);
    let within = |first: usize| at[first..].partition_point(|later| *later < at[first] + window);
    (0..at.len()).map(within).max().unwrap_or(0)
}

/// The destination of the log.
pub(super) enum LogTarget<'a> {
    File(&'a Path),
    Stdout,
}

/// The log of one sandbox.
pub(super) struct RequestLog {
    start: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    recent: VecDeque<RequestRecord>,
    out: Box<dyn Write + Send>,
}

impl RequestLog {
    pub(super) fn open(target: LogTarget<'_>) -> io::Result<Arc<Self>> {
        let out: Box<dyn Write + Send> = match target {
            LogTarget::File(path) => Box::new(File::options().create(true).append(true).open(path)?),
            LogTarget::Stdout => Box::new(io::stdout()),
        };
        Ok(Arc::new(Self {
            start: Instant::now(),
            inner: Mutex::new(Inner {
                recent: VecDeque::new(),
                out,
            }),
        }))
    }

    /// Records the arrival of a request. Its line is written when the returned guard is finished or dropped: a request
    /// whose connection is cut is logged too.
    pub(super) fn arrive(self: &Arc<Self>, server: &'static str, method: &str, path: &str) -> Arrival {
        Arrival {
            log: self.clone(),
            at: Instant::now(),
            server,
            method: method.to_owned(),
            path: path.to_owned(),
            status: None,
            fault: Tag::default(),
        }
    }

    /// The last requests, in the order in which they were answered or cut.
    pub(super) fn recent(&self) -> Vec<RequestRecord> {
        let mut all: Vec<_> = self
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recent
            .iter()
            .cloned()
            .collect();
        all.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
        all
    }

    fn write(&self, mut record: RequestRecord) {
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(flatten)]
            record: &'a RequestRecord,
        }
        let time = jiff::Timestamp::now().to_string();
        let mut line = serde_json::to_vec(&Line {
            time,
            record: &record,
        })
        .unwrap_or_default();
        line.push(b'\n');
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // A sandbox whose log can't be written still answers.
        let _ = inner.out.write_all(&line).and_then(|()| inner.out.flush());
        if inner.recent.len() == KEPT {
            inner.recent.pop_front();
        }
        if record.server == "s3" {
            let bucket = record
                .path
                .trim_start_matches('/')
                .split('/')
                .next()
                .unwrap_or_default();
            record.path = format!("/{bucket}/…");
        }
        inner.recent.push_back(record);
    }
}

/// Records the fault of a request, by the code that applies it; found among the request's extensions.
#[derive(Debug, Clone, Default)]
pub(super) struct Tag(Arc<OnceLock<FaultKind>>);

impl Tag {
    pub(super) fn set(&self, fault: FaultKind) {
        let _ = self.0.set(fault);
    }
}

/// A request in progress.
pub(super) struct Arrival {
    log: Arc<RequestLog>,
    at: Instant,
    server: &'static str,
    method: String,
    path: String,
    status: Option<u16>,
    fault: Tag,
}

impl Arrival {
    pub(super) fn tag(&self) -> Tag {
        self.fault.clone()
    }

    pub(super) fn finish(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let ms = |d: Duration| (d.as_secs_f64() * 1e6).round() / 1e3;
        self.log.write(RequestRecord {
            at_ms: ms(self.at.duration_since(self.log.start)),
            server: self.server,
            method: std::mem::take(&mut self.method),
            path: std::mem::take(&mut self.path),
            status: self.status,
            ms: ms(self.at.elapsed()),
            fault: self.fault.0.get().copied(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_may_lie_anywhere_and_is_half_open() {
        let at = |times: &[f64]| {
            let record = |at_ms: &f64| RequestRecord {
                at_ms: *at_ms,
                server: "api",
                method: "POST".into(),
                path: "/".into(),
                status: Some(200),
                ms: 1.0,
                fault: None,
            };
            busiest(
                &times.iter().map(record).collect::<Vec<_>>(),
                Duration::from_secs(1),
            )
        };
        assert_eq!(at(&[]), 0);
        assert_eq!(at(&[0.0, 1000.0, 2000.0]), 1);
        assert_eq!(at(&[2000.0, 0.0, 999.0, 1500.0, 1900.0]), 3);
    }
}
