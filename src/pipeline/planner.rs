//! Plans a run: inspects the whole cast as a run would, and totals what it would do. Writes nothing.

use std::sync::Arc;

use futures_util::StreamExt;

use super::{Duplicates, InspectStage, Inspected, emit_inspected};
use crate::cast::Characters;
use crate::event::Reporters;
use crate::ledger::LedgerError;
use crate::plan::{Planned, Totals};

/// Plans a run.
pub struct Planner {
    /// Inspects the cast; with [`InspectStage::prepare`], to know the upload sizes.
    pub inspect: Arc<InspectStage>,
    /// The receivers of events.
    pub reporters: Arc<Reporters>,
    /// The totals, initially without characters.
    pub totals: Totals,
    /// Whether a run fetches each published address once.
    pub probe: bool,
}

impl Planner {
    /// Inspects the whole cast, reports what a run would do with each character, passes each to `each`, and totals them.
    ///
    /// # Errors
    /// The ledger can't be read, or `each` failed.
    pub async fn survey(
        self,
        characters: &Characters,
        mut each: impl FnMut(Inspected, &InspectStage) -> Result<(), LedgerError>,
    ) -> Result<Totals, LedgerError> {
        let Self {
            inspect,
            reporters,
            mut totals,
            probe,
        } = self;
        let price = totals.price_usd;
        let mut duplicates = Duplicates::of(&inspect, characters).await?;
        let mut all = std::pin::pin!(Arc::clone(&inspect).all(characters.iter()));
        while let Some(inspected) = all.next().await {
            let mut inspected = inspected?;
            duplicates.judge(&mut inspected)?;
            emit_inspected(&reporters, &inspected, price);
            let upload = inspected.evidence.prepared().map(|prepared| prepared.bytes.len());
            let paid = inspected.standing.is_paid_next();
            totals.count(
                inspected.standing,
                inspected.is_reenrollment,
                upload.filter(|_| paid),
            );
            each(inspected, &inspect)?;
        }
        if !probe {
            totals.uploads.get = 0;
        }
        Ok(totals)
    }
}

impl From<&Inspected> for Planned {
    fn from(inspected: &Inspected) -> Self {
        Self {
            name: inspected.character.name.clone(),
            kind: inspected.character.kind,
            sha256: inspected.sha256.clone(),
            standing: inspected.standing,
        }
    }
}
