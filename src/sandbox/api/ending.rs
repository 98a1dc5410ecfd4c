//! How a paid call ends: with its reply, or with a fault.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode};
use futures_util::stream;
use serde_json::json;

use super::Shared;
use crate::sandbox::faults::FaultKind;
use crate::sandbox::net::{Cut, Wire};
use crate::sandbox::reply::{self, ApiError, json_reply};

/// How an answer is delivered, and which charge is lost if it doesn't arrive.
pub(super) struct Answer {
    pub(super) how: How,
    pub(super) charge: Option<u64>,
}

pub(super) enum How {
    Reply(Response<Body>),
    Cut(Cut),
    /// This reply, after a long delay.
    Late(Response<Body>),
    /// This reply's full length announced, half of it sent, then a reset or nothing more.
    Half(Response<Body>, Option<Cut>),
}

impl Answer {
    /// Delivers it, or ends the connection.
    pub(super) async fn deliver(self, shared: &Shared, wire: Wire) -> Response<Body> {
        match self.how {
            How::Reply(reply) => reply,
            How::Cut(how) => match wire.cut(how).await {},
            How::Late(reply) => {
                let mut gone = Gone {
                    shared,
                    charge: self.charge,
                };
                tokio::time::sleep(shared.faults.stall()).await;
                gone.charge = None;
                reply
            }
            How::Half(reply, cut) => half(reply, cut, wire).await,
        }
    }
}

/// Records a lost reply if the connection, and this value with it, ends first.
struct Gone<'a> {
    shared: &'a Shared,
    charge: Option<u64>,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if let Some(seq) = self.charge {
            self.shared.book.lost(seq, true);
        }
    }
}

/// Sends the head and the first half of the body; then the connection ends.
async fn half(reply: Response<Body>, cut: Option<Cut>, wire: Wire) -> Response<Body> {
    let (mut head, body) = reply.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers
        .insert("content-length", HeaderValue::from(bytes.len()));
    let first = bytes.slice(..bytes.len() / 2);
    let body = stream::unfold(Some(first), move |first| {
        let wire = wire.clone();
        async move {
            match (first, cut) {
                (Some(bytes), _) => Some((Ok::<Bytes, io::Error>(bytes), None)),
                (None, cut) => {
                    // Let the first half leave before the connection is closed.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    match cut {
                        Some(cut) => match wire.cut(cut).await {},
                        None => Some((Err(io::Error::other("cut short by a fault")), None)),
                    }
                }
            }
        }
    });
    Response::from_parts(head, Body::from_stream(body))
}

impl Shared {
    /// The end of a call that is not charged.
    pub(super) fn uncharged(&self, fault: FaultKind) -> How {
        use FaultKind as F;
        let error = |status, code, message: &str| ApiError::new(status, code, message);
        let error = match fault {
            F::Refuse | F::ResetBeforeRead | F::ResetBeforeCharge => return How::Cut(Cut::Reset),
            F::CloseBeforeCharge => return How::Cut(Cut::Close),
            F::Stall => return How::Late(self.error(&server_error(504))),
            F::ErrorIn200 => return How::Reply(error_in_200()),
            F::Redirect => return How::Reply(redirect()),
            F::Http502 => server_error(502),
            F::Http503 => server_error(503),
            F::Http504 => server_error(504),
            F::RateLimited => error(429, "rate_limited", "slow down").retry_after(self.faults.retry_after()),
            F::Unauthorized => error(401, "unauthorized", "the API key was revoked"),
            F::Forbidden => error(403, "forbidden", "the API key may not do this"),
            F::InsufficientBalance => error(402, "insufficient_balance", "the account has no credit left"),
            F::Quota => error(429, "quota_exceeded", "the account can hold no more assets"),
            F::QuotaForbidden => error(403, "quota_exceeded", "the account can hold no more assets"),
            F::InvalidImageUrl => error(400, "invalid_image_url", "image_url answered 403"),
            F::ImageRejected => error(422, "image_rejected", "the image was rejected"),
            F::FaceMatchFailed => error(422, "face_match_failed", "the image shows another person"),
            F::LivenessIncomplete => error(425, "liveness_incomplete", "keep polling"),
            F::GroupNotFound => error(404, "group_not_found", "no such session"),
            F::InvalidSignature => error(402, "invalid_signature", "the signature is not the payer's"),
            F::AmountMismatch => error(402, "amount_mismatch", "the amount differs from the price"),
            F::PaymentUnclear => return How::Reply(self.payment_unclear()),
            F::SessionExpired => error(400, "session_expired", "init again"),
            // All other kinds are charged.
            _ => server_error(500),
        };
        How::Reply(self.error(&error))
    }

