//! What a manifest that is already there says of itself.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::manifest::{Count, Manifest};
use crate::util::file_stamp::FileStamp;

/// A manifest in its full JSON form, without its characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestThere {
    /// The name of its cast.
    pub(crate) cast: Option<String>,
    /// Whether its ids are the sandbox's.
    pub(crate) sandbox: bool,
    /// How many characters it has.
    pub(crate) ids: usize,
}

/// The manifest at `path`; `None` where there is none, or something else. Before a run, several checks ask for it, and that
/// of a large cast has hundreds of megabytes: the last one is remembered for as long as its file stays as it was read.
pub(crate) fn manifest_there(path: &Path) -> Option<ManifestThere> {
    static LAST: Mutex<Option<(PathBuf, FileStamp, ManifestThere)>> = Mutex::new(None);
    // A pipe has no content to ask for, and reading it would block.
    if !path.is_file() {
        return None;
    }
    let stamp = FileStamp::of_file(path);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some((its_path, its_stamp, there)), Some(stamp)) = (&*last, &stamp)
        && its_path == path
        && its_stamp == stamp
    {
        return Some(there.clone());
    }
    let Manifest {
        cast,
        sandbox,
        characters: Count(ids),
        ..
    } = Manifest::read(path).ok()?;
    let there = ManifestThere { cast, sandbox, ids };
    *last = stamp.map(|stamp| (path.to_owned(), stamp, there.clone()));
    Some(there)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_again_once_the_file_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        assert_eq!(manifest_there(&path), None);
        let write = |sandbox: bool| {
            let manifest = Manifest::new("sandbox", sandbox, 1, Vec::new());
            crate::manifest::write_json_file(&path, &manifest).unwrap();
        };
        write(true);
        assert!(manifest_there(&path).unwrap().sandbox);
        write(false);
        assert!(
            !manifest_there(&path).unwrap().sandbox,
            "written at once after it was read"
        );
        // Of an age at which it is remembered.
        std::thread::sleep(std::time::Duration::from_millis(3200));
        assert!(!manifest_there(&path).unwrap().sandbox);
        write(true);
        assert!(
            manifest_there(&path).unwrap().sandbox,
            "a remembered one was replaced"
        );
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(manifest_there(&path), None);
    }
}
