//! Payment from a wallet: quote, sign, make durable, send; and resend the same payment while it is valid.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::enrollment::{Enroll, Next, PaidCall, Payer, Signed};
use super::recorder::{failed, ledger_broke};
use super::settle::unpaid;
use crate::cast::Name;
use crate::enroll::payment::{Authorization, Quote, SignedPayment, Step, step, unix_now};
use crate::enroll::{Outcome, StopKind};
use crate::event::{Event, Stage};
use crate::ledger::{INTERRUPTED, Transition};
use crate::util::money::Usd;

/// For how long a call waits until a payment has expired that may not be sent any more.
const LONGEST_OUTLIVED: Duration = Duration::from_secs(90);

/// The record of a call in the ledger before it is sent: all that is needed to resend it unchanged.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredPayment {
    /// The image URL, without signature.
    pub(super) image_url: String,
    pub(super) group_id: Option<String>,
    pub(super) payment: SignedPayment,
}

/// Whether an interrupted call, as stored in the ledger, can be resent now.
pub fn is_resendable(payment: &str) -> bool {
    serde_json::from_str(payment).is_ok_and(|kept: StoredPayment| kept.payment.is_alive(unix_now()))
}

/// Until when the payment signed for a call, as stored in the ledger, can be charged, in seconds since 1970.
pub(super) fn valid_until(payment: &str) -> Option<u64> {
    serde_json::from_str(payment)
        .ok()
        .map(|kept: StoredPayment| kept.payment.authorization.valid_before)
}

/// What was signed for a call, as stored in the ledger, if it can no longer be charged.
pub fn expired_authorization(payment: &str) -> Option<Authorization> {
    let kept: StoredPayment = serde_json::from_str(payment).ok()?;
    let payment = kept.payment;
    payment.has_expired(unix_now()).then_some(payment.authorization)
}

/// Whether the payment signed for a call, as stored in the ledger, can still be charged.
pub fn is_chargeable(payment: &str) -> bool {
    serde_json::from_str(payment).is_ok_and(|kept: StoredPayment| !kept.payment.has_expired(unix_now()))
}

/// Whether the payment signed for a call, as stored in the ledger, can no longer be charged.
pub fn has_expired(payment: &str) -> bool {
    serde_json::from_str(payment).is_ok_and(|kept: StoredPayment| kept.payment.has_expired(unix_now()))
}

impl Enroll {
    /// The payment that authorizes a call, durable with its intent.
    ///
    /// One payment serves all attempts, including those of later runs: a new one is signed only when the last one has
    /// expired and no reply has left open whether it was charged.
    pub(super) async fn authorize_payment(
        &self,
        payer: &Payer,
        call: &PaidCall,
        open: Option<Box<Signed>>,
    ) -> Result<Signed, Next> {
        let expired = match open {
            Some(signed) if signed.payment.is_alive(unix_now()) => return Ok(*signed),
            expired => expired,
        };
        if let Some(signed) = expired {
            let Signed { payment, doubt } = *signed;
            if let Some((code, message)) = doubt {
                let outcome = Outcome::InDoubt { code, message };
                return Err(self.settle(&call.name, outcome, payment.price(), false).await);
            }
            if !self.wait_until_expired(&payment).await {
                let open = Box::new(Signed { payment, doubt: None });
                self.give_up(&call.name, Some(open), INTERRUPTED, "the run stopped")
                    .await;
                return Err(Next::Done);
            }
            if !self.write(&call.name, released(), payment.price()).await {
                return Err(Next::Done);
            }
        }
        self.sign(payer, call).await
    }

    /// The step after a payment was sent: its outcome is written, or the same payment is resent.
    pub(super) async fn interpret_payment(
        &self,
        call: &PaidCall,
        outcome: Outcome,
        mut signed: Signed,
    ) -> Next {
        let price = signed.payment.price();
        match step(outcome, &signed.payment, signed.doubt.is_some(), unix_now()) {
            Step::Settled(outcome) => {
                // Whatever was answered: who has the payment can have it charged until it expires.
                let valid = !signed.payment.has_expired(unix_now());
                let outcome = with_signed_price(outcome, price, signed.doubt);
                self.settle(&call.name, outcome, price, valid).await
            }
            Step::SignFresh => Next::Retry {
                after: Some(Duration::ZERO),
                code: "payment_expired".to_owned(),
                message: "each payment expired before it was accepted".to_owned(),
                open: Some(Box::new(signed)),
            },
            Step::Resend {
                after,
                doubt,
                code,
                message,
            } => {
                if doubt {
                    signed.doubt.get_or_insert((code.clone(), message.clone()));
                }
                if let Some(after) = after {
                    self.rate_limiter.pause(after);
                    self.reporters.emit(Event::Paused {
                        seconds: after.as_secs_f64(),
                        reason: code.clone(),
                    });
                }
                Next::Retry {
                    after,
                    code,
                    message,
                    open: Some(Box::new(signed)),
                }
            }
        }
    }

