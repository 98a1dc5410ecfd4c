//! The inside of the `castline` command-line tool. **No library API is promised**: the stable interfaces are the
//! command line, the exit codes, the NDJSON events, the manifest and the ledger's schema (see README). What is `pub`
//! here is what the binary, the tests and the benches need.
//!
//! castline takes a cast of game characters — a CSV or a folder of character art — to a manifest of asset ids for AI
//! video. It inspects every image before any money moves, publishes it, enrolls it once, and never pays twice.
//!
//! ```text
//!  cast            inspect                publish           enroll                 manifest
//!  CSV, folder  →  one face? good?     →  S3, public     →  paid call, paced,   →  name → asset_id
//!                  resize, encode         HTTPS URL         once, or in doubt      JSON, CSV, engine formats
//!                       ↘                   ↘                  ↘
//!                         ─────────────  ledger  ─────────────   what was seen, published, intended, paid
//! ```
//!
//! One module per station, in that order. The stations don't know one another: only the pipeline joins them.

// The stations, in the order of a character's way.
pub mod cast;
pub use castline_inspect as inspect;
pub mod publish;
pub mod enroll;
pub mod ledger;
pub mod receipts;
pub mod manifest;

// What joins, shows, configures and mocks.
pub mod event;
pub mod liveness;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod review;
pub mod sandbox;
pub mod settings;

// What is typed, and what comes of it.
mod app;
pub mod cli;
pub mod commands;
pub mod exit;

// The ground floor.
pub mod net;
pub mod util;
