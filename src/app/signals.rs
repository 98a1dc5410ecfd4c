//! Ctrl-C, SIGTERM and SIGHUP.

use crate::exit::ExitCode;
use crate::pipeline::Shutdown;

/// On the first Ctrl-C, SIGTERM or SIGHUP (a terminal that is closed), starts nothing new and waits for calls in
/// progress. The second aborts.
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

/// Returns at the next Ctrl-C, SIGTERM or SIGHUP.
#[cfg(unix)]
pub(crate) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
        (Ok(mut terminate), Ok(mut hangup)) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        },
        _ => drop(tokio::signal::ctrl_c().await),
    }
}

/// Returns at the next Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
