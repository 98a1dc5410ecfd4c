//! The receipts of a command: which bucket and key they belong to, and a ledger that is brought up to date from them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use super::context::Context;
use super::ledger_guard::provider;
use super::manifest_there::manifest_there;
use super::services::ServiceConfig;
use crate::cast::{Name, NameKey, printable};
use crate::enroll::KeyError;
use crate::exit::UsageError;
use crate::ledger::{CallState, Ledger, LedgerView, Reader, Resolution, State, Transition, now};
use crate::manifest::Manifest;
use crate::pipeline::write_receipts;
use crate::publish::Publisher;
use crate::receipts::{Found, Receipt, Receipts, Subject};
use crate::util::text::pluralize;

/// The receipts of a command on `cast`; `None` when they are off, or nothing pays.
pub(crate) fn receipts(
    context: &Context,
    services: &ServiceConfig,
    publisher: &Publisher,
    cast: &Path,
) -> Option<Receipts> {
    let settings = &context.settings;
    if !settings.receipts {
        return None;
    }
    Some(Receipts::new(
        publisher.clone(),
        &services.publish.prefix,
        services.receipt_secret()?,
        &provider(settings, services.sandbox),
        &cast_name(cast),
        settings.api.timeout,
    ))
}

/// The receipts in the configured bucket, for a command that pays for nothing.
///
/// # Errors
/// The bucket or the key is missing, receipts are off, or the bucket holds receipts under another key only.
pub(crate) async fn connect(context: &Context, cast: &Path) -> anyhow::Result<Receipts> {
    if !context.settings.receipts {
        return Err(UsageError("receipts.enabled is false: there are no receipts".to_owned()).into());
    }
    let services = ServiceConfig::new(context, None)?;
    let publisher = Publisher::new(services.publish.clone(), services.credentials.clone()).await?;
    receipts(context, &services, &publisher, cast).ok_or_else(|| KeyError::Missing.into())
}

