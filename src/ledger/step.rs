//! Writes a transition of a character to the database, and its effect on the attempts to pay for it.

use super::clock::now;
use super::database::{Database, values};
use super::scope::{self, LedgerKey, Scope};
use super::totals::Total;
use super::worker::Worker;
use super::{
    Budget, CallState, FoundCall, LedgerError, Place, ReceiptRef, Record, Resolution, State, Transition,
    apply, records, totals,
};
use crate::cast::Name;
use crate::inspect::ImageSignature;
use crate::util::money::Usd;

/// A paid call of an earlier run whose payment can be resent.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupted {
    /// The name of the character.
    pub name: Name,
    /// The payment that was made durable with its intent.
    pub payment: String,
}

/// Writes one transition of one character of the scope, and its effect on the attempts. A character of a cast that no
/// longer exists, or of an earlier castline, becomes one of this cast.
pub(super) fn step(
    database: &Database,
    place: &Place,
    run: i64,
    scope: &Scope,
    name: &Name,
    transition: &Transition,
) -> Result<Record, LedgerError> {
    let mut key = scope.locate(database, &name.key())?;
    let own = scope.own(&name.key());
    if scope.is_of_a_cast() && key != own {
        scope::rename(database, &key, &own)?;
        key = own;
    }
    step_at(database, place, run, (&key, name), transition)
}

fn step_at(
    database: &Database,
    place: &Place,
    run: i64,
    (key, name): (&LedgerKey, &Name),
    transition: &Transition,
) -> Result<Record, LedgerError> {
    let before = records::get(database, place, key)?;
    let taken = match transition {
        Transition::Enrolled { asset_id, .. } => other_owner(database, place, key, asset_id)?
            .map(|owner| Transition::id_of_another(asset_id, &owner)),
        Transition::Late(outcome) => match &**outcome {
            Transition::Enrolled { asset_id, .. } => other_owner(database, place, key, asset_id)?
                .map(|owner| Transition::Late(Box::new(Transition::id_of_another(asset_id, &owner)))),
            _ => None,
        },
        _ => None,
    };
    let transition = taken.as_ref().unwrap_or(transition);
    let record = apply(name, before.as_ref(), transition)?;
    if let Some(before) = &before
        && before.asset_id != record.asset_id
        && let Some(old) = &before.asset_id
    {
        put_history(database, key, old, before.enrolled_sha256.as_deref())?;
    }
    let row = attempt_row(database, key, before.as_ref(), transition)?;
    record_attempt(database, run, (key, name), &record, row, transition)?;
    if let Transition::Resolve(Resolution::Adopt { asset_id, .. }) = transition
        && record.asset_id.as_ref() != Some(asset_id)
    {
        // It has the id of a later call; this one is its own too.
        put_history(database, key, asset_id, None)?;
    }
    put(database, key, &record)?;
    Ok(record)
}

/// Writes an id that a character no longer has, or never had as its own.
fn put_history(
    database: &Database,
    key: &LedgerKey,
    asset_id: &str,
    sha256: Option<&str>,
) -> Result<(), LedgerError> {
    database.execute(
        "INSERT INTO history (key, asset_id, source_sha256, replaced_at) VALUES (?1, ?2, ?3, ?4)",
        values![key.as_str(), asset_id, sha256, &now()],
    )?;
    Ok(())
}

/// The other character that has an asset id, or ever had it.
fn other_owner(
    database: &Database,
    place: &Place,
    key: &LedgerKey,
    asset_id: &str,
) -> Result<Option<Name>, LedgerError> {
    let owner: Option<String> = database.first(
        "SELECT key FROM character_fields WHERE asset_id = ?1 AND key <> ?2
         UNION ALL SELECT key FROM attempts WHERE asset_id = ?1 AND key <> ?2
         UNION ALL SELECT key FROM history WHERE asset_id = ?1 AND key <> ?2 LIMIT 1",
        values![asset_id, key.as_str()],
        |row| row.get(0),
    )?;
    let Some(owner) = owner else { return Ok(None) };
    let record = records::get(database, place, &LedgerKey::from_stored(owner))?;
    Ok(record.map(|record| record.name))
}

