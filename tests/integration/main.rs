//! Tests of the whole tool and of its stations over real servers, in one binary: it is linked once.

mod support;

// The tool, as it is typed.
mod decisions;
mod machines;
mod mistakes;
mod report;
mod review;
mod run;
mod samples;
mod snapshots;
mod standing;
mod trust;

// Its stations, over real servers.
mod liveness;
mod pictures;
mod sandbox;
mod shared_ledger;
mod transport;

// What must hold whatever breaks.
mod fault_injection;
