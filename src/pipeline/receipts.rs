//! Receipts in a run: consulted before a character is paid for, created before its call leaves, completed after it.

use super::Pipeline;
use super::enrollment::{Authorized, Enroll, Next, PaidCall};
use super::inspected::Inspected;
use super::recorder::{failed, ledger_broke};
use super::settle::unpaid;
use super::wallet_payment::{is_chargeable, is_resendable};
use super::write_receipts::{WriteReceiptsError, receipt_of};
use crate::cast::{Kind, Name, NameKey, printable};
use crate::event::{Event, Stage};
use crate::exit::ExitCode;
use crate::ledger::{
    Attempt, Call, CallState, Ledger, Reader, ReceiptRef, Record, Resolution, State, Transition, now,
};
use crate::plan::Standing;
use crate::receipts::{Found, Receipt, Receipts, Subject, new_call};
use crate::util::money::Usd;

/// The receipt of a paid call.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) receipt: ReceiptRef,
    /// Whether it is known to be in the bucket, created by this call.
    created: bool,
    /// Whether an earlier run has chosen it: it may exist, and be this call's or that of a faster one.
    reused: bool,
    kind: Kind,
    source_sha256: String,
}

/// Whether the last call of a character was for this image and is still open: the next one is the same again, with its
/// receipt.
fn is_open_for(last: &Attempt, source_sha256: &str) -> bool {
    last.receipt.is_some()
        && last.source_sha256.as_deref() == Some(source_sha256)
        && matches!(last.state, CallState::Open | CallState::SetAside)
}

/// What the bucket says of a character, and what it means for a run.
enum Consulted {
    /// It may be paid for, with the receipt of this number.
    Free(u32),
    /// The ledger has taken over an id or a doubt from a receipt.
    TakenOver(Standing),
    /// Another machine may be paying for it now, since the time given.
    UnderWay(String),
    /// Its doubt was settled elsewhere: it was not charged.
    Settled,
}

/// Asks the bucket about a character and image, from receipt number `from` on, and writes what it says to the ledger.
/// `before` are transitions that end an open intent, written only if something is taken over.
async fn consult(
    ledger: &Ledger,
    receipts: &Receipts,
    subject: Subject<'_>,
    mut from: u32,
    before: Vec<Transition>,
) -> Result<Consulted, WriteReceiptsError> {
    loop {
        let (receipt, standing) = match receipts.find(&subject, from).await? {
            Found::Free(number) => return Ok(Consulted::Free(number)),
            Found::UnderWay(receipt) => return Ok(Consulted::UnderWay(receipt.started_at)),
            Found::Enrolled(receipt) => (receipt, Standing::Enrolled),
            // The receipt of a doubt that a person has settled here.
            Found::InDoubt(receipt)
                if ledger
                    .view()
                    .call_state(&receipt.call)?
                    .is_some_and(CallState::is_final) =>
            {
                from = receipt.number + 1;
                continue;
            }
            Found::InDoubt(receipt) => (receipt, Standing::InDoubt),
        };
        let found = Transition::Found {
            call: Box::new(receipt.found()),
            at: now(),
        };
        let mut steps = before;
        steps.push(found);
        ledger.write(subject.name, steps).await?;
        return Ok(Consulted::TakenOver(standing));
    }
}

impl Pipeline {
    /// Reports a character that can't be paid for now, if it is one; returns whether it is.
    pub fn report_blocked(&self, inspected: &mut Inspected) -> bool {
        let Some((code, message)) = inspected.blocked.take() else {
            return false;
        };
        failed(
            &self.reporters,
            &inspected.character.name,
            Stage::Enroll,
            &code,
            message,
        );
        true
    }

