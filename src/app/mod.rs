//! Code shared by the commands: settings, services, and the start and end of a run.

pub(crate) mod cast_names;
pub(crate) mod chain;
pub(crate) mod command_hint;
pub(crate) mod context;
pub(crate) mod ending;
pub(crate) mod ledger_guard;
mod manifest_file;
mod manifest_there;
pub(crate) mod output_kind;
pub(crate) mod overwrite_guard;
mod pace;
pub(crate) mod planning;
pub(crate) mod prepared_run;
pub(crate) mod prompt;
pub(crate) mod quote;
pub(crate) mod receipts;
pub(crate) mod reconcile;
mod run_finalizer;
pub(crate) mod sandbox;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod shard;
pub(crate) mod signals;
mod user_folder;
pub(crate) mod stdout;
pub(crate) mod trust;
pub(crate) mod wallet;
