//! The API key: read from the environment or a file, and never printed.

use std::fmt;
use std::path::Path;

/// The environment variable that holds the key.
pub const VARIABLE: &str = "CASTLINE_API_KEY";

/// The longest possible key: anything longer is something else.
const LONGEST: usize = 4096;

/// The API key. Neither `Debug` nor `Display` prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// No usable API key was found.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither the environment nor a file holds a key.
    #[error("no API key: export {VARIABLE}, or name a file that holds it as api.key_file")]
    Missing,
    /// The source of the key is empty.
    #[error("{0} is empty: put the API key there")]
    Empty(String),
    /// The key can't be sent in a header.
    #[error(
        "{0} contains characters that can't be in an API key (white space, accents, control characters): copy it again"
    )]
    Malformed(String),
    /// The key file can't be read.
    #[error("api.key_file {path} can't be read: {source}")]
    File {
        /// The path of the file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl ApiKey {
    /// Creates a key from text, without surrounding white space.
    ///
    /// # Errors
    /// The text is empty, or contains characters that a header can't carry.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        Self::read(text, "the API key")
    }

    /// Reads the key from `CASTLINE_API_KEY`, else from the first line of `file`. A variable that is set but empty
    /// counts as unset, since CI systems set it so for a missing secret.
    ///
    /// # Errors
    /// Neither holds a usable key.
    pub fn from_env_or_file(file: Option<&Path>) -> Result<Self, KeyError> {
        Self::choose(std::env::var(VARIABLE).ok(), file)
    }

    fn choose(variable: Option<String>, file: Option<&Path>) -> Result<Self, KeyError> {
        if let Some(text) = variable.filter(|text| !text.trim().is_empty()) {
            return Self::read(&text, VARIABLE);
        }
        let file = file.ok_or(KeyError::Missing)?;
        let path = file.display().to_string();
        let first = first_line(file).map_err(|source| KeyError::File {
            path: path.clone(),
            source,
        })?;
        Self::read(&first, &path)
    }

    fn read(text: &str, origin: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty(origin.to_owned()));
        }
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Malformed(origin.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// A secret for `purpose` that is derived from the key, and from which the key can't be found.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        crate::util::secret::derive(self.0.as_bytes(), purpose)
    }

    /// The key in plain text, only for the header of a call.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// The first line of a file that holds a secret, without a byte-order mark.
///
/// One that others on this machine can read is reported.
pub(super) fn first_line(file: &Path) -> std::io::Result<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file)?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(
                "{} can be read by others on this machine: `chmod 600 {}`",
                file.display(),
                file.display()
            );
        }
    }
    let text = std::fs::read_to_string(file)?;
    let text = text.trim_start_matches('\u{feff}');
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey::new(" sk-canary-0123\n").unwrap();
        assert_eq!(key.expose(), "sk-canary-0123");
        assert!(!format!("{key} {key:?} {key:#?}").contains("canary"));
        let wrong = ApiKey::new("sk-canary 0123").unwrap_err();
        assert!(!format!("{wrong} {wrong:?}").contains("canary"));
    }

    #[test]
    fn the_environment_goes_before_the_file_unless_it_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "\u{feff}sk-file\r\nsecond line\n").unwrap();
        let choose =
            |variable: Option<&str>| ApiKey::choose(variable.map(str::to_owned), Some(&file)).unwrap();
        assert_eq!(choose(Some("sk-env")).expose(), "sk-env");
        assert_eq!(choose(Some(" ")).expose(), "sk-file");
        assert_eq!(choose(None).expose(), "sk-file");
        assert!(matches!(ApiKey::choose(None, None), Err(KeyError::Missing)));
        std::fs::write(&file, "\n").unwrap();
        assert!(matches!(
            ApiKey::choose(None, Some(&file)),
            Err(KeyError::Empty(_))
        ));
        let missing = dir.path().join("none");
        assert!(matches!(
            ApiKey::choose(None, Some(&missing)),
            Err(KeyError::File { .. })
        ));
    }
}