    /// Requests the price, signs a payment if the policy allows it, and makes it durable.
    async fn sign(&self, payer: &Payer, call: &PaidCall) -> Result<Signed, Next> {
        let PaidCall {
            name,
            request,
            group_id,
            ..
        } = call;
        if self.shutdown.is_requested() {
            return Err(Next::Done);
        }
        if let Some(payment) = self.set_aside(payer, name).await? {
            return self.make_durable(call, payment).await;
        }
        self.rate_limiter.send().await;
        let answered = match self.client.quote(request, group_id.as_deref()).await {
            Quote::Answered(outcome) => outcome,
            Quote::Asked(challenge) => match payer.policy.choose(&challenge) {
                Ok(accepted) => {
                    if let Some(increase) = self.price.exceeds_agreed(accepted.price) {
                        self.report_price_increase(increase);
                        return Err(Next::Done);
                    }
                    // The payment is a request of its own: it waits for its turn before it is signed.
                    tokio::select! {
                        () = self.shutdown.requested() => return Err(Next::Done),
                        () = self.rate_limiter.turn() => {}
                    }
                    let payment = payer.wallet.sign(&accepted);
                    return self.make_durable(call, payment).await;
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
        // Nothing was paid, whatever the reply.
        if !self.intend(name, request, Usd::ZERO, None, None).await {
            return Err(Next::Done);
        }
        Err(self.settle(name, answered, Usd::ZERO, false).await)
    }

    /// Writes the intent with its payment: all that is needed to repeat the call.
    async fn make_durable(&self, call: &PaidCall, payment: SignedPayment) -> Result<Signed, Next> {
        let PaidCall {
            name,
            request,
            group_id,
            ..
        } = call;
        let kept = StoredPayment {
            image_url: request.image_url.unsigned(),
            group_id: group_id.clone(),
            payment,
        };
        let text = serde_json::to_string(&kept).expect("a payment is plain data");
        let payment = kept.payment;
        let receipt = call.claim.as_ref().map(|claim| claim.receipt.clone());
        if !self
            .intend(name, request, payment.price(), Some(text), receipt)
            .await
        {
            return Err(Next::Done);
        }
        Ok(Signed { payment, doubt: None })
    }

    /// The payment that an earlier call left valid, to be resent. One that can't or may not be sent any more is outlived:
    /// until it has expired, a second one could be charged as well.
    async fn set_aside(&self, payer: &Payer, name: &Name) -> Result<Option<SignedPayment>, Next> {
        let kept = self.ledger.view().set_aside(&name.key()).map_err(|error| {
            ledger_broke(&self.shutdown, &error);
            Next::Done
        })?;
        let kept = kept.and_then(|kept| serde_json::from_str::<StoredPayment>(&kept).ok());
        let Some(StoredPayment { payment, .. }) = kept else {
            return Ok(None);
        };
        if payment.is_alive(unix_now()) {
            let Err(why) = self.may_be_sent(payer, &payment) else {
                return Ok(Some(payment));
            };
            let left = payment.authorization.valid_before.saturating_sub(unix_now());
            if left > LONGEST_OUTLIVED.as_secs() {
                let message = format!(
                    "the payment signed for it by an earlier run may not be sent any more ({why}), but can be charged \
                     for another {left} s; run again after that"
                );
                failed(&self.reporters, name, Stage::Enroll, "payment_outlived", message);
                return Err(Next::Done);
            }
        }
        match self.wait_until_expired(&payment).await {
            true => Ok(None),
            false => Err(Next::Done),
        }
    }

    /// Whether a payment that was signed before may be sent under today's settings and plan.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_be_sent(&self, payer: &Payer, payment: &SignedPayment) -> Result<(), String> {
        if payment.authorization.from != payer.wallet.address() {
            return Err(format!("it is from the wallet {}", payment.authorization.from));
        }
        payer
            .policy
            .permits(payment)
            .map_err(|refused| refused.to_string())?;
        match self.price.exceeds_agreed(payment.price()) {
            Some(increase) => Err(format!("the plan agreed to {} a call", increase.planned)),
            None => Ok(()),
        }
    }

    /// Waits some seconds until a payment that is no longer sent has expired; `false` when the run stops before.
    async fn wait_until_expired(&self, payment: &SignedPayment) -> bool {
        while !payment.has_expired(unix_now()) {
            tokio::select! {
                () = self.shutdown.requested() => return false,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        true
    }

    /// Ends an open intent without a further call. Its payment is set aside for as long as it is valid.
    pub(super) async fn give_up(&self, name: &Name, open: Option<Box<Signed>>, code: &str, message: &str) {
        let Some(signed) = open else {
            return;
        };
        let Signed { payment, doubt } = *signed;
        match doubt {
            Some((code, message)) => {
                let outcome = Outcome::InDoubt { code, message };
                self.settle(name, outcome, payment.price(), false).await;
            }
            None => {
                let (code, message) = (code.to_owned(), message.to_owned());
                let valid = !payment.has_expired(unix_now());
                let ended = unpaid(code.clone(), message.clone(), valid);
                if self.write(name, ended, payment.price()).await && !self.shutdown.is_requested() {
                    failed(&self.reporters, name, Stage::Enroll, &code, message);
                }
            }
        }
    }
}

/// The release of a payment that expired without being accepted, so that a new one may be signed.
fn released() -> Transition {
    Transition::Release {
        code: "payment_expired".to_owned(),
        message: "the payment expired before it was accepted".to_owned(),
    }
}

/// The outcome with the signed price, and a doubt with its first code and message.
fn with_signed_price(outcome: Outcome, price: Usd, doubt: Option<(String, String)>) -> Outcome {
    match (outcome, doubt) {
        (
            Outcome::Enrolled {
                asset_id,
                ids,
                settlement,
                ..
            },
            _,
        ) => Outcome::Enrolled {
            asset_id,
            ids,
            price: Some(price),
            settlement,
        },
        (Outcome::InDoubt { code, message }, Some((first, was))) if (&first, &was) != (&code, &message) => {
            Outcome::InDoubt {
                code: first,
                message: format!("{was}; resent: {code}: {message}"),
            }
        }
        (outcome, _) => outcome,
    }
}
