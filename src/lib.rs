//! **castline** takes a cast of game characters — a CSV or a folder of character art — to a manifest
//! of asset ids for AI video. It looks at every picture before any money moves, publishes it, enrolls
//! it once, and never pays twice.
//!
//! ```text
//!  cast            inspect                publish           enroll                 manifest
//!  CSV, folder  →  one face? good?     →  S3, public     →  paid call, paced,   →  name → asset_id
//!                  resize, encode         HTTPS URL         once, or in doubt      JSON, CSV, engine formats
//!                       ↘                   ↘                  ↘
//!                         ─────────────  ledger  ─────────────   what was seen, published, intended, paid
//! ```
//!
//! One module per station, in that order. The stations don't know one another: only the pipeline
//! joins them.

pub mod cast;
pub mod enroll;
pub mod inspect;
pub mod ledger;
pub mod manifest;
pub mod publish;
pub mod realface;
pub mod report;
pub mod review;
pub mod sandbox;

pub mod cli;
pub mod commands;
pub mod count;
pub mod exit;
pub mod files;
pub mod money;
pub(crate) mod page;
pub mod pipeline;
pub mod plan;
pub mod settings;
pub(crate) mod shell;
pub mod tls;
