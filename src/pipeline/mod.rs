//! Connects the stages of a run: inspect → publish → enroll, running concurrently, with bounded channels.
//!
//! A run takes about as long as its slowest stage. Memory is bounded by what is in flight.

mod brake;
mod checkpoint;
mod duplicates;
mod enroll_stage;
mod enrollment;
mod inspect_stage;
mod inspection_cache;
mod inspected;
mod memory_budget;
mod once_map;
mod paid_call;
mod planner;
mod price;
mod publish_stage;
mod receipts;
mod recorder;
mod settle;
mod shutdown;
mod source;
mod wallet_payment;
mod write_receipts;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::cast::{Cast, Characters, NameKey, printable};
use crate::event::Reporters;
use crate::exit::ExitCode;
use crate::ledger::{Ledger, LedgerError, Transition, now};
use crate::plan::Agreed;
use crate::util::money::Usd;

pub use brake::Brake;
pub use checkpoint::Checkpoint;
pub use duplicates::Duplicates;
pub use enrollment::{Enroll, Payer, PaymentMethod, Published, exit_of};
pub use inspect_stage::InspectStage;
pub use inspected::{Evidence, Inspected};
pub use inspection_cache::InspectionCache;
pub use memory_budget::MemoryBudget;
pub use once_map::OnceMap;
pub use planner::Planner;
pub use price::Price;
pub use publish_stage::Publish;
pub use recorder::emit_inspected;
pub use shutdown::{Shutdown, ShutdownReason};
pub use source::read as read_source;
pub use wallet_payment::{expired_authorization, has_expired, is_chargeable, is_resendable};
pub use write_receipts::{WriteReceiptsError, write_receipts};

use recorder::{ledger_broke, record};

/// The number of characters written to the ledger concurrently: they share commits.
const RECORDS_AT_ONCE: usize = 64;

/// All stages of one run.
pub struct Pipeline {
    /// The first stage.
    pub inspect: Arc<InspectStage>,
    /// The second stage.
    pub publish: Arc<Publish>,
    /// The third stage.
    pub enroll: Arc<Enroll>,
    /// The ledger.
    pub ledger: Ledger,
    /// The receivers of events.
    pub reporters: Arc<Reporters>,
    /// The request to stop.
    pub shutdown: Shutdown,
    /// Price of one enrollment, as far as known beforehand.
    pub price: Usd,
    /// Writes the manifest during the run.
    pub checkpoint: Arc<dyn Checkpoint>,
    /// The interval between checkpoints.
    pub checkpoint_interval: Duration,
    /// The plan that the user agreed to; `None` to enroll whatever the cast and the ledger require.
    pub agreed: Option<Agreed>,
}

impl Pipeline {
    /// Inspects, publishes and enrolls a cast; returns when nothing is in progress any more.
    pub async fn run(self, cast: Cast) {
        if self.agreed.is_some() {
            self.enroll.price.set_agreed();
        }
        let resumed = self.enroll.resume().await;
        let (to_publish, publishing) = mpsc::channel(self.publish.concurrency * 2);
        let (to_enroll, enrolling) = mpsc::channel(64);
        let checkpoints = tokio::spawn(checkpoint::checkpoints(
            Arc::clone(&self.checkpoint),
            self.checkpoint_interval,
            self.ledger.clone(),
        ));
        let publish = tokio::spawn(Arc::clone(&self.publish).run(publishing, to_enroll));
        let enroll = tokio::spawn(Arc::clone(&self.enroll).run(enrolling));
        self.feed(cast, &resumed, to_publish).await;
        for station in [publish, enroll] {
            if station.await.is_err() {
                let message = "internal error: a stage of the run panicked; please report it";
                self.shutdown.request(ExitCode::Internal, "internal", message);
            }
        }
        checkpoints.abort();
    }

    /// Inspects the cast, records the results, and passes on what is to be enrolled.
    async fn feed(&self, cast: Cast, resumed: &HashSet<NameKey>, to_publish: mpsc::Sender<Inspected>) {
        let duplicates = tokio::select! {
            biased;
            () = self.shutdown.requested() => return,
            duplicates = self.duplicates(&cast.characters) => duplicates,
        };
        let mut duplicates = match duplicates {
            Ok(duplicates) => duplicates,
            Err(error) => return ledger_broke(&self.shutdown, &error),
        };
        let inspected = Arc::clone(&self.inspect)
            .all(cast.characters)
            .map(move |inspected| {
                let mut inspected = inspected?;
                duplicates.judge(&mut inspected)?;
                Ok(inspected)
            });
        // Many records share one commit; they are reported in the order of the cast.
        let recorded = inspected
            .map(|inspected| self.record(inspected))
            .buffered(RECORDS_AT_ONCE);
        let mut recorded = std::pin::pin!(recorded);
        loop {
            let next = tokio::select! {
                biased;
                () = self.shutdown.requested() => break,
                next = recorded.next() => next,
            };
            let mut inspected = match next {
                None => break,
                Some(Ok(inspected)) => inspected,
                Some(Err(error)) => {
                    ledger_broke(&self.shutdown, &error);
                    break;
                }
            };
            if !self.is_agreed(&inspected, resumed) {
                let name = printable(inspected.character.name.as_str());
                let message =
                    format!("{name} has changed since the plan was agreed to; nothing more is paid");
                self.shutdown.request(ExitCode::StalePlan, "stale_plan", message);
                break;
            }
            emit_inspected(&self.reporters, &inspected, self.price);
            if self.report_blocked(&mut inspected) {
                continue;
            }
            if inspected.standing.is_paid_next() && to_publish.send(inspected).await.is_err() {
                break;
            }
        }
    }

    /// Whether the run may continue with that character: its standing is that of the plan that was agreed to.
    fn is_agreed(&self, inspected: &Inspected, resumed: &HashSet<NameKey>) -> bool {
        let Inspected {
            character,
            standing,
            sha256,
            ..
        } = inspected;
        // A call paid for by an interrupted run, before the plan was agreed to, is not paid for here.
        let paid_before = resumed.contains(&character.name.key());
        let covered = |agreed: &Agreed| agreed.covers(&character.name, *standing, sha256);
        // Found in the bucket: it costs nothing.
        paid_before || inspected.from_receipt || self.agreed.as_ref().is_none_or(covered)
    }

    /// The images that were paid for before, or perhaps were. Inspections that this requires are stored in the ledger.
    ///
    /// # Errors
    /// The ledger can't be read or written.
    pub async fn duplicates(&self, characters: &Characters) -> Result<Duplicates, LedgerError> {
        let (duplicates, inspected_now) = Duplicates::inspect(&self.inspect, characters).await?;
        let fingerprint = self.inspect.inspector.fingerprint();
        for paid in &inspected_now {
            self.ledger
                .put_inspection(&paid.sha256, fingerprint, &paid.inspection)
                .await?;
        }
        Ok(duplicates)
    }

    /// Writes the inspection to the ledger, unless it is already there, and asks the bucket whether the character was paid
    /// for from elsewhere.
    ///
    /// # Errors
    /// The ledger can't be written, or `inspected` is its error.
    pub async fn record(&self, inspected: Result<Inspected, LedgerError>) -> Result<Inspected, LedgerError> {
        let mut inspected = inspected?;
        record(&self.ledger, self.inspect.inspector.fingerprint(), &inspected).await?;
        if let Some(call) = inspected.paid_before.take() {
            let found = Transition::Found { call, at: now() };
            self.ledger.write(&inspected.character.name, [found]).await?;
            inspected.from_receipt = true;
            return Ok(inspected);
        }
        Ok(self.consult_receipts(inspected).await)
    }
}
