//! Stops a run before its end, and keeps the reason.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::exit::ExitCode;

/// The reason why a run stops before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownReason {
    /// The exit code of the process.
    pub exit: ExitCode,
    /// A fixed code.
    pub code: &'static str,
    /// What happened, and how to fix it.
    pub message: String,
}

/// A stop request observed by all stages: once made, nothing new starts, and work in progress is finished.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    reason: Arc<Mutex<Option<ShutdownReason>>>,
}

impl Shutdown {
    /// Requests the stop. Only the first reason is kept; returns whether this was the first.
    pub fn request(&self, exit: ExitCode, code: &'static str, message: impl Into<String>) -> bool {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let first = reason.is_none();
        if first {
            *reason = Some(ShutdownReason {
                exit,
                code,
                message: message.into(),
            });
        }
        self.token.cancel();
        first
    }

    /// Whether the stop was requested.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the stop is requested.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// The reason, once the stop was requested.
    pub fn reason(&self) -> Option<ShutdownReason> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.is_requested());
        assert!(shutdown.request(ExitCode::AuthOrPayment, "key_refused", "the key was refused"));
        assert!(!shutdown.request(ExitCode::Interrupted, "interrupted", "Ctrl-C"));
        assert!(shutdown.is_requested());
        assert_eq!(shutdown.reason().map(|r| r.code), Some("key_refused"));
    }
}
