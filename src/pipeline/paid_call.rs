//! The paid call: authorize, send, interpret; intent before it leaves, outcome before it is shown.
//!
//! One loop for both payment methods. By key, a call is authorized by its intent alone; from a wallet, by a signed
//! payment that is durable with the intent (see [`wallet_payment`](super::wallet_payment)).

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Enroll;
use super::enroll_stage::exit_of;
use super::price::PriceIncrease;
use super::recorder::{failed, ledger_broke};
use super::wallet_payment::{Payer, Signed};
use crate::cast::{Name, printable};
use crate::enroll::{EnrollRequest, Outcome, backoff, is_about_session};
use crate::event::{Event, Stage};
use crate::exit::ExitCode;
use crate::ledger::{Budget, INTERRUPTED, LedgerError, Transition};
use crate::plan::Standing;
use crate::util::money::Usd;
use crate::util::shell::quote;

/// How calls are paid.
#[derive(Debug)]
pub enum PaymentMethod {
    /// By the client's key, from an account.
    Key,
    /// From a wallet, call by call.
    Wallet(Box<Payer>),
}

/// A call that enrolls one character.
pub(super) struct PaidCall {
    pub(super) name: Name,
    pub(super) request: EnrollRequest,
    pub(super) object_key: String,
    /// Of a real actor: the liveness session that was passed.
    pub(super) group_id: Option<String>,
}

/// By what a call is authorized, once its intent is durable.
pub(super) enum Authorized {
    /// By the key, at this expected price.
    Key(Usd),
    /// By a signed payment.
    Wallet(Box<Signed>),
}

/// What to do after a call.
pub(super) enum Next {
    /// Nothing more: its outcome is written and reported.
    Done,
    /// Make it again.
    Retry {
        /// As the API asked; without it, back off.
        after: Option<Duration>,
        code: String,
        message: String,
        /// The payment to make it with again, whose intent is still open.
        open: Option<Box<Signed>>,
    },
}

impl Next {
    /// Make the call again, with a new intent.
    pub(super) fn retry(after: Option<Duration>, code: String, message: String) -> Self {
        Self::Retry {
            after,
            code,
            message,
            open: None,
        }
    }
}

impl Enroll {
    /// Calls until the outcome is known, unknown, or the tries are used up. `open` is a payment that an interrupted
    /// run had signed for this call.
    pub(super) async fn pay(&self, mut call: PaidCall, mut open: Option<Box<Signed>>) {
        let mut failures = 0;
        loop {
            let turn = async { (self.first_call_guard().await, self.rate_limiter.acquire().await) };
            let turn = tokio::select! {
                biased;
                () = self.shutdown.requested() => {
                    return self.give_up(&call.name, open, INTERRUPTED, "the run stopped").await;
                }
                turn = turn => turn,
            };
            if let Err((code, message)) = self.sign_address(&mut call).await {
                return match open {
                    Some(open) => self.give_up(&call.name, Some(open), code, &message).await,
                    None => self.not_signed(&call.name, code, message).await,
                };
            }
            let next = match self.authorize(&call, open.take()).await {
                Err(next) => {
                    drop(turn);
                    next
                }
                Ok(authorized) => {
                    // From here to the written outcome nothing may drop this future: the run awaits it even when it
                    // stops.
                    let outcome = self.send(&call, &authorized).await;
                    drop(turn);
                    match authorized {
                        Authorized::Key(price) => self.settle(&call.name, outcome, price, false).await,
                        Authorized::Wallet(signed) => self.interpret_payment(&call, outcome, *signed).await,
                    }
                }
            };
            failures += 1;
            let Next::Retry {
                after,
                code,
                message,
                open: resend,
            } = next
            else {
                return;
            };
            // A new session is needed first: that is up to whoever leads the actor through it.
            if resend.is_none() && call.group_id.is_some() && is_about_session(&code) {
                return;
            }
            if failures > self.retries {
                return match resend {
                    Some(signed) => self.give_up(&call.name, Some(signed), &code, &message).await,
                    None => failed(&self.reporters, &call.name, Stage::Enroll, &code, message),
                };
            }
            open = resend;
            tokio::select! {
                () = self.shutdown.requested() => {}
                () = tokio::time::sleep(after.unwrap_or(backoff(failures))) => {}
            }
        }
    }

