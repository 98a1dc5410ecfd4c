//! Recognizes files that castline wrote and may overwrite. Any other file may be someone's work.

use std::path::Path;

use serde_json::Value;

use super::manifest_there::manifest_there;
use crate::manifest::{self, ManifestFormat};
use crate::report::fixes;
use crate::report::html;
use crate::report::notice::METRICS_BEGIN;
use crate::util::fs;

/// The kind of file that a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// An HTML report.
    Report,
    /// A saved plan.
    Plan,
    /// A manifest in this format: a program that reads one format can't read another.
    Manifest(ManifestFormat),
    /// A log, which is only appended to.
    Log,
    /// Metrics for Prometheus.
    Metrics,
    /// A list of what has to be fixed.
    Fixes,
}

impl OutputKind {
    /// The name of the kind in messages.
    pub(crate) fn called(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Plan => "plan",
            Self::Manifest(_) => "manifest in this format",
            Self::Log => "log",
            Self::Metrics => "file of metrics",
            Self::Fixes => "list of fixes",
        }
    }

    /// Whether `path` is free, empty, or a file of this kind that castline wrote. `false` when it can't be read.
    pub(crate) fn may_overwrite(self, path: &Path) -> bool {
        // A pipe or a device has no content to lose, and reading it would block.
        if !path.is_file() {
            return true;
        }
        let start = || fs::start(path, 1 << 10);
        match self {
            Self::Report => start().is_ok_and(|start| start.is_empty() || html::is_one(&start)),
            Self::Log => start().is_ok_and(|start| start.is_empty() || is_log(&start)),
            Self::Metrics => start().is_ok_and(|start| start.is_empty() || start.starts_with(METRICS_BEGIN)),
            Self::Fixes => start().is_ok_and(|start| start.is_empty() || fixes::is_one(&start)),
            Self::Plan => whole(path).is_some_and(|bytes| bytes.is_empty() || is_plan(&bytes)),
            Self::Manifest(ManifestFormat::Json) => {
                std::fs::metadata(path).is_ok_and(|file| file.len() == 0) || manifest_there(path).is_some()
            }
            Self::Manifest(format) => {
                whole(path).is_some_and(|bytes| bytes.is_empty() || manifest::is_one(&bytes, format))
            }
        }
    }
}

/// Whether the first line looks like an event: a JSON object with a `type`.
fn is_log(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"{\"") && line.windows(7).any(|part| part == b"\"type\":")
}

fn is_plan(bytes: &[u8]) -> bool {
    serde_json::from_slice(bytes).is_ok_and(|json: Value| json.get("castline_plan").is_some())
}

fn whole(path: &Path) -> Option<Vec<u8>> {
    /// No plan or manifest is larger; a larger file is not read.
    const LARGEST: u64 = 256 << 20;
    let small = std::fs::metadata(path).ok()?.len() <= LARGEST;
    small.then(|| std::fs::read(path).ok()).flatten()
}
