//! Why and when a run stops before its end.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::exit::ExitCode;

/// Why a run stops before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownReason {
    /// What the process exits with.
    pub exit: ExitCode,
    /// A fixed code.
    pub code: &'static str,
    /// What happened, and the mend.
    pub message: String,
}

/// A switch that all stations look at: once thrown, nothing new begins; what is under way ends.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    reason: Arc<Mutex<Option<ShutdownReason>>>,
}

impl Shutdown {
    /// Throws the switch. The first reason stays; tells whether this was it.
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

    /// Whether it was thrown.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is thrown.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Why, once thrown.
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
