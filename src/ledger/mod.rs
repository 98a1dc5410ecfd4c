//! The ledger of everything seen, published, intended and paid: SQLite, durable, one writer.

mod approval;
mod backup;
mod calls;
mod clock;
mod error;
mod faults;
mod identity;
mod integrity;
mod lock;
mod owner;
mod place;
mod records;
mod resolve;
mod schema;
mod scope;
mod sessions;
mod state;
mod step;
mod store;
mod totals;
mod transition;
mod view;
mod writer;

pub use approval::Approval;
pub use calls::{Attempt, Call, CallState, ReceiptRef};
pub use clock::now;
pub use error::LedgerError;
pub use lock::Holder;
pub use place::doubtful_place;
pub use resolve::{check_ids_free, in_doubt, settling};
pub use sessions::{Consent, INIT_WINDOW, Session, SessionState};
pub use state::{CHARGED, IllegalTransition, Record, Retried, State, apply};
pub use step::Interrupted;
pub use store::{Ledger, OpenOptions};
pub use transition::{Budget, FoundCall, INTERRUPTED, Resolution, Transition};
pub use view::{LedgerView, Reader, Spend};