/// The name of a cast: of its file or folder.
fn cast_name(cast: &Path) -> String {
    let cast = cast.canonicalize().unwrap_or_else(|_| cast.to_owned());
    cast.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What was restored from receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Restored {
    /// Asset ids that the ledger did not know.
    pub(crate) ids: usize,
    /// Calls without outcome that the ledger did not know.
    pub(crate) doubts: usize,
    /// Calls that may be under way elsewhere: left alone.
    pub(crate) under_way: usize,
}

/// Brings the bucket and the ledger up to date before anything is paid: the key's series is checked, outcomes that an
/// earlier command could not write are written, and ids in the manifest that the ledger does not know are restored.
///
/// # Errors
/// The bucket can't be used, holds receipts under another key only, or the manifest holds ids that are found nowhere.
pub(crate) async fn bring_up_to_date(
    ledger: &Ledger,
    receipts: &Receipts,
    manifest: &Path,
    names: &HashSet<NameKey>,
) -> anyhow::Result<()> {
    receipts.check_series().await?;
    write_receipts(ledger, receipts).await?;
    let lacking = unknown_ids(ledger.view(), manifest)?.len();
    if lacking > 0 {
        let restored = restore(ledger, receipts, names)
            .await
            .context("the ledger lacks ids of the manifest, and can't be restored from receipts")?;
        tracing::warn!(
            "the ledger lacked {} of {}; restored {} from receipts in the bucket",
            pluralize(lacking, "id"),
            manifest.display(),
            pluralize(restored.ids, "id")
        );
    }
    Ok(())
}

/// What is compared of a manifest's characters.
#[derive(Deserialize)]
struct Id {
    name: String,
    asset_id: String,
}

/// The ids of a manifest that the ledger does not know, with their names.
fn unknown_ids(ledger: &LedgerView, manifest: &Path) -> anyhow::Result<Vec<(String, String)>> {
    // What a sandbox gave costs nothing.
    if !manifest.is_file() || manifest_there(manifest).is_some_and(|there| there.sandbox) {
        return Ok(Vec::new());
    }
    // One in another format, which castline has written, holds too little to compare. An id counts, even where another
    // field is not as castline writes it.
    let there = Manifest::<Vec<Id>>::read(manifest).ok();
    let Some(there) = there.filter(|there| !there.sandbox) else {
        return Ok(Vec::new());
    };
    let known = ledger.asset_ids()?;
    let unknown = there
        .characters
        .into_iter()
        .filter(|c| !known.contains_key(&c.asset_id));
    Ok(unknown.map(|c| (c.name, c.asset_id)).collect())
}

/// Refuses to write over a manifest with ids that the ledger does not know.
///
/// # Errors
/// It holds such ids, or can't be read.
pub(crate) fn check_manifest(ledger: &LedgerView, manifest: &Path) -> anyhow::Result<()> {
    let unknown = unknown_ids(ledger, manifest)?;
    let Some((name, id)) = unknown.first() else {
        return Ok(());
    };
    let message = format!(
        "{} holds {} that the ledger {} does not know, such as {} of {}: the ledger is older, or another one. Nothing was \
         changed. Restore the ledger with `castline ledger restore`, or add the ids with `castline ledger import {}`",
        manifest.display(),
        pluralize(unknown.len(), "asset id"),
        ledger.place(),
        printable(id),
        printable(name),
        manifest.display()
    );
    Err(UsageError(message).into())
}

/// Takes over from the bucket every id and every doubt of the cast, or of `names`, that the ledger does not know.
///
/// # Errors
/// The bucket can't be listed or read, or the ledger can't be written.
pub(crate) async fn restore(
    ledger: &Ledger,
    receipts: &Receipts,
    names: &HashSet<NameKey>,
) -> anyhow::Result<Restored> {
    let mut by_name: BTreeMap<String, (Name, Vec<Receipt>)> = BTreeMap::new();
    for receipt in receipts.all().await? {
        let Ok(name) = Name::new(&receipt.name) else {
            continue;
        };
        let ours =
            receipt.api == receipts.api() && (receipt.cast == receipts.cast() || names.contains(&name.key()));
        if ours {
            let key = name.key().as_str().to_owned();
            by_name
                .entry(key)
                .or_insert_with(|| (name, Vec::new()))
                .1
                .push(receipt);
        }
    }
    let mut restored = Restored::default();
    let mut known: HashSet<String> = ledger.view().asset_ids()?.into_keys().collect();
    for (name, mut of_name) in by_name.into_values() {
        // The last id is the one in use.
        of_name.sort_by(|a, b| (&a.started_at, a.number).cmp(&(&b.started_at, b.number)));
        for receipt in of_name {
            restore_one(ledger, receipts, &name, receipt, &mut known, &mut restored).await?;
        }
    }
    Ok(restored)
}

async fn restore_one(
    ledger: &Ledger,
    receipts: &Receipts,
    name: &Name,
    receipt: Receipt,
    known_ids: &mut HashSet<String>,
    restored: &mut Restored,
) -> anyhow::Result<()> {
    let record = ledger.get(&name.key())?;
    let state = record.as_ref().map(|record| record.state);
    let known = ledger.view().call_state(&receipt.call)?;
    let found = |receipt: &Receipt| Transition::Found {
        call: Box::new(receipt.found()),
        at: now(),
    };
    match receipt.state {
        CallState::Enrolled => {
            let settles = state == Some(State::InDoubt)
                && record.as_ref().and_then(|r| r.attempted_sha256.as_ref()) == Some(&receipt.source_sha256);
            let free = !matches!(state, Some(State::Intent | State::InDoubt));
            let id = receipt.asset_id.clone().unwrap_or_default();
            if (settles || free) && known_ids.insert(id) {
                ledger.write(name, [found(&receipt)]).await?;
                restored.ids += 1;
            }
        }
        _ if known.is_some() || matches!(state, Some(State::Intent | State::InDoubt)) => {}
        CallState::Retried => {
            // It counts as spent, and is settled.
            let retry = Transition::Resolve(Resolution::Retry);
            ledger.write(name, [found(&receipt), retry]).await?;
        }
        CallState::InDoubt | CallState::Open | CallState::SetAside => {
            let subject = Subject {
                name,
                kind: receipt.kind,
                source_sha256: &receipt.source_sha256,
            };
            match receipts.find(&subject, receipt.number).await? {
                Found::InDoubt(receipt) => {
                    ledger.write(name, [found(&receipt)]).await?;
                    restored.doubts += 1;
                }
                Found::UnderWay(_) => restored.under_way += 1,
                Found::Enrolled(_) | Found::Free(_) => {}
            }
        }
        CallState::NotCharged => {}
    }
    Ok(())
}

/// Writes what was settled over the receipts, where a bucket is configured; else the next run does it.
pub(crate) async fn write_after(context: &Context, ledger: &Ledger, cast: Option<&Path>) {
    let write = async {
        if ledger.view().unwritten_receipts(None)?.is_empty() {
            return anyhow::Ok(());
        }
        ledger
            .view()
            .check_owner(&provider(&context.settings, false), false)?;
        let receipts = connect(context, cast.unwrap_or(Path::new("."))).await?;
        ledger.view().check_payer(&receipts.fingerprint())?;
        receipts.check_existing_series().await?;
        write_receipts(ledger, &receipts).await?;
        Ok(())
    };
    if ledger.view().is_sandbox() || !context.settings.receipts {
        return;
    }
    if let Err(error) = write.await {
        tracing::warn!("the receipts in the bucket are not up to date ({error:#}); the next run writes them");
    }
}
