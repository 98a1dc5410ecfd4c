//! The user's folders: their own configuration, and what castline remembers between runs.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;

use crate::settings::FILE_NAME;

/// `$XDG_STATE_HOME/castline`, or what the system has for it; `None` where the user has no home folder.
pub(crate) fn state() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    let state = folders.state_dir().unwrap_or_else(|| folders.data_dir());
    Some(state.join("castline"))
}

/// `$XDG_CONFIG_HOME/castline/castline.toml`, without that variable in `~/.config`; on Windows in `%APPDATA%`.
pub(crate) fn configuration() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("castline").join(FILE_NAME))
}
