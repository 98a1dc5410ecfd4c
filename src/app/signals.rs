//! Ctrl-C and SIGTERM.

use crate::exit::ExitCode;
use crate::pipeline::Shutdown;

/// On the first Ctrl-C or SIGTERM, starts nothing new and waits for calls in progress. The second aborts.
pub(crate) async fn drain_on_signal(shutdown: Shutdown) {
    signal().await;
    shutdown.request(
        ExitCode::Interrupted,
        "interrupted",
        "interrupted; waiting for calls in progress (press again to abort)",
    );
    signal().await;
    // The next start finds an intent without outcome, and puts it in doubt.
    std::process::exit(ExitCode::Interrupted.code().into());
}

/// Returns at the next Ctrl-C or SIGTERM.
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

/// Returns at the next Ctrl-C or SIGTERM.
#[cfg(not(unix))]
pub(crate) async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
