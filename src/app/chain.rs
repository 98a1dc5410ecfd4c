//! Ends doubts about a wallet's payments by asking the chain, where a node is configured.

use super::context::Context;
use crate::cast::printable;
use crate::enroll::payment::{Chain, Settlement};
use crate::ledger::{CHARGED, CallState, Ledger, Resolution, State, Transition, in_doubt};
use crate::pipeline::expired_authorization;

/// Asks the chain about every doubt whose signed payment has expired. One that was never charged is released, and enrolled
/// by the next run; of one that was, the doubt says by which transaction. A node that fails, lags or is of another chain
/// changes nothing.
///
/// # Errors
/// The ledger can't be read or written.
pub(crate) async fn settle_by_chain(context: &Context, ledger: &Ledger) -> anyhow::Result<()> {
    let settings = &context.settings;
    let Some(url) = settings.payment.rpc_url.clone() else {
        return Ok(());
    };
    let chain = Chain::new(url, settings.payment.network, context.ca_pem()?.as_deref())?;
    for record in in_doubt(ledger)? {
        let attempt = ledger.view().last_attempt(&record.name.key())?;
        let payment = attempt
            .filter(|attempt| attempt.state == CallState::InDoubt)
            .and_then(|attempt| attempt.payment);
        let Some(authorization) = payment.as_deref().and_then(expired_authorization) else {
            continue;
        };
        if record.state != State::InDoubt || record.code.as_deref() == Some(CHARGED) {
            continue;
        }
        let name = printable(record.name.as_str());
        let resolution = match chain.settlement(&authorization).await {
            Ok(Settlement::NotFinal) => continue,
            Ok(Settlement::Unused) => {
                tracing::warn!(
                    "{name}: the chain says that its payment was never charged; it can be enrolled again"
                );
                Resolution::Unused
            }
            Ok(Settlement::Used(transaction)) => {
                let transaction = transaction.map(|hash| hash.to_string());
                let by = transaction
                    .as_deref()
                    .unwrap_or("a transaction that was not found");
                tracing::warn!("{name}: the chain says that its payment was charged, by {by}");
                Resolution::Charged { transaction }
            }
            Err(error) => {
                tracing::warn!("{error}; doubts stay as they are");
                return Ok(());
            }
        };
        ledger
            .write(&record.name, [Transition::Resolve(resolution)])
            .await?;
    }
    Ok(())
}
