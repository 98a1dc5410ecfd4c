//! The third station: the paid call. Intent before it leaves, outcome before it is shown.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use super::price::Dearer;
use super::{Price, Published, Stop, failed, ledger_broke};
use crate::cast::{Name, NameKey};
use crate::enroll::{Client, EnrollRequest, Outcome, Pace, StopKind, backoff, is_about_session};
use crate::exit::ExitCode;
use crate::ledger::{Budget, Ledger, LedgerError, Transition};
use crate::money::Usd;
use crate::publish::Publisher;
use crate::report::{Event, Reporters, Stage};
use crate::shell::quoted;

/// The third station.
pub struct Enroll {
    /// Speaks the API.
    pub client: Client,
    /// How it is paid.
    pub way: Way,
    /// Signs the address of a picture just before the call, where addresses are signed and live for a short time:
    /// a call may wait for its turn for longer than that.
    pub signer: Option<Publisher>,
    /// Keeps to the rate.
    pub pace: Pace,
    /// What is durable.
    pub ledger: Ledger,
    /// Where events go.
    pub reporters: Arc<Reporters>,
    /// What follows the name of another command in a message, so that it works on the same cast.
    pub again: String,
    /// The switch.
    pub stop: Stop,
    /// What one enrollment costs, as far as known.
    pub price: Price,
    /// What may be spent.
    pub budget: Budget,
    /// Calls under way at once.
    pub in_flight: usize,
    /// How often a call that provably cost nothing is tried again.
    pub retries: u32,
    /// Stop after so many doubts in a row.
    pub max_doubts_in_row: u32,
    /// How many there are now.
    pub doubts_in_row: AtomicU32,
}

/// What a run that the API stops exits with.
pub fn exit_of(kind: StopKind) -> ExitCode {
    match kind {
        StopKind::Address => ExitCode::Usage,
        StopKind::Key | StopKind::Funds | StopKind::Quota | StopKind::Payment => ExitCode::KeyOrFunds,
    }
}

/// How calls are paid.
#[derive(Debug)]
pub enum Way {
    /// By the client's key, from an account.
    Key,
    /// From a wallet, call by call.
    Wallet(Box<super::Payer>),
}

/// What to do after a call.
pub(super) enum Next {
    Done,
    Again {
        /// As the API asked; else the caller backs off.
        after: Option<Duration>,
        code: String,
        message: String,
    },
}

impl Enroll {
    /// Enrolls what comes in, and ends with its input or when the run stops.
    pub async fn run(self: Arc<Self>, input: mpsc::Receiver<Published>) {
        let input = Arc::new(Mutex::new(input));
        let callers = (0..self.in_flight).map(|_| {
            let (station, input) = (Arc::clone(&self), Arc::clone(&input));
            tokio::spawn(async move { station.caller(&input).await })
        });
        for caller in callers.collect::<Vec<_>>() {
            if caller.await.is_err() {
                self.stop
                    .throw(ExitCode::Internal, "internal", "a paid call broke; this is a bug");
            }
        }
    }

    async fn caller(&self, input: &Mutex<mpsc::Receiver<Published>>) {
        loop {
            let next = async { input.lock().await.recv().await };
            let published = tokio::select! {
                biased;
                () = self.stop.wait() => return,
                published = next => published,
            };
            let Some(published) = published else { return };
            self.one(published).await;
        }
    }

    /// Calls until the outcome is known, unknown, or the tries are used up. What is written in the ledger tells
    /// how it ended; a real actor whose session is the matter stays `published`, with the code of that.
    pub async fn one(&self, published: Published) {
        let Published {
            character,
            url,
            object_key,
            group_id,
        } = published;
        let mut request = EnrollRequest {
            name: character.name.as_str().to_owned(),
            image_url: url,
        };
        if let Way::Wallet(payer) = &self.way {
            return self
                .pay_from_wallet(
                    payer,
                    &character.name,
                    request,
                    &object_key,
                    group_id.as_deref(),
                    None,
                )
                .await;
        }
        let mut last = (String::new(), String::new());
        for failures in 1..=self.retries.saturating_add(1) {
            let limited = self.budget != Budget::default();
            let turn = async { (self.price.alone(limited).await, self.pace.turn().await) };
            let turn = tokio::select! {
                biased;
                () = self.stop.wait() => return,
                turn = turn => turn,
            };
            if let Err((code, message)) = self.sign_address(&mut request, &object_key).await {
                return self.not_signed(&character.name, code, message).await;
            }
            let next = self.call(&character.name, &request, group_id.as_deref()).await;
            drop(turn);
            match next {
                Next::Done => return,
                Next::Again { code, .. } if group_id.is_some() && is_about_session(&code) => return,
                Next::Again { after, code, message } => {
                    last = (code, message);
                    tokio::select! {
                        () = self.stop.wait() => return,
                        () = tokio::time::sleep(after.unwrap_or(backoff(failures))) => {}
                    }
                }
            }
        }
        let (code, message) = last;
        failed(&self.reporters, &character.name, Stage::Enroll, &code, message);
    }

