//! The ledger of everything seen, published, intended and paid: durable, one writer; in SQLite or PostgreSQL.

mod account;
mod approval;
mod backup;
mod calls;
mod clock;
mod copy;
mod database;
mod durability;
mod error;
mod faults;
mod history;
mod identity;
mod integrity;
mod lock;
mod owner;
mod pages;
mod place;
mod record;
mod records;
mod rename;
mod resolve;
mod schema;
mod scope;
mod server;
mod shard;
mod sessions;
mod state;
mod step;
mod store;
#[cfg(test)]
mod test_places;
#[cfg(test)]
pub(crate) mod test_steps;
#[cfg(all(test, unix))]
#[path = "../../tests/integration/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod test_postgres;
mod totals;
mod transition;
mod view;
mod worker;
mod writer;

pub use account::AccountPace;
pub use approval::{Approval, Decided};
pub use calls::{Attempt, Call, CallState, ReceiptRef};
pub use clock::now;
pub use copy::{Copied, copy};
pub use durability::Dangers;
pub use error::LedgerError;
pub use history::{PastCall, Run};
pub use lock::Holder;
pub use pages::Signatures;
pub use place::{Place, doubtful_place};
pub use record::{Record, Retried};
pub use rename::NotRenamed;
pub use resolve::{check_ids_free, in_doubt, settling};
pub use server::{Server, ServerError};
pub use sessions::{Consent, INIT_WINDOW, Session, SessionState};
pub use shard::InspectionWriter;
pub use state::{CHARGED, IllegalTransition, State, apply};
pub use step::Interrupted;
pub use store::{Ledger, OpenOptions};
pub use transition::{Budget, FoundCall, INTERRUPTED, Resolution, Transition};
pub use view::{LedgerView, Reader, Spend};
pub use worker::LEASE;
