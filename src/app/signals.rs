//! Ctrl-C and SIGTERM.

use crate::exit::ExitCode;
use crate::pipeline::Shutdown;

/// Ctrl-C or SIGTERM drains: nothing new begins, what is under way is awaited. The second aborts.
pub(crate) async fn drain_on_signal(shutdown: Shutdown) {
    signal().await;
    shutdown.request(
        ExitCode::Interrupted,
        "interrupted",
        "interrupted; waiting for what is under way (again: abort)",
    );
    signal().await;
    // An intent without outcome is found, and in doubt, at the next start.
    std::process::exit(ExitCode::Interrupted.code().into());
}

/// Ends at the next of either.
#[cfg(unix)]
pub(crate) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Ends at the next of either.
#[cfg(not(unix))]
pub(crate) async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