/// The attempt that a transition is about: the last one, except where a person settles an earlier call, or corrects the
/// id that a person had entered. 0 where a doubt has none, since it was taken over from another cast's attempt.
fn attempt_row(
    database: &Database,
    key: &LedgerKey,
    before: Option<&Record>,
    transition: &Transition,
) -> Result<i64, LedgerError> {
    let settles = matches!(transition, Transition::Resolve(_));
    let which = match before.filter(|_| settles) {
        None => "",
        Some(Record {
            state: State::InDoubt,
            ..
        }) => "AND outcome = 'in_doubt' AND code IS DISTINCT FROM 'retried'",
        Some(Record { retried: Some(_), .. }) => "AND outcome = 'in_doubt' AND code = 'retried'",
        Some(_) => "AND outcome = 'enrolled' AND code = 'adopted'",
    };
    let query = format!("SELECT coalesce(max(id), 0) FROM attempts WHERE key = ?1 {which}");
    database.one(&query, values![key.as_str()], |row| row.get(0))
}

/// Writes the signature of an image, if there is one.
pub(super) fn put_signature(
    database: &Database,
    sha256: &str,
    signature: Option<&ImageSignature>,
) -> Result<(), LedgerError> {
    if let Some(signature) = signature {
        database.execute(
            "INSERT INTO signatures (source_sha256, signature) VALUES (?1, ?2)
             ON CONFLICT (source_sha256) DO UPDATE SET signature = excluded.signature",
            values![sha256, &signature.to_string()],
        )?;
    }
    Ok(())
}

/// Writes an inspection, and the signature that it found.
pub(super) fn put_inspection(
    database: &Database,
    sha256: &str,
    fingerprint: &str,
    text: &str,
    signature: Option<&ImageSignature>,
) -> Result<(), LedgerError> {
    put_signature(database, sha256, signature)?;
    database.execute(
        "INSERT INTO inspections (source_sha256, fingerprint, inspection) VALUES (?1, ?2, ?3)
         ON CONFLICT (source_sha256, fingerprint) DO UPDATE SET inspection = excluded.inspection",
        values![sha256, fingerprint, text],
    )?;
    Ok(())
}

pub(super) fn put(database: &Database, key: &LedgerKey, record: &Record) -> Result<(), LedgerError> {
    let text = serde_json::to_string(record).expect("a record is plain data");
    let digest = records::digest(&text);
    database.execute(
        "INSERT INTO characters (key, state, record, digest) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET state = ?2, record = ?3, digest = ?4",
        values![key.as_str(), record.state.as_str(), &text, &digest[..]],
    )?;
    Ok(())
}