    /// Where calls under way at once could together cost more than allowed, the first one goes alone until a reply has
    /// told the price. A wallet knows it beforehand.
    async fn first_call_guard(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.payment_method {
            PaymentMethod::Key => {
                let limited = self.budget != Budget::default();
                self.price.first_call_guard(limited).await
            }
            PaymentMethod::Wallet(_) => None,
        }
    }

    /// Makes the intent durable, with the payment that authorizes the call where a wallet pays.
    async fn authorize(&self, call: &PaidCall, open: Option<Box<Signed>>) -> Result<Authorized, Next> {
        match &self.payment_method {
            PaymentMethod::Key => {
                let price = self.price.expected();
                let durable = !self.shutdown.is_requested()
                    && self.intend(&call.name, &call.request, price, None).await;
                durable.then_some(Authorized::Key(price)).ok_or(Next::Done)
            }
            PaymentMethod::Wallet(payer) => {
                let signed = self.authorize_payment(payer, call, open).await?;
                Ok(Authorized::Wallet(Box::new(signed)))
            }
        }
    }

    async fn send(&self, call: &PaidCall, authorized: &Authorized) -> Outcome {
        let PaidCall {
            request, group_id, ..
        } = call;
        match (authorized, group_id) {
            (Authorized::Wallet(signed), _) => {
                self.client
                    .pay(request, group_id.as_deref(), &signed.payment)
                    .await
            }
            (Authorized::Key(_), Some(group_id)) => self.client.enroll_realface(request, group_id).await,
            (Authorized::Key(_), None) => self.client.enroll_portrait(request).await,
        }
    }

    /// An address that could not be signed, before anything was paid.
    async fn not_signed(&self, name: &Name, code: &str, message: String) {
        let fail = Transition::Fail {
            code: code.to_owned(),
            message: message.clone(),
        };
        match self.ledger.write(name, [fail]).await {
            Ok(_) => failed(&self.reporters, name, Stage::Publish, code, message),
            Err(error) => ledger_broke(&self.shutdown, &error),
        }
    }

