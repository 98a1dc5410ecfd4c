//! What each fault of a reply leaves behind: one table, read by both payment methods.

use castline::exit::ExitCode;
use castline::ledger::State;
use castline::ledger::State::{InDoubt, Published, Refused};

/// A fault of the sandbox, and the state in which it leaves a character when every call meets it.
pub(super) struct FaultRow {
    pub(super) kind: &'static str,
    pub(super) by_key: State,
    pub(super) from_wallet: State,
}

const fn same(kind: &'static str, state: State) -> FaultRow {
    FaultRow {
        kind,
        by_key: state,
        from_wallet: state,
    }
}

pub(super) const FAULTS: &[FaultRow] = &[
    same("refuse", Published),
    // From a wallet, the quote meets it first: nothing was paid.
    FaultRow {
        kind: "reset-before-read",
        by_key: InDoubt,
        from_wallet: Published,
    },
    same("reset", InDoubt),
    same("close", InDoubt),
    same("stall", InDoubt),
    same("500", InDoubt),
    same("502", InDoubt),
    same("503", InDoubt),
    same("504", InDoubt),
    same("500-charged", InDoubt),
    same("502-charged", InDoubt),
    same("503-charged", InDoubt),
    same("504-charged", InDoubt),
    same("reset-charged", InDoubt),
    same("close-charged", InDoubt),
    same("stall-charged", InDoubt),
    same("reset-during-reply", InDoubt),
    same("truncated", InDoubt),
    same("garbage", InDoubt),
    same("empty", InDoubt),
    same("no-asset-id", InDoubt),
    same("error-in-200", InDoubt),
    same("error-in-200-charged", InDoubt),
    same("redirect", InDoubt),
    same("429", Published),
    same("401", Published),
    same("403", Published),
    same("402", Published),
    same("quota", Published),
    same("quota-403", Published),
    same("invalid-image-url", Refused),
    same("422", Refused),
    same("404", Refused),
    same("payment-replay", InDoubt),
    same("chain-timeout", InDoubt),
    same("other-name", InDoubt),
];

/// The exit code of a run in which every call meets that fault.
pub(super) fn exit_of(kind: &str, state: State) -> ExitCode {
    match (kind, state) {
        ("401" | "403" | "402" | "quota" | "quota-403", _) => ExitCode::AuthOrPayment,
        (_, InDoubt) => ExitCode::InDoubt,
        _ => ExitCode::Partial,
    }
}
