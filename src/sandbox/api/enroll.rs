//! The two paid calls.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::ending::{Answer, How};
use super::{MAX_BODY, Shared};
use crate::sandbox::charges::Charge;
use crate::sandbox::faults::FaultKind;
use crate::sandbox::liveness::Stage;
use crate::sandbox::log::Tag;
use crate::sandbox::net::{Cut, Wire};
use crate::sandbox::options::Dialect;
use crate::sandbox::reply::{self, ApiError, json_reply};

/// The kind of a paid call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paid {
    Portrait,
    RealFace,
}

pub(super) async fn portrait(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    paid(shared, Paid::Portrait, request).await
}

pub(super) async fn realface(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    paid(shared, Paid::RealFace, request).await
}

async fn paid(shared: Arc<Shared>, paid: Paid, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let wire: Wire = parts
        .extensions
        .get()
        .cloned()
        .expect("every connection has its wire");
    let tag: Tag = parts
        .extensions
        .get()
        .cloned()
        .expect("every request has its tag");
    if shared.faults.before_read() {
        tag.set(FaultKind::ResetBeforeRead);
        match wire.cut(Cut::Reset).await {}
    }
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY).await else {
        return shared.error(&ApiError::new(
            413,
            "request_too_large",
            "the body must be under 64 KiB",
        ));
    };
    // Like a real server, it carries out a call that has arrived even if its caller has disconnected.
    let (send, answer) = oneshot::channel();
    let task = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(task.faults.latency()).await;
        let answer = task.answer(paid, &parts.headers, &bytes, &tag).await;
        if let Err(Answer {
            charge: Some(seq), ..
        }) = send.send(answer)
        {
            task.book.lost(seq, true);
        }
    });
    let Ok(answer) = answer.await else {
        return shared.error(&ApiError::new(500, "internal", "the sandbox itself has failed"));
    };
    answer.deliver(&shared, wire).await
}

/// A call that passed every check.
struct Call<'a> {
    name: &'a str,
    image_url: &'a str,
    group_id: Option<&'a str>,
}

impl Shared {
    async fn answer(&self, paid: Paid, headers: &HeaderMap, bytes: &[u8], tag: &Tag) -> Answer {
        let free = |reply| Answer {
            how: How::Reply(reply),
            charge: None,
        };
        if let Err(error) = self.authorize(headers) {
            return free(self.error(&error));
        }
        if let Some(quote) = self
            .bank
            .as_ref()
            .and_then(|bank| bank.quote(headers, &self.resource(paid)))
        {
            return free(quote);
        }
        let body = match reply::object(bytes) {
            Ok(body) => body,
            Err(error) => return free(self.error(&error)),
        };
        let call = match self.call(paid, &body) {
            Ok(call) => call,
            Err(error) => return free(self.error(&error)),
        };
        let fault = self.faults.of_call(call.name, self.book.count());
        if fault != FaultKind::None {
            tag.set(fault);
        }
        if let Err(wait) = self.faults.admit(Instant::now()) {
            let mut retry = self.faults.retry_after();
            retry.seconds = wait.as_secs() + 1;
            let error = ApiError::new(429, "rate_limited", "more calls than allowed").retry_after(retry);
            return free(self.error(&error));
        }
        if !fault.charged() {
            return Answer {
                how: self.uncharged(fault),
                charge: None,
            };
        }
        if let Err(error) = self.check(&call).await {
            return free(self.error(&error));
        }
        match self.charge(paid, &call, fault, headers) {
            Ok(charge) => Answer {
                charge: Some(charge.seq),
                how: self.charged(fault, self.success(paid, &self.as_told(&charge, fault))),
            },
            Err(error) => free(self.error(&error)),
        }
    }

