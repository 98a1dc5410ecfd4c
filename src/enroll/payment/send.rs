//! The payer's calls: asking for the price, and sending a signed payment.

use super::challenge::Challenge;
use super::classify::classify_payment;
use super::payload::SignedPayment;
use crate::enroll::EnrollRequest;
use crate::enroll::client::Client;
use crate::enroll::outcome::{Outcome, StopKind, classify};
use crate::enroll::realface::{for_session, session_gone};
use crate::enroll::transport::CallResult;

/// The result of asking for the price.
#[derive(Debug, Clone, PartialEq)]
pub enum Quote {
    /// The API asks for a payment.
    Asked(Challenge),
    /// The API does not ask for a payment. Never in doubt, since nothing was paid; but a free call may have enrolled.
    Answered(Outcome),
}

impl Client {
    /// Asks for the price: the call itself, without a payment. `group_id` is that of a real actor whose liveness
    /// check has passed; `None` for a portrait. Free.
    pub async fn quote(&self, request: &EnrollRequest, group_id: Option<&str>) -> Quote {
        let answer = self.unpaid_or_paid(request, group_id, None).await;
        match quoted(&answer, self) {
            Quote::Answered(outcome) if group_id.is_some() => {
                Quote::Answered(for_session(&answer, session_gone(outcome)))
            }
            quote => quote,
        }
    }

    /// Sends the same call with a payment: exactly one request. [`step`](super::step()) decides what follows.
    pub async fn pay(
        &self,
        request: &EnrollRequest,
        group_id: Option<&str>,
        payment: &SignedPayment,
    ) -> Outcome {
        let answer = self.unpaid_or_paid(request, group_id, Some(payment)).await;
        let outcome = self.judged(&answer, classify_payment(&answer, &self.provider), request);
        match group_id {
            Some(_) => for_session(&answer, session_gone(outcome)),
            None => outcome,
        }
    }

    async fn unpaid_or_paid(
        &self,
        request: &EnrollRequest,
        group_id: Option<&str>,
        payment: Option<&SignedPayment>,
    ) -> CallResult {
        let call = match group_id {
            Some(group_id) => self.post("realface/enroll", &request.body_of(group_id)),
            None => self.post("portrait/enroll", &request.body()),
        };
        let headers = payment.map(SignedPayment::headers).unwrap_or_default();
        let call = headers
            .into_iter()
            .fold(call, |call, (name, value)| call.header(name, value));
        self.once(call, request.image_url.signature()).await
    }
}

fn quoted(answer: &CallResult, client: &Client) -> Quote {
    if let CallResult::Reply(reply) = answer
        && reply.status == reqwest::StatusCode::PAYMENT_REQUIRED
        && reply.cut.is_none()
    {
        return match Challenge::read(reply) {
            Ok(challenge) => Quote::Asked(challenge),
            Err(error) => Quote::Answered(Outcome::Stop {
                kind: StopKind::Payment,
                code: "quote_unclear".to_owned(),
                message: error.to_string(),
            }),
        };
    }
    Quote::Answered(match classify(answer, &client.provider) {
        Outcome::InDoubt { code, message } => Outcome::Retry {
            code,
            message,
            after: None,
        },
        outcome => outcome,
    })
}