    /// Asks the bucket whether a character that the ledger does not know as paid for was paid for from elsewhere.
    pub(super) async fn consult_receipts(&self, mut inspected: Inspected) -> Inspected {
        let Some(receipts) = &self.enroll.receipts else {
            return inspected;
        };
        let consulted = match inspected.standing {
            _ if inspected.sha256.is_empty() => return inspected,
            Standing::InDoubt => match self.settle_by_receipt(receipts, &inspected.character.name).await {
                Ok(None) => return inspected,
                Ok(Some(settled)) => Ok(settled),
                Err(error) => Err(error),
            },
            Standing::Enrolled | Standing::Changed | Standing::Refused => return inspected,
            // Those that are not paid for next are asked about once, when this ledger sees them for the first time.
            standing if !standing.is_paid_next() && inspected.known => return inspected,
            _ => {
                let character = &inspected.character;
                match self.ledger.view().last_attempt(&character.name.key()) {
                    // The next call is the same one again, with its receipt: see `Enroll::claim`.
                    Ok(Some(last)) if is_open_for(&last, &inspected.sha256) => return inspected,
                    Ok(_) => {
                        let subject = Subject {
                            name: &character.name,
                            kind: character.kind,
                            source_sha256: &inspected.sha256,
                        };
                        consult(&self.ledger, receipts, subject, 1, Vec::new()).await
                    }
                    Err(error) => Err(error.into()),
                }
            }
        };
        match consulted {
            Ok(Consulted::Free(number)) => inspected.receipt_number = Some(number),
            Ok(Consulted::TakenOver(standing)) => {
                inspected.standing = standing;
                inspected.evidence.drop_prepared();
                inspected.from_receipt = true;
            }
            Ok(Consulted::UnderWay(since)) if inspected.standing.is_paid_next() => {
                let (code, message) = under_way(&since);
                inspected.blocked = Some((code, message));
            }
            Ok(Consulted::UnderWay(_)) => {}
            Ok(Consulted::Settled) => {
                let message = "its doubt was settled elsewhere: it was not charged. The next run enrolls it";
                inspected.blocked = Some(("settled_elsewhere".to_owned(), message.to_owned()));
                inspected.standing = Standing::ToEnroll;
                inspected.from_receipt = true;
            }
            Err(error) => inspected.blocked = Some(self.enroll.receipts_broke(error)),
        }
        inspected
    }

    /// Settles a doubt of the ledger, if its receipt has got an outcome since: from the machine that made the call, or
    /// from a person there.
    async fn settle_by_receipt(
        &self,
        receipts: &Receipts,
        name: &Name,
    ) -> Result<Option<Consulted>, WriteReceiptsError> {
        let Some(record) = self
            .ledger
            .get(&name.key())?
            .filter(|r| r.state == State::InDoubt)
        else {
            return Ok(None);
        };
        let (
            Some(sha256),
            Some(Attempt {
                receipt: Some(ReceiptRef { number, .. }),
                state: CallState::InDoubt,
                payment,
                ..
            }),
        ) = (
            &record.attempted_sha256,
            self.ledger.view().last_attempt(&name.key())?,
        )
        else {
            return Ok(None);
        };
        let subject = Subject {
            name,
            kind: record.kind,
            source_sha256: sha256,
        };
        let Some(receipt) = receipts.read(&subject, number).await? else {
            return Ok(None);
        };
        let (step, settled) = match receipt.state {
            CallState::Enrolled => {
                let call = Box::new(receipt.found());
                let found = Transition::Found { call, at: now() };
                (found, Consulted::TakenOver(Standing::Enrolled))
            }
            CallState::NotCharged => {
                let valid = payment.as_deref().is_some_and(is_chargeable);
                let forget = Resolution::Forget { valid };
                (Transition::Resolve(forget), Consulted::Settled)
            }
            CallState::Open | CallState::SetAside | CallState::InDoubt | CallState::Retried => {
                return Ok(None);
            }
        };
        self.ledger.write(name, [step]).await?;
        Ok(Some(settled))
    }
}

