//! Settles doubts with the provider's own list of assets.

use std::collections::HashSet;

use super::context::Context;
use super::ledger_guard::provider;
use super::sandbox::start_sandbox;
use super::services::api;
use super::stdout::println;
use super::wallet;
use crate::cast::printable;
use crate::enroll::{Client, Match, find_listed, find_paid_by, unmatchable};
use crate::exit::UsageError;
use crate::ledger::{Ledger, Resolution, in_doubt, now, settling};

/// The wallet address whose assets the provider lists.
///
/// # Errors
/// The provider has no list of assets, or no address is configured.
pub(crate) fn assets_of(context: &Context) -> Result<String, UsageError> {
    let settings = &context.settings;
    if settings.api.provider.listing.is_none() {
        let message = format!(
            "{} offers no list of assets; look them up yourself, then use --adopt, --forget or --retry",
            settings.api.provider.name
        );
        return Err(UsageError(message));
    }
    let own = || wallet::address(settings);
    let message = "the wallet to look up is unknown; set payment.address to its public address, 0x…";
    let address = settings.payment.address.clone().or_else(own);
    address.ok_or_else(|| UsageError(message.to_owned()))
}

/// Adopts the assets that the provider lists under a name in doubt and made from the image that was sent. Only a name
/// that matches exactly one listed asset is settled: a missing asset proves nothing.
pub(crate) async fn reconcile(
    context: &Context,
    ledger: &Ledger,
    address: &str,
    sandbox: bool,
) -> anyhow::Result<()> {
    let settings = &context.settings;
    ledger.view().check_owner(&provider(settings, sandbox), sandbox)?;
    let doubts = in_doubt(ledger)?;
    let sandbox = match sandbox {
        true => Some(start_sandbox(settings).await?),
        false => None,
    };
    let ca_pem = match &sandbox {
        Some(sandbox) => Some(sandbox.ca_pem().to_vec()),
        None => context.ca_pem()?,
    };
    let client = Client::new(api(context, sandbox.as_ref(), ca_pem)?)?;
    let listed = client.listing(address).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    let listed = listed?;
    let mut taken: HashSet<String> = ledger.view().asset_ids()?.into_keys().collect();
    for record in doubts {
        let name = record.name.as_str();
        let shown = printable(name);
        let url = record.url.as_deref().unwrap_or_default();
        // The transaction says more than name and image, which a listing may leave out.
        let paid_by = record.attempted_transaction.as_deref();
        let paid = paid_by.and_then(|transaction| find_paid_by(&listed, transaction, &taken));
        let found = match paid {
            Some(asset) => Match::One(asset.clone()),
            None => find_listed(&listed, name, url, &taken),
        };
        match found {
            Match::One(asset) => {
                let adopt = Resolution::Adopt {
                    asset_id: asset.asset_id.clone(),
                    at: now(),
                };
                ledger
                    .write(&record.name, settling(Some(record.state), adopt))
                    .await?;
                println(&format!("found\t{shown}\t{}", printable(&asset.asset_id)))?;
                taken.insert(asset.asset_id);
            }
            Match::None => match unmatchable(&listed, &taken) {
                0 => println(&format!("not listed\t{shown}"))?,
                unclear => println(&format!(
                    "not found\t{shown}\t{unclear} of the listed assets have no name or no image: look them up yourself"
                ))?,
            },
            Match::Several(assets) => {
                let ids: Vec<_> = assets.iter().map(|a| printable(&a.asset_id)).collect();
                println(&format!("listed {} times\t{shown}\t{}", ids.len(), ids.join(" ")))?;
            }
        }
    }
    Ok(())
}