    /// An address that could not be signed, before anything was paid.
    pub(super) async fn not_signed(&self, name: &Name, code: &str, message: String) {
        let fail = Transition::Fail {
            code: code.to_owned(),
            message: message.clone(),
        };
        match self.ledger.write(name, [fail]).await {
            Ok(_) => failed(&self.reporters, name, Stage::Publish, code, message),
            Err(error) => ledger_broke(&self.stop, &error),
        }
    }

    /// Signs the address anew, where addresses are signed.
    ///
    /// # Errors
    /// Code and message of why it can't be; where that concerns all, the run stops.
    pub(super) async fn sign_address(
        &self,
        request: &mut EnrollRequest,
        object_key: &str,
    ) -> Result<(), (&'static str, String)> {
        let Some(signer) = &self.signer else {
            return Ok(());
        };
        let signed = signer.address(object_key).await;
        request.image_url = signed.map_err(|error| {
            if error.is_fatal() {
                self.stop.throw(ExitCode::Usage, error.code(), error.to_string());
            }
            (error.code(), error.to_string())
        })?;
        Ok(())
    }

    /// One paid call, with its intent before and its outcome after.
    async fn call(&self, name: &Name, request: &EnrollRequest, group_id: Option<&str>) -> Next {
        let price = self.price.expected();
        if self.stop.thrown() || !self.intend(name, request, price, None).await {
            return Next::Done;
        }
        // From here to the written outcome nothing may drop this future: the run awaits it even
        // when it stops.
        let outcome = match group_id {
            Some(group_id) => self.client.enroll_realface(request, group_id).await,
            None => self.client.enroll_portrait(request).await,
        };
        self.settle(name, outcome, price, false).await
    }

    /// Writes the intent, with the signed payment if there is one; tells whether it is durable. When it is not,
    /// the run stops.
    pub(super) async fn intend(
        &self,
        name: &Name,
        request: &EnrollRequest,
        price: Usd,
        payment: Option<String>,
    ) -> bool {
        let intent = Transition::Intend {
            request_digest: request.digest(),
            price,
            budget: self.budget,
            payment,
        };
        match self.ledger.write(name, [intent]).await {
            Ok(_) => true,
            Err(LedgerError::BudgetReached { message, .. }) => {
                self.stop.throw(ExitCode::LimitReached, "budget_reached", message);
                false
            }
            Err(error) => {
                ledger_broke(&self.stop, &error);
                false
            }
        }
    }