impl Enroll {
    /// The receipt for a call: that of a call which is still open, or a new one. `resumed` is whether an earlier run
    /// has made its intent durable.
    ///
    /// # Errors
    /// The call must not be made: its character was paid for already, or the bucket can't be read. That is written and
    /// reported.
    pub(super) async fn claim(&self, call: &PaidCall, resumed: bool) -> Result<Option<Claim>, Next> {
        let Some(receipts) = &self.receipts else {
            return Ok(None);
        };
        let claimed = async {
            let record = self.ledger.get(&call.name.key())?;
            let Some(Record {
                kind,
                source_sha256: Some(source_sha256),
                ..
            }) = record
            else {
                return Ok(Err(Next::Done));
            };
            let claim = |receipt, reused| Claim {
                receipt,
                created: false,
                reused,
                kind,
                source_sha256: source_sha256.clone(),
            };
            let mut from = 1;
            match self.ledger.view().last_attempt(&call.name.key())? {
                Some(Attempt {
                    receipt: Some(open),
                    state: CallState::Open,
                    ..
                }) => return Ok(Ok(Some(claim(open, true)))),
                // A ledger of a castline without receipts.
                _ if resumed => return Ok(Ok(None)),
                // A payment that is resent for another image has a receipt of its own there.
                Some(last) if is_open_for(&last, &source_sha256) => {
                    if let Some(aside) = last.receipt {
                        if last.payment.as_deref().is_some_and(is_resendable) {
                            return Ok(Ok(Some(claim(aside, true))));
                        }
                        // Its payment is no longer sent, and has expired before another one is signed.
                        from = aside.number + 1;
                    }
                }
                _ => {}
            }
            if let Some(number) = call.receipt_number {
                return Ok(Ok(Some(claim(new_call(number), false))));
            }
            let subject = Subject {
                name: &call.name,
                kind,
                source_sha256: &source_sha256,
            };
            Ok(
                match consult(&self.ledger, receipts, subject, from, Vec::new()).await? {
                    Consulted::Free(number) => Ok(Some(claim(new_call(number), false))),
                    other => {
                        self.report_consulted(&call.name, other);
                        Err(Next::Done)
                    }
                },
            )
        };
        match claimed.await {
            Ok(Ok(claim)) => Ok(claim),
            Ok(Err(next)) => Err(next),
            Err(error) => {
                let (code, message) = self.receipts_broke(error);
                failed(&self.reporters, &call.name, Stage::Enroll, &code, message);
                Err(Next::Done)
            }
        }
    }

