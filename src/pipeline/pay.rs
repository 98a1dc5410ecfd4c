//! Paying from a wallet: quote, sign, make durable, send; and send the same payment again while it is valid.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::enroll::{Enroll, Next, unpaid};
use super::{failed, ledger_broke};
use crate::cast::{Name, NameKey};
use crate::enroll::payment::{Policy, Quote, SignedPayment, Step, Wallet, step, unix_now};
use crate::enroll::{EnrollRequest, Outcome, StopKind, backoff, is_about_session};
use crate::ledger::{INTERRUPTED, Interrupted, Reader, Transition};
use crate::money::Usd;
use crate::publish::PublicUrl;
use crate::report::{Event, Stage};

/// Who pays from a wallet, and what may be signed.
#[derive(Debug)]
pub struct Payer {
    /// Signs.
    pub wallet: Wallet,
    /// What it may sign.
    pub policy: Policy,
}

/// A signed payment whose intent is open.
pub(super) struct Signed {
    payment: SignedPayment,
    /// Code and message of the first answer, if any, that left open whether it was charged.
    doubt: Option<(String, String)>,
}

/// What the ledger keeps of a call before it is sent: all that is needed to send it again as it was.
#[derive(Serialize, Deserialize)]
struct Durable {
    /// Without signature.
    image_url: String,
    group_id: Option<String>,
    payment: SignedPayment,
}

/// Whether a call that was interrupted, as the ledger keeps it, can be sent again by now.
pub fn can_be_sent_again(payment: &str) -> bool {
    serde_json::from_str(payment).is_ok_and(|kept: Durable| kept.payment.is_alive(unix_now()))
}

/// Whether nobody can charge any more what was signed for a call, as the ledger keeps it.
pub fn has_expired(payment: &str) -> bool {
    serde_json::from_str(payment).is_ok_and(|kept: Durable| kept.payment.has_expired(unix_now()))
}

impl Enroll {
    /// Calls until the outcome is known, unknown, or the tries are used up, as [`one`](Self::one) does by key.
    ///
    /// One payment serves all tries, those of later runs included: a fresh one is signed only when the last one has
    /// expired and no answer has left open whether it was charged.
    pub(super) async fn pay_from_wallet(
        &self,
        payer: &Payer,
        name: &Name,
        mut request: EnrollRequest,
        object_key: &str,
        group_id: Option<&str>,
        mut open: Option<Signed>,
    ) {
        let mut failures = 0;
        loop {
            let turn = tokio::select! {
                biased;
                () = self.stop.wait() => return self.give_up(name, open, INTERRUPTED, "the run stopped").await,
                turn = self.pace.turn() => turn,
            };
            if let Err((code, message)) = self.sign_address(&mut request, object_key).await {
                return match open {
                    Some(open) => self.give_up(name, Some(open), code, &message).await,
                    None => self.not_signed(name, code, message).await,
                };
            }
            let mut current = match open.take() {
                Some(signed) if signed.payment.is_alive(unix_now()) => signed,
                Some(Signed {
                    doubt: Some((code, message)),
                    payment,
                }) => {
                    let outcome = Outcome::InDoubt { code, message };
                    self.settle(name, outcome, payment.price(), false).await;
                    return;
                }
                expired => {
                    if let Some(signed) = expired {
                        if !self.outlive(&signed.payment).await {
                            return self
                                .give_up(name, Some(signed), INTERRUPTED, "the run stopped")
                                .await;
                        }
                        if !self.write(name, released(), signed.payment.price()).await {
                            return;
                        }
                    }
                    match self.sign(payer, name, &request, group_id).await {
                        Ok(signed) => signed,
                        Err(Next::Done) => return,
                        Err(Next::Again { code, .. }) if group_id.is_some() && is_about_session(&code) => {
                            return;
                        }
                        Err(Next::Again { after, code, message }) => {
                            drop(turn);
                            failures += 1;
                            if failures > self.retries {
                                return failed(&self.reporters, name, Stage::Enroll, &code, message);
                            }
                            self.pause(after, failures).await;
                            continue;
                        }
                    }
                }
            };
            // From here to the written outcome nothing may drop this future.
            let outcome = self.client.pay(&request, group_id, &current.payment).await;
            drop(turn);
            failures += 1;
            let in_doubt = current.doubt.is_some();
            match step(outcome, &current.payment, in_doubt, unix_now()) {
                Step::Settled(outcome) => {
                    let price = current.payment.price();
                    // A payment that is wrong in itself is never taken; any other may be, once the matter is mended.
                    let wrong = matches!(
                        &outcome,
                        Outcome::Stop {
                            kind: StopKind::Payment,
                            ..
                        }
                    );
                    let valid = !wrong && !current.payment.has_expired(unix_now());
                    let outcome = known(outcome, price, current.doubt);
                    let next = self.settle(name, outcome, price, valid).await;
                    let Next::Again { after, code, message } = next else {
                        return;
                    };
                    if group_id.is_some() && is_about_session(&code) {
                        return;
                    }
                    if failures > self.retries {
                        return failed(&self.reporters, name, Stage::Enroll, &code, message);
                    }
                    self.pause(after, failures).await;
                }
                Step::SignAgain if failures > self.retries => {
                    let (code, message) = ("payment_expired", "each payment expired before it was taken");
                    return self.give_up(name, Some(current), code, message).await;
                }
                Step::SignAgain => open = Some(current),
                Step::SendAgain {
                    after,
                    doubt,
                    code,
                    message,
                } => {
                    if doubt {
                        current.doubt.get_or_insert((code.clone(), message.clone()));
                    }
                    if failures > self.retries {
                        return self.give_up(name, Some(current), &code, &message).await;
                    }
                    if let Some(after) = after {
                        self.pace.pause(after);
                        self.reporters.tell(Event::Paused {
                            seconds: after.as_secs_f64(),
                            reason: code,
                        });
                    }
                    open = Some(current);
                    self.pause(after, failures).await;
                }
            }
        }
    }