    /// Signs the address anew, where addresses are signed.
    ///
    /// # Errors
    /// Code and message of why it can't be; where that concerns all, the run stops.
    async fn sign_address(&self, call: &mut PaidCall) -> Result<(), (&'static str, String)> {
        let Some(signer) = &self.signer else {
            return Ok(());
        };
        let signed = signer.address(&call.object_key).await;
        call.request.image_url = signed.map_err(|error| {
            if error.is_fatal() {
                self.shutdown
                    .request(ExitCode::Usage, error.code(), error.to_string());
            }
            (error.code(), error.to_string())
        })?;
        Ok(())
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
                self.shutdown
                    .request(ExitCode::LimitReached, "budget_reached", message);
                false
            }
            Err(error) => {
                ledger_broke(&self.shutdown, &error);
                false
            }
        }
    }

    /// Writes an outcome, and tells it. `price` is what the call costs as far as known, and `valid` whether what was
    /// signed for it could still be charged.
    pub(super) async fn settle(&self, character: &Name, outcome: Outcome, price: Usd, valid: bool) -> Next {
        if !matches!(outcome, Outcome::InDoubt { .. }) {
            self.consecutive_in_doubt.store(0, Ordering::Relaxed);
        }
        let name = character.as_str().to_owned();
        match outcome {
            Outcome::Enrolled {
                asset_id,
                price: text,
                settlement,
                ..
            } => {
                if let Some(increase) = self.price.record_reply_price(text) {
                    self.report_price_increase(increase);
                }
                let cost_usd = text.unwrap_or(price);
                let at = crate::ledger::now();
                let write = Transition::Enrolled {
                    asset_id: asset_id.clone(),
                    price: cost_usd,
                    priced: text.is_some(),
                    settlement,
                    at,
                };
                match self.ledger.write(character, [write]).await {
                    Ok(_) => self.reporters.emit(Event::Enrolled {
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
                    self.reporters.emit(Event::Failed {
                        name,
                        stage: Stage::Enroll,
                        standing: Standing::Refused,
                        code,
                        message,
                    });
                }
                Next::Done
            }
            Outcome::Retry { code, message, after } => {
                let released = unpaid(code.clone(), message.clone(), valid);
                if !self.write(character, released, price).await {
                    return Next::Done;
                }
                if let Some(after) = after {
                    self.rate_limiter.pause(after);
                    self.reporters.emit(Event::Paused {
                        seconds: after.as_secs_f64(),
                        reason: code.clone(),
                    });
                }
                Next::retry(after, code, message)
            }
            Outcome::Stop { kind, code, message } => {
                let released = unpaid(code.clone(), message.clone(), valid);
                self.write(character, released, price).await;
                let text = format!("{code}: {message}; {}", kind.hint());
                self.shutdown.request(exit_of(kind), kind.reason(), text);
                Next::Done
            }
            Outcome::InDoubt { code, message } => {
                let doubt = Transition::Doubt {
                    code: code.clone(),
                    message: message.clone(),
                };
                // Written or not: the intent stands in the ledger, and is in doubt at the next start.
                if let Err(error) = self.ledger.write(character, [doubt]).await {
                    ledger_broke(&self.shutdown, &error);
                }
                self.reporters.emit(Event::InDoubt {
                    name,
                    code,
                    message,
                    cost_usd: price,
                    asset_id: None,
                });
                let in_row = self.consecutive_in_doubt.fetch_add(1, Ordering::Relaxed) + 1;
                if in_row >= self.max_consecutive_in_doubt {
                    let text = format!(
                        "the outcomes of {in_row} paid calls in a row are unknown; look at the provider, then \
                         settle them with `castline resolve`"
                    );
                    self.shutdown.request(ExitCode::InDoubt, "too_many_doubts", text);
                }
                Next::Done
            }
        }
    }

    /// A call costs more than planned: told, and the end where somebody agreed to less.
    pub(super) fn report_price_increase(&self, increase: PriceIncrease) {
        let PriceIncrease {
            reply,
            planned,
            than_agreed,
        } = increase;
        if than_agreed {
            let message = format!(
                "the API asks {reply} a call, and not {planned} as was agreed to; nothing more is paid. A new plan has \
                 that price"
            );
            self.shutdown.request(ExitCode::StalePlan, "price_rose", message);
        } else {
            tracing::warn!(
                "the API asks {reply} a call, and not {planned} as api.price_usd says; budgets count what it asks"
            );
        }
    }

    /// An id that was paid for, and that the ledger does not take: the one thing that must not be lost is told, with
    /// the command that brings it into the ledger. There, its intent stands, and is in doubt at the next start.
    fn not_written(&self, name: String, asset_id: String, cost_usd: Usd, error: &LedgerError) {
        let adopted = quote(&format!("{}={asset_id}", printable(&name)));
        let message = format!(
            "{asset_id} is the id of {}, and was paid for, but is not in the ledger ({error}); once that can be written, \
             run `castline resolve{} --adopt {adopted}`",
            printable(&name),
            self.same_arguments,
        );
        self.reporters.emit(Event::InDoubt {
            name,
            code: "id_not_written".to_owned(),
            message,
            cost_usd,
            asset_id: Some(asset_id),
        });
        ledger_broke(&self.shutdown, error);
    }

    /// Writes an outcome that cost nothing; tells whether it is durable. What is not is in doubt at the next start.
    pub(super) async fn write(&self, character: &Name, outcome: Transition, price: Usd) -> bool {
        match self.ledger.write(character, [outcome]).await {
            Ok(_) => true,
            Err(error) => {
                self.reporters.emit(Event::InDoubt {
                    name: character.as_str().to_owned(),
                    code: "outcome_not_written".to_owned(),
                    message: format!("nothing was charged, but that is not in the ledger ({error})"),
                    cost_usd: price,
                    asset_id: None,
                });
                ledger_broke(&self.shutdown, &error);
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
