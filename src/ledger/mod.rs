//! What was seen, published, intended and paid: SQLite, durable, one writer.

mod error;
mod faults;
mod lock;
mod schema;
mod sessions;
mod state;
mod step;
mod store;
mod totals;
mod transition;
mod view;

pub use error::LedgerError;
pub use lock::Holder;
pub use sessions::{Consent, INIT_WINDOW, Session, SessionState};
pub use state::{IllegalTransition, Record, State, apply};
pub use store::{Interrupted, Ledger, OpenOptions, now};
pub use transition::{Budget, INTERRUPTED, Resolution, Transition};
pub use view::{LedgerView, Reader, Spend};
