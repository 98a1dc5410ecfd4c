//! What castline has written itself, and may write anew: anything else that stands there is somebody's work.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::manifest;
use crate::report::html;

/// What a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// A page for people.
    Report,
    /// A saved plan.
    Plan,
    /// A manifest, in any format.
    Manifest,
    /// A log, which is only appended to.
    Log,
}

impl OutputKind {
    /// As it is called for people.
    pub(crate) fn called(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Plan => "plan",
            Self::Manifest => "manifest",
            Self::Log => "log",
        }
    }

    /// Whether nothing stands at `path` that is of another making. What can't be read is not known to be ours.
    pub(crate) fn may_overwrite(self, path: &Path) -> bool {
        // A pipe or a device holds nothing, and would be waited for.
        if !path.is_file() {
            return true;
        }
        match self {
            Self::Report => start(path).is_some_and(|start| start.is_empty() || html::is_one(&start)),
            Self::Log => start(path).is_some_and(|start| start.is_empty() || is_log(&start)),
            Self::Plan => whole(path).is_some_and(|bytes| bytes.is_empty() || is_plan(&bytes)),
            Self::Manifest => whole(path).is_some_and(|bytes| bytes.is_empty() || manifest::is_one(&bytes)),
        }
    }
}

/// Events: each has its type.
fn is_log(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"{\"") && line.windows(7).any(|part| part == b"\"type\":")
}

fn is_plan(bytes: &[u8]) -> bool {
    serde_json::from_slice(bytes).is_ok_and(|json: Value| json.get("castline_plan").is_some())
}

fn start(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(1 << 10).read_to_end(&mut start).ok()?;
    Some(start)
}

fn whole(path: &Path) -> Option<Vec<u8>> {
    /// No plan and no manifest is larger: what is, is not read for this.
    const LARGEST: u64 = 256 << 20;
    let small = std::fs::metadata(path).ok()?.len() <= LARGEST;
    small.then(|| std::fs::read(path).ok()).flatten()
}