    /// Creates the receipt of a call whose intent is durable, or renews its date; after that, the call may leave.
    ///
    /// # Errors
    /// The call must not leave; its intent is ended.
    pub(super) async fn open_receipt(
        &self,
        call: &PaidCall,
        claim: &mut Claim,
        authorized: &Authorized,
    ) -> Result<(), Next> {
        let Some(receipts) = &self.receipts else {
            return Ok(());
        };
        let (price, signed) = match authorized {
            Authorized::Key(price) => (*price, false),
            Authorized::Wallet(signed) => (signed.payment.price(), true),
        };
        let opened = async {
            let record = self.ledger.get(&call.name.key())?;
            let open = Call {
                receipt: claim.receipt.clone(),
                kind: claim.kind,
                source_sha256: claim.source_sha256.clone(),
                price,
                started_at: now(),
                ended_at: None,
                state: CallState::Open,
                code: None,
                asset_id: None,
                payment: None,
                signature: self.ledger.signature(&claim.source_sha256)?,
                record: record.expect("its intent is durable"),
            };
            let receipt = Receipt::of(&open, receipts.api(), receipts.cast(), None);
            if !claim.created && !receipts.create(&receipt).await? {
                return Ok(false);
            }
            if claim.created || claim.reused {
                // It was this call's before: its date says that it leaves now.
                receipts.replace(&receipt).await?;
            }
            Ok(true)
        };
        let error: WriteReceiptsError = match opened.await {
            Ok(true) => {
                claim.created = true;
                return Ok(());
            }
            Ok(false) => {
                // Somebody was faster. A payment that was signed is not sent, and expires.
                let ended = unpaid(
                    "receipt_exists".to_owned(),
                    "another call for it has a receipt".to_owned(),
                    signed,
                );
                let subject = Subject {
                    name: &call.name,
                    kind: claim.kind,
                    source_sha256: &claim.source_sha256,
                };
                let consulted = consult(&self.ledger, receipts, subject, 1, vec![ended.clone()]).await;
                match consulted {
                    Ok(Consulted::Free(number)) => {
                        (claim.receipt, claim.reused) = (new_call(number), false);
                        if !self.write(&call.name, ended, price).await {
                            return Err(Next::Done);
                        }
                        let message = "the receipt of an earlier call was completed just now".to_owned();
                        return Err(Next::retry(None, "receipt_exists".to_owned(), message));
                    }
                    Ok(other) => {
                        if let Consulted::UnderWay(_) = other
                            && !self.write(&call.name, ended, price).await
                        {
                            return Err(Next::Done);
                        }
                        self.report_consulted(&call.name, other);
                        return Err(Next::Done);
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let fatal = !matches!(&error, WriteReceiptsError::Receipts(error) if !error.is_fatal());
        let (code, message) = self.receipts_broke(error);
        let ended = unpaid(code.clone(), message.clone(), signed);
        if !self.write(&call.name, ended, price).await || fatal {
            return Err(Next::Done);
        }
        Err(Next::retry(None, code, message))
    }

    /// Writes what became of a call over its receipt. If that fails, the next run does it; until then, other machines
    /// take the call for one in doubt.
    pub(super) async fn close_receipt(&self, name: &Name, claim: Option<&Claim>) {
        let Some(receipts) = &self.receipts else { return };
        if let Err(error) = self.write_own(receipts, &name.key(), claim).await {
            tracing::warn!(
                "the receipt of {} does not say yet what became of its call ({error}); the next run writes it",
                printable(name.as_str())
            );
        }
    }

    async fn write_own(
        &self,
        receipts: &Receipts,
        key: &NameKey,
        claim: Option<&Claim>,
    ) -> Result<(), WriteReceiptsError> {
        for call in self.ledger.view().unwritten_receipts(Some(key))? {
            let receipt = receipt_of(&call, receipts);
            // Of two calls that wanted one number, the receipt is that of the faster one.
            match claim {
                Some(claim) if claim.created && claim.receipt == call.receipt => {
                    receipts.replace(&receipt).await?;
                }
                _ => drop(receipts.complete(&receipt).await?),
            }
            self.ledger
                .receipt_written(&call.receipt.call, call.state)
                .await?;
        }
        Ok(())
    }

    /// Reports what a receipt says of a character that was to be paid for.
    fn report_consulted(&self, name: &Name, consulted: Consulted) {
        match consulted {
            Consulted::UnderWay(since) => {
                let (code, message) = under_way(&since);
                failed(&self.reporters, name, Stage::Enroll, &code, message);
            }
            Consulted::TakenOver(standing) => self.reporters.emit(Event::Planned {
                name: name.as_str().to_owned(),
                standing,
                cost_usd: Usd::ZERO,
            }),
            Consulted::Free(_) | Consulted::Settled => {}
        }
    }

    /// The code and message of a failure of receipts; stops the run if nothing can be paid any more.
    fn receipts_broke(&self, error: WriteReceiptsError) -> (String, String) {
        match error {
            WriteReceiptsError::Ledger(error) => {
                ledger_broke(&self.shutdown, &error);
                ("ledger_not_writable".to_owned(), error.to_string())
            }
            WriteReceiptsError::Receipts(error) => {
                if error.is_fatal() {
                    self.shutdown
                        .request(ExitCode::Usage, error.code(), error.to_string());
                }
                (error.code().to_owned(), error.to_string())
            }
        }
    }
}

/// The code and message of a call that is under way elsewhere.
fn under_way(since: &str) -> (String, String) {
    let message = format!(
        "a paid call for it began at {since}, from another machine or ledger, and may still be under way; nothing was paid. \
         Run again later"
    );
    ("under_way_elsewhere".to_owned(), message)
}
