//! The API key: from the environment or a file, and nowhere to be seen.

use std::fmt;
use std::path::Path;

/// The variable that holds the key.
pub(super) const VARIABLE: &str = "CASTLINE_API_KEY";

/// The API key. It is never shown: neither `Debug` nor anything else prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// There is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Nowhere.
    #[error("no API key: export {VARIABLE}, or name a file that holds it as api.key_file")]
    Missing,
    /// It can't be sent in a header.
    #[error("the API key from {0} holds characters that no key has (spaces, line breaks); copy it again")]
    Malformed(String),
    /// The file can't be read.
    #[error("api.key_file {0} can't be read: {1}")]
    File(String, std::io::Error),
}

impl ApiKey {
    /// A key, without the white space around it.
    ///
    /// # Errors
    /// It is empty, or holds characters that a header can't carry.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        Self::from(text, "the caller")
    }

    fn from(text: &str, origin: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Missing);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Malformed(origin.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// From `CASTLINE_API_KEY`, else from the file.
    ///
    /// # Errors
    /// Neither holds a usable key.
    pub fn from_env_or_file(file: Option<&Path>) -> Result<Self, KeyError> {
        if let Ok(text) = std::env::var(VARIABLE) {
            return Self::from(&text, VARIABLE);
        }
        let file = file.ok_or(KeyError::Missing)?;
        let path = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|e| KeyError::File(path.clone(), e))?;
        Self::from(&text, &path)
    }

    /// The key itself, for the header of a call alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}