    /// Asks for the price, signs it if it may be, and makes that durable.
    async fn sign(
        &self,
        payer: &Payer,
        name: &Name,
        request: &EnrollRequest,
        group_id: Option<&str>,
    ) -> Result<Signed, Next> {
        if self.stop.thrown() {
            return Err(Next::Done);
        }
        if let Some(payment) = self.set_aside(name).await? {
            return self.make_durable(name, request, group_id, payment).await;
        }
        let answered = match self.client.quote(request, group_id).await {
            Quote::Answered(outcome) => outcome,
            Quote::Asked(challenge) => match payer.policy.choose(&challenge) {
                Ok(accepted) => {
                    if let Some(dearer) = self.price.exceeds_agreed(accepted.price) {
                        self.dearer(dearer);
                        return Err(Next::Done);
                    }
                    let payment = payer.wallet.sign(&accepted);
                    return self.make_durable(name, request, group_id, payment).await;
                }
                Err(refused) => Outcome::Stop {
                    kind: StopKind::Payment,
                    code: if refused.too_dear {
                        "price_too_high"
                    } else {
                        "payment_not_allowed"
                    }
                    .to_owned(),
                    message: refused.to_string(),
                },
            },
        };
        // Nothing was paid, whatever was answered.
        if !self.intend(name, request, Usd::ZERO, None).await {
            return Err(Next::Done);
        }
        Err(self.settle(name, answered, Usd::ZERO, false).await)
    }

    /// Writes the intent with its payment, all that is needed to make the call again.
    async fn make_durable(
        &self,
        name: &Name,
        request: &EnrollRequest,
        group_id: Option<&str>,
        payment: SignedPayment,
    ) -> Result<Signed, Next> {
        let kept = Durable {
            image_url: request.image_url.unsigned(),
            group_id: group_id.map(str::to_owned),
            payment,
        };
        let text = serde_json::to_string(&kept).expect("a payment is plain data");
        let payment = kept.payment;
        if !self.intend(name, request, payment.price(), Some(text)).await {
            return Err(Next::Done);
        }
        Ok(Signed { payment, doubt: None })
    }

