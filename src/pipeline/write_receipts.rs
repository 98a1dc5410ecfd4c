//! Writes receipts that an earlier command left without the outcome that the ledger knows.

use futures_util::{StreamExt, stream};

use super::wallet_payment::valid_until;
use crate::ledger::{Call, CallState, Ledger, LedgerError};
use crate::receipts::{Receipt, ReceiptError, Receipts};

/// The number of receipts written concurrently.
const WRITES: usize = 16;

/// Why receipts could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum WriteReceiptsError {
    /// The ledger can't be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The bucket can't be read or written.
    #[error(transparent)]
    Receipts(#[from] ReceiptError),
}

/// Writes the receipts that an earlier command left without the outcome that the ledger knows; returns how many.
///
/// # Errors
/// The ledger or the bucket can't be read or written.
pub async fn write_receipts(ledger: &Ledger, receipts: &Receipts) -> Result<usize, WriteReceiptsError> {
    let calls = ledger.view().unwritten_receipts(None)?;
    let mut written = stream::iter(calls)
        .map(|call| async move {
            let wrote = receipts.complete(&receipt_of(&call, receipts)).await?;
            ledger.receipt_written(&call.receipt.call, call.state).await?;
            Ok::<_, WriteReceiptsError>(usize::from(wrote))
        })
        .buffer_unordered(WRITES);
    let mut count = 0;
    while let Some(wrote) = written.next().await {
        count += wrote?;
    }
    Ok(count)
}

/// The receipt that says what the ledger knows of a call.
pub(super) fn receipt_of(call: &Call, receipts: &Receipts) -> Receipt {
    let until = (call.state == CallState::SetAside)
        .then(|| call.payment.as_deref().and_then(valid_until))
        .flatten();
    Receipt::of(call, receipts.api(), receipts.cast(), until)
}
