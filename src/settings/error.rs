//! What can be wrong with what was typed, written or exported.

use std::path::PathBuf;

use super::Origin;

/// What was typed, written or exported makes no sense.
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
    /// A key that castline doesn't know.
    #[error("unknown setting {name:?} in {origin}{}", did_you_mean(*.nearest))]
    Unknown {
        /// The key.
        name: String,
        /// Where it was said.
        origin: Origin,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A variable of the environment that castline doesn't know.
    #[error("unknown variable {name} in the environment: {}unset it if it is not meant for castline",
        .nearest.as_ref().map_or_else(String::new, |known| format!("did you mean {known}? Else ")))]
    Variable {
        /// The variable.
        name: String,
        /// The known one that looks most like it.
        nearest: Option<String>,
    },
    /// A known key with a value that makes no sense.
    #[error("{name} = {text:?} (from {origin}): {problem}")]
    Value {
        /// The key.
        name: String,
        /// The value as it was said, but for what is secret in it.
        text: String,
        /// Where it was said.
        origin: Origin,
        /// What is wrong, and what is expected.
        problem: String,
    },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map_or(String::from("; `castline config show` lists them all"), |key| {
        format!("; did you mean {key:?}?")
    })
}
