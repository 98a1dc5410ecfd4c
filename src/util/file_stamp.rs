//! Tells whether a file was written since it was read, without reading it again.

use std::fs::Metadata;
use std::path::Path;
#[cfg(unix)]
use std::time::Duration;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// A file that was written this short a time before it was read can be written again without a later time: file systems
/// count in up to two seconds (FAT).
#[cfg(unix)]
const SETTLED: Duration = Duration::from_secs(3);

/// What changes whenever a file is written or replaced: its size, its times and its place on the disk. Only on Unix, where
/// the time of change is the system's: elsewhere a program can write a file and keep all of its times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileStamp(String);

impl FileStamp {
    /// The stamp of the file at `path`; `None` where there is none, where the system is no Unix, or if the file was
    /// written only just now.
    pub fn of_file(path: &Path) -> Option<Self> {
        Self::of(&std::fs::metadata(path).ok()?)
    }

    fn of(file: &Metadata) -> Option<Self> {
        Self::at(file, SystemTime::now())
    }

    #[cfg(unix)]
    fn at(file: &Metadata, now: SystemTime) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let changed = Duration::new(file.ctime().try_into().ok()?, file.ctime_nsec().try_into().ok()?);
        let changed = SystemTime::UNIX_EPOCH + changed;
        let modified = file.modified().ok()?;
        if now.duration_since(changed.max(modified)).ok()? < SETTLED {
            return None;
        }
        let nanos = |time: SystemTime| Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos());
        let (modified, changed) = (nanos(modified)?, nanos(changed)?);
        let (size, disk, place) = (file.len(), file.dev(), file.ino());
        Some(Self(format!("{size}:{modified}:{changed}:{disk}:{place}")))
    }

    #[cfg(not(unix))]
    fn at(_: &Metadata, _: SystemTime) -> Option<Self> {
        None
    }
}

#[cfg(all(test, unix))]
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
        assert_ne!(FileStamp::at(&second, now), Some(stamp));
    }
}