    /// Writes an outcome, and tells it. `price` is what the call costs as far as known, and `valid` whether what was
    /// signed for it could still be charged.
    pub(super) async fn settle(&self, character: &Name, outcome: Outcome, price: Usd, valid: bool) -> Next {
        if !matches!(outcome, Outcome::InDoubt { .. }) {
            self.doubts_in_row.store(0, Ordering::Relaxed);
        }
        let name = character.as_str().to_owned();
        match outcome {
            Outcome::Enrolled {
                asset_id,
                price: told,
                settlement,
                ..
            } => {
                if let Some(dearer) = self.price.learn(told) {
                    self.dearer(dearer);
                }
                let cost_usd = told.unwrap_or(price);
                let at = crate::ledger::now();
                let write = Transition::Enrolled {
                    asset_id: asset_id.clone(),
                    price: cost_usd,
                    told: told.is_some(),
                    settlement,
                    at,
                };
                match self.ledger.write(character, [write]).await {
                    Ok(_) => self.reporters.tell(Event::Enrolled {
                        name,
                        asset_id,
                        cost_usd,
                    }),
                    Err(error) => self.not_written(name, asset_id, cost_usd, &error),
                }
                Next::Done
            }
            Outcome::Refused { code, message } => {
                let refuse = Transition::Refuse {
                    code: code.clone(),
                    message: message.clone(),
                    valid,
                };
                if self.write(character, refuse, price).await {
                    failed(&self.reporters, character, Stage::Enroll, &code, message);
                }
                Next::Done
            }
            Outcome::Retry { code, message, after } => {
                let released = unpaid(code.clone(), message.clone(), valid);
                if !self.write(character, released, price).await {
                    return Next::Done;
                }
                if let Some(after) = after {
                    self.pace.pause(after);
                    self.reporters.tell(Event::Paused {
                        seconds: after.as_secs_f64(),
                        reason: code.clone(),
                    });
                }
                Next::Again { after, code, message }
            }
            Outcome::Stop { kind, code, message } => {
                let released = unpaid(code.clone(), message.clone(), valid);
                self.write(character, released, price).await;
                let told = format!("{code}: {message}; {}", kind.mend());
                self.stop.throw(exit_of(kind), kind.reason(), told);
                Next::Done
            }
            Outcome::InDoubt { code, message } => {
                let doubt = Transition::Doubt {
                    code: code.clone(),
                    message: message.clone(),
                };
                // Written or not: the intent stands in the ledger, and is in doubt at the next start.
                if let Err(error) = self.ledger.write(character, [doubt]).await {
                    ledger_broke(&self.stop, &error);
                }
                self.reporters.tell(Event::InDoubt {
                    name,
                    code,
                    message,
                    cost_usd: price,
                    asset_id: None,
                });
                let in_row = self.doubts_in_row.fetch_add(1, Ordering::Relaxed) + 1;
                if in_row >= self.max_doubts_in_row {
                    let told = format!(
                        "the outcomes of {in_row} paid calls in a row are unknown; look at the provider, then \
                         settle them with `castline resolve`"
                    );
                    self.stop.throw(ExitCode::InDoubt, "too_many_doubts", told);
                }
                Next::Done
            }
        }
    }

    /// Sends again what an interrupted run had signed and sent, as long as that is valid; tells whom.
    pub async fn resume(&self) -> HashSet<NameKey> {
        match &self.way {
            Way::Key => HashSet::new(),
            Way::Wallet(payer) => self.resume_from_wallet(payer).await,
        }
    }

    /// A call costs more than planned: told, and the end where somebody agreed to less.
    pub(super) fn dearer(&self, dearer: Dearer) {
        let Dearer {
            told,
            planned,
            than_agreed,
        } = dearer;
        if than_agreed {
            let message = format!(
                "the API asks {told} a call, and not {planned} as was agreed to; nothing more is paid. A new plan has \
                 that price"
            );
            self.stop.throw(ExitCode::StalePlan, "price_rose", message);
        } else {
            tracing::warn!(
                "the API asks {told} a call, and not {planned} as api.price_usd says; budgets count what it asks"
            );
        }
    }

    /// An id that was paid for, and that the ledger does not take: the one thing that must not be lost is told, with
    /// the command that brings it into the ledger. There, its intent stands, and is in doubt at the next start.
    fn not_written(&self, name: String, asset_id: String, cost_usd: Usd, error: &LedgerError) {
        let adopted = quoted(&format!("{}={asset_id}", crate::cast::printable(&name)));
        let message = format!(
            "{asset_id} is the id of {}, and was paid for, but is not in the ledger ({error}); once that can be written, \
             run `castline resolve{} --adopt {adopted}`",
            crate::cast::printable(&name),
            self.again,
        );
        self.reporters.tell(Event::InDoubt {
            name,
            code: "id_not_written".to_owned(),
            message,
            cost_usd,
            asset_id: Some(asset_id),
        });
        ledger_broke(&self.stop, error);
    }

    /// Writes an outcome that cost nothing; tells whether it is durable. What is not is in doubt at the next start.
    pub(super) async fn write(&self, character: &Name, outcome: Transition, price: Usd) -> bool {
        match self.ledger.write(character, [outcome]).await {
            Ok(_) => true,
            Err(error) => {
                self.reporters.tell(Event::InDoubt {
                    name: character.as_str().to_owned(),
                    code: "outcome_not_written".to_owned(),
                    message: format!("nothing was charged, but that is not in the ledger ({error})"),
                    cost_usd: price,
                    asset_id: None,
                });
                ledger_broke(&self.stop, &error);
                false
            }
        }
    }
}

/// A call that was turned away unpaid: released, unless what was signed for it could still be charged.
pub(super) fn unpaid(code: String, message: String, valid: bool) -> Transition {
    match valid {
        true => Transition::SetAside { code, message },
        false => Transition::Release { code, message },
    }
}