/// Writes the effect of a transition on the attempts to pay.
fn record_attempt(
    database: &Database,
    run: i64,
    (key, name): (&LedgerKey, &Name),
    record: &Record,
    row: i64,
    transition: &Transition,
) -> Result<(), LedgerError> {
    let end = |outcome: &str, code: &str, message: &str| {
        database.execute(
            "UPDATE attempts SET outcome = ?2, code = ?3, message = ?4, ended_at = ?5 WHERE id = ?1",
            values![row, outcome, code, message, &now()],
        )
    };
    match transition {
        Transition::Intend {
            request_digest,
            price,
            budget,
            payment,
            receipt,
        } => {
            // The payment that was set aside has expired since, or is the one of this call; and so is the payment of a
            // doubt, if it is resent.
            database.execute(
                "UPDATE attempts SET outcome = 'released' WHERE key = ?1 AND outcome = 'set_aside'",
                values![key.as_str()],
            )?;
            if let Some(payment) = payment {
                release_resent(database, key, payment)?;
            }
            check_budget(database, run, *price, *budget)?;
            if let Some(ReceiptRef { call, .. }) = receipt {
                // The same call again: its receipt tells what becomes of the last attempt.
                database.execute(
                    "UPDATE attempts SET receipt_call = NULL WHERE receipt_call = ?1",
                    values![call],
                )?;
            }
            let (number, call) = receipt
                .as_ref()
                .map(|receipt| (receipt.number, &receipt.call))
                .unzip();
            database.execute(
                "INSERT INTO attempts (key, run, request_digest, price, started_at, payment,
                    receipt_number, receipt_call, source_sha256, kind, name)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                values![
                    key.as_str(),
                    run,
                    request_digest,
                    money(*price),
                    &now(),
                    payment,
                    number,
                    call,
                    &record.attempted_sha256,
                    record.kind.as_str(),
                    name.as_str(),
                ],
            )?;
        }
        Transition::Enrolled {
            asset_id,
            price,
            priced,
            settlement,
            ..
        } => {
            end("enrolled", if *priced { "priced" } else { "" }, "")?;
            database.execute(
                "UPDATE attempts SET asset_id = ?2, price = ?3, settlement = ?4 WHERE id = ?1",
                values![row, asset_id, money(*price), settlement],
            )?;
        }
        Transition::Refuse { code, message, valid } => {
            let outcome = if *valid { "set_aside" } else { "refused" };
            end(outcome, code, message)?;
        }
        Transition::Release { code, message } => _ = end("released", code, message)?,
        Transition::SetAside { code, message } => _ = end("set_aside", code, message)?,
        Transition::Doubt { code, message } => _ = end("in_doubt", code, message)?,
        Transition::Resolve(Resolution::Adopt { asset_id, .. }) => {
            end("enrolled", "adopted", "a person found the id")?;
            // Its receipt may have another id of that person.
            database.execute(
                "UPDATE attempts SET asset_id = ?2, receipt_written = NULL WHERE id = ?1",
                values![row, asset_id],
            )?;
        }
        Transition::Resolve(Resolution::Forget { valid }) => {
            let outcome = if *valid { "set_aside" } else { "forgotten" };
            end(outcome, "forgotten", "a person says it was not charged")?;
        }
        Transition::Resolve(Resolution::Unused) => {
            _ = end(
                "released",
                "never_charged",
                "the chain says that its payment was never charged",
            )?
        }
        Transition::Resolve(Resolution::Charged { .. }) => {
            let (code, message) = (record.code.as_deref(), record.message.as_deref());
            end("in_doubt", code.unwrap_or_default(), message.unwrap_or_default())?;
        }
        // The doubt is kept, counted as spent.
        Transition::Resolve(Resolution::Retry) => {
            database.execute(
                "UPDATE attempts SET code = 'retried' WHERE id = ?1 AND outcome = 'in_doubt'",
                values![row],
            )?;
        }
        Transition::Late(outcome) => record_attempt(database, run, (key, name), record, row, outcome)?,
        Transition::Found { call, .. } => found(database, key, call)?,
        Transition::See { .. }
        | Transition::Stamp(_)
        | Transition::Judge { .. }
        | Transition::Publish { .. }
        | Transition::Fail { .. } => {}
        // A rebuilt ledger counts what was paid before, or its budget would start anew.
        Transition::Import {
            asset_id,
            price: Some(price),
            at,
            ..
        } => {
            let now = now();
            let at = at.as_ref().unwrap_or(&now);
            database.execute(
                "INSERT INTO attempts (key, run, request_digest, price, started_at, ended_at, outcome, code, message, asset_id)
                 VALUES (?1, ?2, '', ?3, ?4, ?4, 'enrolled', 'imported', 'from a manifest', ?5)",
                values![key.as_str(), run, money(*price), at, asset_id],
            )?;
        }
        Transition::Import { price: None, .. } => {}
    }
    Ok(())
}

/// Writes a call that a receipt tells of: over what is known of it, or as a new one, which counts as spent over the
/// ledger's life, but not in this run.
fn found(database: &Database, key: &LedgerKey, found: &FoundCall) -> Result<(), LedgerError> {
    put_signature(database, &found.source_sha256, found.signature.as_ref())?;
    // A call that this ledger knows.
    let Some(receipt) = &found.receipt else {
        return Ok(());
    };
    let (outcome, word) = match found.asset_id {
        Some(_) => ("enrolled", CallState::Enrolled),
        None => ("in_doubt", CallState::InDoubt),
    };
    let known = database.execute(
        "UPDATE attempts SET outcome = ?2, code = 'receipt', message = 'found in the bucket', ended_at = ?3,
            asset_id = ?4, price = ?5, receipt_written = ?6 WHERE receipt_call = ?1",
        values![
            &receipt.call,
            outcome,
            &found.at,
            &found.asset_id,
            money(found.price),
            word.as_str(),
        ],
    )?;
    if known == 0 {
        database.execute(
            "INSERT INTO attempts (key, run, request_digest, price, started_at, ended_at, outcome, code, message,
                asset_id, receipt_number, receipt_call, receipt_written, source_sha256, kind)
             VALUES (?1, 0, '', ?2, ?3, ?3, ?4, 'receipt', 'found in the bucket', ?5, ?6, ?7, ?8, ?9, ?10)",
            values![
                key.as_str(),
                money(found.price),
                &found.at,
                outcome,
                &found.asset_id,
                receipt.number,
                &receipt.call,
                word.as_str(),
                &found.source_sha256,
                found.kind.as_str(),
            ],
        )?;
    }
    Ok(())
}

