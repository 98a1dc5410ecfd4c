//! Makes a paid call durable: its intent before it is sent, its outcome before it is shown.

use super::enrollment::{Enroll, Next, exit_of};
use super::price::PriceIncrease;
use super::recorder::ledger_broke;
use crate::cast::{Name, printable};
use crate::enroll::{EnrollRequest, Outcome};
use crate::event::{Event, Stage};
use crate::exit::ExitCode;
use crate::ledger::{LedgerError, ReceiptRef, State, Transition};
use crate::plan::Standing;
use crate::util::money::Usd;
use crate::util::shell::quote;

impl Enroll {
    /// Writes the intent, with the signed payment if any; returns whether it is durable. If not, the run stops.
    pub(super) async fn intend(
        &self,
        name: &Name,
        request: &EnrollRequest,
        price: Usd,
        payment: Option<String>,
        receipt: Option<ReceiptRef>,
    ) -> bool {
        let intent = Transition::Intend {
            request_digest: request.digest(),
            price,
            budget: self.budget,
            payment,
            receipt,
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

    /// Writes an outcome, and reports it, but for an id. `price` is the price of the call as far as known, and `valid`
    /// whether its signed payment could still be charged.
    pub(super) async fn settle(&self, character: &Name, outcome: Outcome, price: Usd, valid: bool) -> Next {
        let name = character.as_str().to_owned();
        match outcome {
            Outcome::Enrolled {
                asset_id,
                ids,
                price: reply_price,
                settlement,
            } => {
                let reply_price = self.price.credible(reply_price);
                if let Some(increase) = self.price.record_reply_price(reply_price) {
                    self.report_price_increase(increase);
                }
                let cost_usd = reply_price.unwrap_or(price);
                let at = crate::ledger::now();
                let write = Transition::Enrolled {
                    asset_id: asset_id.clone(),
                    price: cost_usd,
                    priced: reply_price.is_some(),
                    settlement,
                    ids,
                    at,
                };
                match self.ledger.write(character, [write]).await {
                    // The id is another character's.
                    Ok(record) if record.state == State::InDoubt => {
                        let text = |text: Option<String>| text.unwrap_or_default();
                        self.report_doubt(name, text(record.code), text(record.message), cost_usd);
                    }
                    Ok(_) => {
                        self.brake.release();
                        return Next::Report(Box::new(Event::Enrolled {
                            name,
                            asset_id,
                            cost_usd,
                        }));
                    }
                    Err(error) => self.not_written(name, asset_id, cost_usd, &error),
                }
                Next::Done
            }
            Outcome::Refused { code, message } => {
                self.brake.release();
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
                // Even if this write fails, the intent is in the ledger, and is in doubt at the next start.
                if let Err(error) = self.ledger.write(character, [doubt]).await {
                    ledger_broke(&self.shutdown, &error);
                }
                self.report_doubt(name, code, message, price);
                Next::Done
            }
        }
    }

    /// Reports a doubt that is written; stops the run after too many in a row.
    fn report_doubt(&self, name: String, code: String, message: String, cost_usd: Usd) {
        self.reporters.emit(Event::InDoubt {
            name,
            code,
            message,
            cost_usd,
            asset_id: None,
        });
        if let Some(in_row) = self.brake.doubt() {
            let text = format!(
                "the outcomes of {in_row} consecutive paid calls are unknown; check them at the provider, then settle \
                 them with `castline resolve{}`",
                self.same_arguments
            );
            self.shutdown.request(ExitCode::InDoubt, "too_many_doubts", text);
        }
    }

    /// Reports that a call costs more than planned; stops the run if the user agreed to less.
    pub(super) fn report_price_increase(&self, increase: PriceIncrease) {
        let PriceIncrease {
            reply,
            planned,
            than_agreed,
        } = increase;
        if than_agreed {
            let message = format!(
                "the price rose from {planned} to {reply} a call; stopping. Make a new plan at that price"
            );
            self.shutdown.request(ExitCode::StalePlan, "price_rose", message);
        } else {
            tracing::warn!(
                "the API charges {reply} a call, not {planned} (api.price_usd); budgets count what it charges"
            );
        }
    }

    /// Reports an id that was paid for but could not be written to the ledger, with the command that adopts it: it must
    /// not be lost. Its intent is in the ledger, and is in doubt at the next start.
    fn not_written(&self, name: String, asset_id: String, cost_usd: Usd, error: &LedgerError) {
        let adopted = quote(&format!("{}={asset_id}", printable(&name)));
        let message = format!(
            "{asset_id} is the id of {}; it was paid for, but is not in the ledger ({error}). Once the ledger can be \
             written, run `castline resolve{} --adopt {adopted}`",
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

    /// Writes an outcome that cost nothing; returns whether it is durable. If not, it is in doubt at the next start.
    pub(super) async fn write(&self, character: &Name, outcome: Transition, price: Usd) -> bool {
        match self.ledger.write(character, [outcome]).await {
            Ok(_) => true,
            Err(error) => {
                self.reporters.emit(Event::InDoubt {
                    name: character.as_str().to_owned(),
                    code: "outcome_not_written".to_owned(),
                    message: format!("nothing was charged, but the ledger can't record that ({error})"),
                    cost_usd: price,
                    asset_id: None,
                });
                ledger_broke(&self.shutdown, &error);
                false
            }
        }
    }
}

/// The transition of a call that was rejected unpaid: released, unless its signed payment could still be charged.
pub(super) fn unpaid(code: String, message: String, valid: bool) -> Transition {
    match valid {
        true => Transition::SetAside { code, message },
        false => Transition::Release { code, message },
    }
}
