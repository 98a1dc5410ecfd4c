//! The paid call: authorize, send, interpret. The intent is durable before it is sent, the outcome before it is shown.
//!
//! One loop for both payment methods. With a key, the intent alone authorizes a call; with a wallet, a signed payment
//! that is durable with the intent (see [`wallet_payment`](super::wallet_payment)).

use super::enrollment::{Authorized, Enroll, Next, PaidCall, PaymentMethod, Signed};
use super::recorder::{failed, ledger_broke};
use crate::cast::Name;
use crate::enroll::{Outcome, backoff, is_about_session};
use crate::event::{Event, Stage};
use crate::exit::ExitCode;
use crate::ledger::{Budget, INTERRUPTED, Transition};

impl Enroll {
    /// Calls until the outcome is known, in doubt, or the retries are used up. `open` is a payment that an interrupted
    /// run had signed for this call.
    pub(super) async fn pay(&self, mut call: PaidCall, open: Option<Box<Signed>>) {
        match self.claim(&call, open.is_some()).await {
            Ok(claim) => call.claim = claim,
            Err(_) => return,
        }
        let enrolled = self.pay_until_settled(&mut call, open).await;
        self.close_receipt(&call.name, call.claim.as_ref()).await;
        // Only now: an id that was reported survives the loss of the ledger.
        if let Some(event) = enrolled {
            self.reporters.emit(event);
        }
    }

    /// Returns what is to be reported when the receipt is written.
    async fn pay_until_settled(&self, call: &mut PaidCall, mut open: Option<Box<Signed>>) -> Option<Event> {
        let mut failures = 0;
        let mut alone = None;
        loop {
            let turn = async {
                if alone.is_none() {
                    alone = self.brake.guard().await;
                }
                (self.first_call_guard().await, self.rate_limiter.acquire().await)
            };
            let turn = tokio::select! {
                biased;
                () = self.shutdown.requested() => {
                    self.give_up(&call.name, open, INTERRUPTED, "the run stopped").await;
                    return None;
                }
                turn = turn => turn,
            };
            if let Err((code, message)) = self.sign_address(call).await {
                match open {
                    Some(open) => self.give_up(&call.name, Some(open), code, &message).await,
                    None => self.not_signed(&call.name, code, message).await,
                }
                return None;
            }
            // Until the outcome is written, nothing may drop this future: the run awaits it even when stopping.
            let authorized = match self.authorize(call, open.take()).await {
                Ok(authorized) => self.with_receipt(call, authorized).await,
                Err(next) => Err(next),
            };
            let next = match authorized {
                Err(next) => {
                    drop(turn);
                    next
                }
                Ok(authorized) => {
                    let outcome = self.send(call, &authorized).await;
                    drop(turn);
                    match authorized {
                        Authorized::Key(price) => self.settle(&call.name, outcome, price, false).await,
                        Authorized::Wallet(signed) => self.interpret_payment(call, outcome, *signed).await,
                    }
                }
            };
            failures += 1;
            let (after, code, message, resend) = match next {
                Next::Done => return None,
                Next::Report(event) => return Some(*event),
                Next::Retry {
                    after,
                    code,
                    message,
                    open,
                } => (after, code, message, open),
            };
            // A new session is needed first, which is up to the caller.
            if resend.is_none() && call.group_id.is_some() && is_about_session(&code) {
                return None;
            }
            if failures > self.retries {
                match resend {
                    Some(signed) => self.give_up(&call.name, Some(signed), &code, &message).await,
                    None => failed(&self.reporters, &call.name, Stage::Enroll, &code, message),
                }
                return None;
            }
            open = resend;
            tokio::select! {
                () = self.shutdown.requested() => {}
                () = tokio::time::sleep(after.unwrap_or(backoff(failures))) => {}
            }
        }
    }

    /// Creates the receipt of an authorized call.
    ///
    /// # Errors
    /// The call must not leave; its intent is ended.
    async fn with_receipt(&self, call: &mut PaidCall, authorized: Authorized) -> Result<Authorized, Next> {
        let Some(mut claim) = call.claim.take() else {
            return Ok(authorized);
        };
        let opened = self.open_receipt(call, &mut claim, &authorized).await;
        call.claim = Some(claim);
        opened.map(|()| authorized)
    }

    /// Where concurrent calls could together cost more than allowed, the first one goes alone until a reply has
    /// reported the price. With a wallet, the price is known beforehand.
    async fn first_call_guard(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.payment_method {
            PaymentMethod::Key => {
                let limited = self.budget != Budget::default();
                self.price.first_call_guard(limited).await
            }
            PaymentMethod::Wallet(_) => None,
        }
    }

    /// Makes the intent durable, with the signed payment if a wallet pays.
    async fn authorize(&self, call: &PaidCall, open: Option<Box<Signed>>) -> Result<Authorized, Next> {
        match &self.payment_method {
            PaymentMethod::Key => {
                let price = self.price.expected();
                let receipt = call.claim.as_ref().map(|claim| claim.receipt.clone());
                let durable = !self.shutdown.is_requested()
                    && self.intend(&call.name, &call.request, price, None, receipt).await;
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
        self.rate_limiter.send().await;
        if !self.ledger.is_ours() {
            return Outcome::Retry {
                code: "ledger_turn".to_owned(),
                message: "nothing was heard of this run for the time of ledger.lease; the call did not leave"
                    .to_owned(),
                after: None,
            };
        }
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

    /// Records that the address could not be signed, before anything was paid.
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

    /// Renews the signature of the address, where addresses are signed.
    ///
    /// # Errors
    /// Code and message of the failure; if it affects all calls, the run stops.
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
}