    /// The end of a call that was charged; `reply` is the reply that its caller should have received.
    pub(super) fn charged(&self, fault: FaultKind, reply: Response<Body>) -> How {
        use FaultKind as F;
        let error = |error: &ApiError| How::Reply(self.error(error));
        match fault {
            F::Http500Charged => error(&server_error(500)),
            F::Http502Charged => error(&server_error(502)),
            F::Http503Charged => error(&server_error(503)),
            F::Http504Charged => error(&server_error(504)),
            F::ResetAfterCharge => How::Cut(Cut::Reset),
            F::CloseAfterCharge => How::Cut(Cut::Close),
            F::StallCharged => How::Late(reply),
            F::ResetDuringReply => How::Half(reply, Some(Cut::Reset)),
            F::Truncated => How::Half(reply, None),
            F::Garbage => How::Reply(reply::html(StatusCode::OK, "<html><h1>It works!</h1></html>")),
            F::Empty => How::Reply(Response::new(Body::empty())),
            F::NoAssetId => How::Reply(json_reply(StatusCode::OK, &json!({ "status": "queued" }))),
            F::ErrorIn200Charged => How::Reply(error_in_200()),
            F::PaymentUnclearCharged => How::Reply(self.payment_unclear()),
            F::PaymentReplay => error(&ApiError::new(
                402,
                "PAYMENT_REPLAY",
                "this payment was already claimed",
            )),
            F::ChainTimeout => error(&ApiError::new(
                402,
                "chain_timeout",
                "the settlement was not seen",
            )),
            _ => How::Reply(reply),
        }
    }

    /// What middlewares answer to a payment when they lost their facilitator, in turn.
    fn payment_unclear(&self) -> Response<Body> {
        let turn = self.unclear.fetch_add(1, Ordering::Relaxed);
        let unclear = |body| json_reply(StatusCode::PAYMENT_REQUIRED, &body);
        let quote =
            |error| unclear(json!({ "x402Version": 2, "error": error, "accepts": [{ "scheme": "exact" }] }));
        match turn % 7 {
            0 => unclear(json!({ "error": {} })),
            1 => unclear(json!({ "error": "facilitator_unavailable" })),
            2 => unclear(json!({ "error": "fetch failed" })),
            3 => {
                let mut reply = Response::new(Body::empty());
                *reply.status_mut() = StatusCode::PAYMENT_REQUIRED;
                reply
            }
            4 => unclear(json!({ "message": "something of which nobody has heard" })),
            5 => quote("fetch failed"),
            _ => quote("Payment required"),
        }
    }
}

fn server_error(status: u16) -> ApiError {
    let code = match status {
        502 => "bad_gateway",
        503 => "service_unavailable",
        504 => "gateway_timeout",
        _ => "internal_error",
    };
    ApiError::new(status, code, "upstream failed")
}

fn error_in_200() -> Response<Body> {
    // Nothing in it shows whether money moved: that is the point.
    json_reply(
        StatusCode::OK,
        &json!({ "error": { "code": "upstream_error", "message": "try again" } }),
    )
}

fn redirect() -> Response<Body> {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let here = HeaderValue::from_static("/v1/marketplace/portrait/enroll");
    reply.headers_mut().insert("location", here);
    reply
}
