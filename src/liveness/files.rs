//! The QR codes as PNG files in a folder, each for as long as its link is valid.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::qr::Code;
use crate::event::{Event, LivenessState, Reporter};

/// Writes each actor's QR code to a folder, and removes it when the check is over.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// Name of the actor → its file.
    written: Mutex<HashMap<String, PathBuf>>,
}

impl Files {
    /// Writes to `folder`, which is created if it doesn't exist.
    ///
    /// # Errors
    /// The folder can't be created.
    pub fn new(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            written: Mutex::default(),
        })
    }

    fn write(&self, name: &str, number: usize, link: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(file_name(name, number));
        // A temporary file: readers never see a partial code, and only the owner may read it.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&Code::new(link)?.png())?;
        file.persist(&path)?;
        Ok(path)
    }

    fn remove(&self, name: &str) {
        let path = self.lock().remove(name);
        if let Some(path) = path
            && let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("{} can't be removed: {error}", path.display());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, PathBuf>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Files {
    fn event(&self, event: &Event) {
        match event {
            Event::LivenessLink {
                name, number, link, ..
            } => match self.write(name, *number, link) {
                Ok(path) => drop(self.lock().insert(name.clone(), path)),
                Err(error) => tracing::warn!("{}: {error:#}", self.folder.display()),
            },
            Event::Liveness { name, state, .. } if *state != LivenessState::InProgress => self.remove(name),
            Event::Enrolled { name, .. } | Event::Failed { name, .. } => self.remove(name),
            _ => {}
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let names: Vec<String> = self.lock().keys().cloned().collect();
        for name in names {
            self.remove(&name);
        }
    }
}

/// The file name of a code, such as `02-mia_castellane.png`: sorted by turn, and valid on every file system.
fn file_name(name: &str, number: usize) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            c if c.is_alphanumeric() => c,
            _ => '_',
        })
        .flat_map(char::to_lowercase)
        .take(40)
        .collect();
    format!("{number:02}-{plain}.png")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str, link: &str) -> Event {
        Event::LivenessLink {
            name: name.to_owned(),
            number: 2,
            of: 3,
            group_id: "grp_1".to_owned(),
            link: link.to_owned(),
            expires_in: 120.0,
            left_this_hour: 9,
        }
    }

    #[test]
    fn a_code_is_there_as_long_as_its_link_may_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path()).unwrap();
        let liveness = |state| Event::Liveness {
            name: "Mia / ../x".to_owned(),
            group_id: "grp_1".to_owned(),
            state,
        };
        let path = folder.path().join("02-mia______x.png");
        files.event(&session("Mia / ../x", "https://h5.example/1"));
        files.event(&liveness(LivenessState::InProgress));
        let first = std::fs::read(&path).unwrap();
        files.event(&session("Mia / ../x", "https://h5.example/2"));
        assert_ne!(
            std::fs::read(&path).unwrap(),
            first,
            "a renewed link is another code"
        );
        files.event(&liveness(LivenessState::Passed));
        assert!(!path.exists());
        files.event(&session("Bo", "https://h5.example/3"));
        drop(files);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
