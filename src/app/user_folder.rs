//! The user's folder for what castline remembers between runs.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;

/// `$XDG_STATE_HOME/castline`, or what the system has for it; `None` where the user has no home folder.
pub(crate) fn folder() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    let state = folders.state_dir().unwrap_or_else(|| folders.data_dir());
    Some(state.join("castline"))
}