    /// The payment that an earlier call left valid, to be sent once more; one that can't be sent any more is outlived
    /// first.
    async fn set_aside(&self, name: &Name) -> Result<Option<SignedPayment>, Next> {
        let kept = self.ledger.view().set_aside(&name.key()).map_err(|error| {
            ledger_broke(&self.stop, &error);
            Next::Done
        })?;
        let kept = kept.and_then(|kept| serde_json::from_str::<Durable>(&kept).ok());
        match kept.map(|kept| kept.payment) {
            Some(payment) if payment.is_alive(unix_now()) => Ok(Some(payment)),
            Some(payment) if !self.outlive(&payment).await => Err(Next::Done),
            _ => Ok(None),
        }
    }

    /// Waits until a payment that is not sent any more has expired, some seconds; `false` when the run stops before.
    async fn outlive(&self, payment: &SignedPayment) -> bool {
        while !payment.has_expired(unix_now()) {
            tokio::select! {
                () = self.stop.wait() => return false,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        true
    }

    /// Ends an open intent without a further call. Its payment is set aside for as long as it is valid.
    async fn give_up(&self, name: &Name, open: Option<Signed>, code: &str, message: &str) {
        let Some(Signed { payment, doubt }) = open else {
            return;
        };
        match doubt {
            Some((code, message)) => {
                let outcome = Outcome::InDoubt { code, message };
                self.settle(name, outcome, payment.price(), false).await;
            }
            None => {
                let (code, message) = (code.to_owned(), message.to_owned());
                let valid = !payment.has_expired(unix_now());
                let ended = unpaid(code.clone(), message.clone(), valid);
                if self.write(name, ended, payment.price()).await && !self.stop.thrown() {
                    failed(&self.reporters, name, Stage::Enroll, &code, message);
                }
            }
        }
    }

    async fn pause(&self, after: Option<Duration>, failures: u32) {
        tokio::select! {
            () = self.stop.wait() => {}
            () = tokio::time::sleep(after.unwrap_or(backoff(failures))) => {}
        }
    }

    /// Sends again what an interrupted run had signed, and perhaps sent.
    pub(super) async fn resume_from_wallet(&self, payer: &Payer) -> HashSet<NameKey> {
        let interrupted = self.ledger.interrupted();
        join_all(interrupted.iter().map(|open| self.resume_one(payer, open))).await;
        interrupted.iter().map(|open| open.name.key()).collect()
    }

    async fn resume_one(&self, payer: &Payer, Interrupted { name, payment }: &Interrupted) {
        let told = "castline ended while this call was under way; it may have been charged";
        let (code, message) = ("interrupted".to_owned(), told.to_owned());
        let kept = serde_json::from_str(payment).ok().and_then(|kept: Durable| {
            let image_url = kept.image_url.parse().ok()?;
            let record = self.ledger.get(&name.key()).ok()??;
            Some((kept, image_url, record.object_key?))
        });
        let Some((kept, image_url, object_key)) = kept else {
            let price = self.price.expected();
            self.settle(name, Outcome::InDoubt { code, message }, price, false)
                .await;
            return;
        };
        let request = EnrollRequest {
            name: name.as_str().to_owned(),
            image_url: PublicUrl::new(image_url),
        };
        let open = Some(Signed {
            payment: kept.payment,
            doubt: Some((code, message)),
        });
        let group_id = kept.group_id.as_deref();
        self.pay_from_wallet(payer, name, request, &object_key, group_id, open)
            .await;
    }
}

/// A payment that expired without being taken, so that a fresh one may be signed.
fn released() -> Transition {
    Transition::Release {
        code: "payment_expired".to_owned(),
        message: "the payment expired before it was taken".to_owned(),
    }
}

/// The price is what was signed; and a doubt is told by its beginning, too.
fn known(outcome: Outcome, price: Usd, doubt: Option<(String, String)>) -> Outcome {
    match (outcome, doubt) {
        (
            Outcome::Enrolled {
                asset_id,
                group_id,
                settlement,
                ..
            },
            _,
        ) => Outcome::Enrolled {
            asset_id,
            group_id,
            price: Some(price),
            settlement,
        },
        (Outcome::InDoubt { code, message }, Some((first, was))) if (&first, &was) != (&code, &message) => {
            Outcome::InDoubt {
                code: first,
                message: format!("{was}; sent again: {code}: {message}"),
            }
        }
        (outcome, _) => outcome,
    }
}