/// Checks that one more call at `price` stays within the budget; in the transaction that writes the intent, so that
/// concurrent calls can't exceed it together.
fn check_budget(database: &Database, run: i64, price: Usd, budget: Budget) -> Result<(), LedgerError> {
    let caps = [
        (budget.run, Total::Run(run), "--max-cost"),
        (budget.life, Total::Ledger, "api.max_total_cost_usd"),
        (budget.account, Total::Account, "api.max_account_cost_usd"),
    ];
    for (cap, of, name) in caps {
        let Some(cap) = cap else { continue };
        let spent = totals::spent(database, of)?;
        if spent + price > cap {
            let message = format!(
                "the budget is reached: {spent} of {cap} is spent or in doubt, and the next call costs {price}; \
                 raise {name} to continue"
            );
            return Err(LedgerError::BudgetReached { cap, spent, message });
        }
    }
    Ok(())
}

/// Releases the payment of a doubt that is resent by this call: it is charged once, whichever call reaches the chain.
fn release_resent(database: &Database, key: &LedgerKey, payment: &str) -> Result<(), LedgerError> {
    let retried: Vec<(i64, Option<String>)> = database.rows(
        "SELECT id, payment FROM attempts WHERE key = ?1 AND outcome = 'in_doubt' AND code = 'retried'",
        values![key.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let ours = nonce(payment);
    for (id, theirs) in retried {
        if ours.is_some() && theirs.as_deref().and_then(nonce) == ours {
            database.execute(
                "UPDATE attempts SET outcome = 'released' WHERE id = ?1",
                values![id],
            )?;
        }
    }
    Ok(())
}

/// The nonce of a signed payment, by which the chain takes it once.
fn nonce(payment: &str) -> Option<String> {
    let payment: serde_json::Value = serde_json::from_str(payment).ok()?;
    Some(
        payment
            .pointer("/payment/authorization/nonce")?
            .as_str()?
            .to_owned(),
    )
}

/// Brings intents without outcome into doubt, except those that `keep` keeps open.
pub(super) fn recover(
    database: &Database,
    worker: Option<&Worker>,
    place: &Place,
    scope: &Scope,
    keep: fn(&str) -> bool,
) -> Result<(usize, Vec<Interrupted>), LedgerError> {
    database.transaction(|database| {
        // Who was taken over meanwhile would bring the calls of its successor into doubt.
        worker.map_or(Ok(()), |worker| worker.is_alive(database))?;
        recover_all(database, place, scope, keep)
    })
}

fn recover_all(
    database: &Database,
    place: &Place,
    scope: &Scope,
    keep: fn(&str) -> bool,
) -> Result<(usize, Vec<Interrupted>), LedgerError> {
    let query = "SELECT key FROM characters WHERE state = 'intent'";
    let keys: Vec<String> = database.rows(query, values![], |row| row.get(0))?;
    let (mut kept, mut recovered) = (Vec::new(), 0);
    for key in &keys {
        let query = "SELECT payment FROM attempts WHERE key = ?1 ORDER BY id DESC LIMIT 1";
        let payment: Option<String> = database.one(query, values![key], |row| row.get(0))?;
        let key = LedgerKey::from_stored(key.clone());
        let record = records::get(database, place, &key)?.expect("it was just listed");
        if let Some(payment) = payment.filter(|payment| keep(payment)) {
            // The next run of its own cast resends it.
            if scope.includes(&key) {
                let name = record.name;
                kept.push(Interrupted { name, payment });
            }
            continue;
        }
        step_at(
            database,
            place,
            0,
            (&key, &record.name),
            &Transition::interrupted(),
        )?;
        recovered += 1;
    }
    Ok((recovered, kept))
}

/// Releases payments that were set aside, and so count as spent, once nobody can charge them any more, even if no later
/// call is made for their character.
pub(super) fn release_expired(database: &Database, expired: fn(&str) -> bool) -> Result<(), LedgerError> {
    let set_aside: Vec<(i64, String)> = database.rows(
        "SELECT id, payment FROM attempts WHERE outcome = 'set_aside' AND payment IS NOT NULL",
        values![],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (id, _) in set_aside.iter().filter(|(_, payment)| expired(payment)) {
        database.execute(
            "UPDATE attempts SET outcome = 'released' WHERE id = ?1",
            values![*id],
        )?;
    }
    Ok(())
}

/// An amount as SQLite's signed integer; no price comes near its limit.
fn money(amount: Usd) -> i64 {
    i64::try_from(amount.micros()).unwrap_or(i64::MAX)
}
