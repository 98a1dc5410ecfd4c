//! Where a ledger is, and places where its lock or its durability may not hold.

use std::fmt;
use std::path::{Path, PathBuf};

use super::server::Server;
use crate::util::fs::resolved;

/// Where a ledger is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a file of SQLite.
    File(PathBuf),
    /// In a schema of a PostgreSQL database.
    Postgres(Server),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(server) => server.fmt(f),
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

/// Network file systems by their magic number: `linux/magic.h`, and `fs/smb/client/cifs_fs_sb.h` of the kernel.
#[cfg(target_os = "linux")]
const NETWORK: [(u64, &str); 6] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
];

/// What is wrong with the place of a ledger, if anything: on a network file system two machines may both get the lock, and
/// a file that is mounted by itself (a container's volume) has its lock and its log beside another name.
pub fn doubtful_place(ledger: &Path) -> Option<String> {
    if let Some(system) = network(ledger) {
        return Some(format!(
            "{} is on a network file system ({system}), where the lock of a ledger may not hold: keep it on a local disk",
            ledger.display()
        ));
    }
    is_mounted_alone(&resolved(ledger)).then(|| {
        format!(
            "{} is a file that is mounted by itself: its lock and its log are not beside it elsewhere; mount its folder",
            ledger.display()
        )
    })
}

/// The network file system of the folder of a ledger, if it is on one.
#[cfg(target_os = "linux")]
pub(super) fn network(ledger: &Path) -> Option<&'static str> {
    let ledger = resolved(ledger);
    let kind = rustix::fs::statfs(ledger.parent()?).ok()?.f_type as u64 & 0xffff_ffff;
    NETWORK
        .iter()
        .find(|(magic, _)| *magic == kind)
        .map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn network(_: &Path) -> Option<&'static str> {
    None
}

/// Whether the file itself is a mount point, by the kernel's list.
fn is_mounted_alone(file: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    file.is_file() && mounts_at(&mounts, file)
}

/// Whether `mounts`, as in `proc_pid_mountinfo(5)`, lists a mount at `path`: the fifth field, with octal escapes.
fn mounts_at(mounts: &str, path: &Path) -> bool {
    let plain = |text: &str| {
        ["\\040", "\\011", "\\012", "\\134"]
            .iter()
            .zip([" ", "\t", "\n", "\\"])
            .fold(text.to_owned(), |text, (escape, plain)| {
                text.replace(escape, plain)
            })
    };
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(plain).any(|point| Path::new(&point) == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_file_is_recognized_by_the_kernels_list() {
        let mounts = "36 35 98:0 /mnt1 /srv/my\\040cast/ledger.db rw,noatime - ext3 /dev/root rw\n\
                      37 35 98:0 / /srv rw - ext3 /dev/root rw\n";
        assert!(mounts_at(mounts, Path::new("/srv/my cast/ledger.db")));
        assert!(!mounts_at(mounts, Path::new("/srv/my cast")));
        assert!(mounts_at(mounts, Path::new("/srv")));
    }

    #[test]
    fn a_folder_of_this_machine_is_a_good_place() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(doubtful_place(&folder.path().join("ledger.db")), None);
    }
}
