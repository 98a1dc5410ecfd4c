//! Exit codes, each with its meaning. Scripts depend on them: never renumber.

/// How the process ends, as seen by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything asked for is done.
    Done = 0,
    /// An error inside castline, or of the machine (disk, memory).
    Internal = 1,
    /// What was typed or configured is wrong, or the cast can't be read.
    Usage = 2,
    /// Some characters are unsuitable, need review, were refused or failed; the others are done.
    Partial = 3,
    /// The budget or a time limit was reached; what was done is kept.
    LimitReached = 5,
    /// At least one paid call has an unknown outcome: see `castline resolve`.
    InDoubt = 6,
    /// The API refused the key, or there are no funds or no quota left.
    AuthOrPayment = 7,
    /// The plan no longer fits the cast, the ledger or the price.
    StalePlan = 8,
    /// `plan --detailed-exitcode`: a run would enroll somebody.
    WorkToDo = 10,
    /// Another run holds the ledger.
    Locked = 11,
    /// A shard was stopped before its end; what it saw is kept, and the engine may start it again (`EX_TEMPFAIL`).
    Preempted = 75,
    /// Interrupted by Ctrl-C or SIGTERM after draining.
    Interrupted = 130,
}

impl ExitCode {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Of two reasons to end, the one a script must hear about: money first, then the machine.
    ///
    /// In doubt outranks all, since it is the only one that may already have cost something unseen.
    pub fn worst(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::WorkToDo => 1,
            Self::Partial => 1,
            Self::LimitReached => 2,
            Self::Interrupted | Self::Preempted => 3,
            Self::AuthOrPayment => 4,
            Self::StalePlan => 5,
            Self::Locked => 6,
            Self::Usage => 7,
            Self::Internal => 8,
            Self::InDoubt => 9,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// What was typed can't be done as typed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_outranks_every_other_end() {
        for other in [
            ExitCode::Done,
            ExitCode::Partial,
            ExitCode::Internal,
            ExitCode::Preempted,
            ExitCode::Interrupted,
        ] {
            assert_eq!(other.worst(ExitCode::InDoubt), ExitCode::InDoubt);
            assert_eq!(ExitCode::InDoubt.worst(other), ExitCode::InDoubt);
        }
    }
}
