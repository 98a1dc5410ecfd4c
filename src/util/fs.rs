//! Writes files atomically: at any moment a file is complete, old or new.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Writes a file atomically: it is complete, old or new, whatever happens meanwhile. Others may read it as far as
/// the umask allows, because such files are meant for colleagues. A device or a pipe (`/dev/stdout`) is written to
/// directly.
///
/// # Errors
/// The system's error.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write_atomic_with(path, |out| out.write_all(bytes))
}

/// As [`write_atomic`], with what `write` writes.
///
/// # Errors
/// Those of `write`, or the system's.
pub fn write_atomic_with(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    if is_device(path) {
        let mut device = std::fs::File::options().write(true).open(path)?;
        return write(&mut device);
    }
    let folder = folder_of(path);
    let mut named = tempfile::Builder::new();
    named.prefix(".castline");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        named.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = named.tempfile_in(folder)?;
    write(&mut file)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename is durable once the folder is synced; only Unix can open folders.
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Checks whether [`write_atomic`] could write `path` now. Nothing is left behind.
///
/// # Errors
/// The path is a folder or has no file name, its folder does not exist, or the system's error.
pub fn can_be_written(path: &Path) -> std::io::Result<()> {
    let wrong = |message: &str| Err(std::io::Error::other(message.to_owned()));
    if path.is_dir() {
        return wrong("it is a folder");
    }
    if is_device(path) {
        return Ok(());
    }
    if path.file_name().is_none() {
        return wrong("it has no file name");
    }
    let folder = folder_of(path);
    if !folder.exists() {
        return wrong("its folder does not exist");
    }
    tempfile::tempfile_in(folder).map(drop)
}

/// The whole path of a file, with links resolved, even of one that doesn't exist yet.
pub fn resolved(path: &Path) -> PathBuf {
    let of_folder = || {
        let folder = folder_of(path).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    let whole = path.canonicalize().ok().or_else(of_folder);
    whole.unwrap_or_else(|| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// The folder that contains `path`, `.` for a bare file name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// The first bytes of a regular file, at most `most`. Nothing else is read: reading a pipe would block, or take its
/// content from the command.
///
/// # Errors
/// It is no regular file, or the system's error.
pub fn start(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    if !path.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(most).read_to_end(&mut start)?;
    Ok(start)
}

fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// The address of `file` for a page in `folder`, relative, with its bytes percent-encoded; `None` where there is none, as
/// on another drive.
pub fn relative_url(folder: &Path, file: &Path) -> Option<String> {
    use std::path::Component;
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let (from, to) = (folder.canonicalize().ok()?, file.canonicalize().ok()?);
    let (mut from, mut to) = (from.components().peekable(), to.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let encoded = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        text.bytes()
            .map(|b| {
                if plain(b) {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect()
    };
    let up = from.map(|_| Some("..".to_owned()));
    let down = to.map(|part| match part {
        Component::Normal(part) => part.to_str().map(encoded),
        _ => None,
    });
    let parts: Option<Vec<String>> = up.chain(down).collect();
    Some(parts?.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_can_be_written_only_into_a_folder_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        can_be_written(&folder.path().join("new.json")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        for (path, part) in [
            (
                folder.path().join("nowhere/new.json"),
                "its folder does not exist",
            ),
            (folder.path().to_owned(), "it is a folder"),
        ] {
            let message = can_be_written(&path).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_umask_lets_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let there = std::fs::metadata(folder.path().join(name)).unwrap();
            there.permissions().mode() & 0o777
        };
        std::fs::write(folder.path().join("plain"), "").unwrap();
        write_atomic(&folder.path().join("durable"), b"").unwrap();
        assert_eq!(mode("durable"), mode("plain"));
    }
}