    /// Checks the fields, as far as possible by themselves.
    fn call<'a>(&self, paid: Paid, body: &'a Map<String, Value>) -> Result<Call<'a>, ApiError> {
        let name = reply::name(body)?;
        let image_url = reply::text(body, "image_url")?;
        let group_id = match paid {
            Paid::Portrait => None,
            Paid::RealFace => Some(reply::text(body, "group_id")?),
        };
        Ok(Call {
            name,
            image_url,
            group_id,
        })
    }

    /// Checks the session and the image.
    async fn check(&self, call: &Call<'_>) -> Result<(), ApiError> {
        if let Some(group_id) = call.group_id {
            let mut sessions = self.sessions();
            let (session, stage) = sessions
                .get(Instant::now(), group_id)
                .ok_or_else(|| ApiError::new(404, "group_not_found", "no such session"))?;
            if session.name != call.name {
                return Err(ApiError::new(
                    400,
                    "name_mismatch",
                    "the name is not the one given at init",
                ));
            }
            match stage {
                Stage::Completed => {}
                Stage::Pending | Stage::InProgress => {
                    return Err(ApiError::new(425, "liveness_incomplete", "keep polling"));
                }
                Stage::Expired => return Err(ApiError::new(400, "session_expired", "init again")),
                Stage::Failed => return Err(ApiError::new(422, "liveness_failed", "init again")),
            }
        }
        let looked = self
            .fetcher
            .look(call.image_url, self.faults.provider_fetches())
            .await;
        looked.map_err(|why| ApiError::new(400, "invalid_image_url", format!("image_url {why}")))
    }

    /// Charges the call: money moves only here.
    fn charge(
        &self,
        paid: Paid,
        call: &Call<'_>,
        fault: FaultKind,
        headers: &HeaderMap,
    ) -> Result<Charge, ApiError> {
        let kind = match paid {
            Paid::Portrait => "pt",
            Paid::RealFace => "rf",
        };
        let charge = Charge {
            seq: 0,
            time: jiff::Timestamp::now().to_string(),
            endpoint: paid.path().to_owned(),
            name: call.name.to_owned(),
            image_url: call
                .image_url
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            group_id: call.group_id.map(str::to_owned),
            asset_id: format!("ta_{kind}_sandbox_{}", crate::sandbox::random_hex::<8>()),
            price_usd: self.options.price,
            payer: None,
            tx_hash: None,
            nonce: None,
            // For a stall it becomes known later.
            reply_lost: !matches!(fault, FaultKind::None | FaultKind::StallCharged),
        };
        if let Some(bank) = &self.bank {
            return bank.settle(headers, charge, &self.book);
        }
        self.book
            .add(charge)
            .map_err(|e| ApiError::new(500, "internal", e.to_string()))
    }

    /// The charge as the reply tells of it.
    fn as_told(&self, charge: &Charge, fault: FaultKind) -> Charge {
        let mut reported = charge.clone();
        match fault {
            FaultKind::OtherName => reported.name = format!("Not {}", charge.name),
            FaultKind::SameId => {
                let first = self.book.filter(|charge| charge.seq == 1);
                reported.asset_id.clone_from(&first[0].asset_id);
            }
            _ => {}
        }
        reported
    }

    fn success(&self, paid: Paid, charge: &Charge) -> Response<Body> {
        let mut body = json!({ "asset_id": charge.asset_id, "name": charge.name });
        let fields = body.as_object_mut().expect("an object, two lines above");
        let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        if let Some(group_id) = &charge.group_id {
            put("group_id", json!(group_id));
        }
        match self.dialect() {
            Dialect::D2025 => {
                put("liveness_verified", json!(paid == Paid::RealFace));
                put("created_at", json!(charge.time));
            }
            Dialect::D2026 => {
                if charge.group_id.is_none() {
                    put("group_id", json!(format!("grp_sandbox_pt{}", charge.seq)));
                }
                put("price", json!(charge.price_usd));
                if let Some(tx_hash) = &charge.tx_hash {
                    put("settlement", json!({ "tx_hash": tx_hash }));
                }
            }
        }
        let mut reply = json_reply(StatusCode::OK, &body);
        if let Some(bank) = &self.bank {
            bank.receipt(charge, &mut reply);
        }
        reply
    }

    fn resource(&self, paid: Paid) -> String {
        format!("{}v1/marketplace/{}", self.base, paid.path())
    }
}

impl Paid {
    fn path(self) -> &'static str {
        match self {
            Self::Portrait => "portrait/enroll",
            Self::RealFace => "realface/enroll",
        }
    }
}
