//! Errors in flags, the configuration file or environment variables.

use std::path::PathBuf;

use super::Origin;

/// A flag, the configuration file or an environment variable is invalid.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read or is not TOML.
    #[error("{path}: {problem}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An unknown key.
    #[error("unknown setting {name:?} in {origin}{}", did_you_mean(*.nearest))]
    Unknown {
        /// The key.
        name: String,
        /// Where it was set.
        origin: Origin,
        /// The most similar known key.
        nearest: Option<&'static str>,
    },
    /// An unknown environment variable that begins with `CASTLINE_`.
    #[error("unknown environment variable {name}: {}unset it if it is not meant for castline",
        .nearest.as_ref().map_or_else(String::new, |known| format!("did you mean {known}? Otherwise, ")))]
    Variable {
        /// The variable.
        name: String,
        /// The most similar known variable.
        nearest: Option<String>,
    },
    /// A known key with an invalid value.
    #[error("{name} = {text:?} (from {origin}): {problem}")]
    Value {
        /// The key.
        name: String,
        /// The value as given, with its secret parts redacted.
        text: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong, and what is expected.
        problem: String,
    },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map_or(
        String::from("; `castline config show` lists all settings"),
        |key| format!("; did you mean {key:?}?"),
    )
}
