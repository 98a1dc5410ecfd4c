//! Tells whether a file was written since it was read, without reading it again.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A file that was written this short a time before it was read can be written again without a later time: file systems
/// count in up to two seconds (FAT).
const SETTLED: Duration = Duration::from_secs(3);

/// What changes whenever a file is written or replaced: its size, its times, and on Unix where it lies on the disk.
/// Programs that keep a file's modification time don't deceive it there: the time of change is the system's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileStamp(String);

impl FileStamp {
    /// The stamp of the file at `path`; `None` where there is none, where the system has no such times, or if the file was
    /// written only just now.
    pub fn of_file(path: &Path) -> Option<Self> {
        Self::of(&std::fs::metadata(path).ok()?)
    }

    fn of(file: &Metadata) -> Option<Self> {
        Self::at(file, SystemTime::now())
    }

    fn at(file: &Metadata, now: SystemTime) -> Option<Self> {
        let nanos = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            Some(since.as_nanos())
        };
        let modified = file.modified().ok()?;
        let (changed, place) = changed(file);
        let last = changed.map_or(modified, |changed| changed.max(modified));
        if now.duration_since(last).ok()? < SETTLED {
            return None;
        }
        let (modified, changed) = (nanos(modified)?, changed.map_or(Some(0), nanos)?);
        Some(Self(format!("{}:{modified}:{changed}:{place}", file.len())))
    }
}

/// When a file was last changed in any way, its times included, and where it lies on the disk.
#[cfg(unix)]
fn changed(file: &Metadata) -> (Option<SystemTime>, String) {
    use std::os::unix::fs::MetadataExt;
    let seconds = Duration::from_secs(file.ctime().max(0).unsigned_abs());
    let nanos = Duration::from_nanos(file.ctime_nsec().max(0).unsigned_abs());
    let changed = SystemTime::UNIX_EPOCH.checked_add(seconds + nanos);
    (changed, format!("{}:{}", file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> (Option<SystemTime>, String) {
    (None, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_with_the_file_and_is_not_given_to_what_was_just_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, "one").unwrap();
        let first = std::fs::metadata(&path).unwrap();
        assert_eq!(FileStamp::of(&first), None, "written just now");
        let later = SystemTime::now() + SETTLED;
        let stamp = FileStamp::at(&first, later).unwrap();
        assert_eq!(
            FileStamp::at(&std::fs::metadata(&path).unwrap(), later),
            Some(stamp.clone())
        );

        // As long as before, and with the time of before, as some programs leave it.
        std::fs::write(&path, "two").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(first.modified().unwrap()).unwrap();
        let second = std::fs::metadata(&path).unwrap();
        assert_eq!(
            (second.len(), second.modified().unwrap()),
            (first.len(), first.modified().unwrap())
        );
        let now = SystemTime::now() + SETTLED;
        assert_eq!(FileStamp::at(&second, now) != Some(stamp), cfg!(unix));
    }
}
