//! `/_sandbox`: endpoints that no real service has. Open to anyone who can reach loopback; they show no secrets.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use crate::sandbox::charges::Charge;
use crate::sandbox::faults::Faults;
use crate::sandbox::liveness::Stage;
use crate::sandbox::log::RequestRecord;
use crate::sandbox::reply::{ApiError, json_reply};

pub(super) fn routes() -> Router<Arc<Shared>> {
    let routes = Router::new();
    let routes = routes.route("/balances/{address}", get(balance));
    routes
        .route("/", get(index))
        .route("/charges", get(charges))
        .route("/requests", get(requests))
        .route("/faults", get(faults).post(set_faults))
        .route("/liveness/{group_id}", post(liveness))
        .route("/rpc", post(rpc))
}

/// The current balance of an address, in wallet mode.
async fn balance(
    State(shared): State<Arc<Shared>>,
    Path(address): Path<alloy_primitives::Address>,
) -> Response<Body> {
    match &shared.bank {
        Some(bank) => json_reply(StatusCode::OK, &json!({ "balance_usd": bank.balance(address) })),
        None => shared.error(&ApiError::new(
            404,
            "not_found",
            "this sandbox doesn't accept wallets",
        )),
    }
}

pub(super) async fn index() -> Json<serde_json::Value> {
    Json(json!({
        "GET /_sandbox/charges": "every charge, in order",
        "GET /_sandbox/requests": "the last requests, with their time of arrival",
        "GET /_sandbox/faults": "the faults in effect",
        "POST /_sandbox/faults": "replaces the faults, as JSON; {} for none",
        "GET /_sandbox/balances/{address}": "the balance of a wallet, in wallet mode",
        "POST /_sandbox/rpc": "JSON-RPC of a node of the chain, in wallet mode",
        "POST /_sandbox/liveness/{group_id}": "{\"status\": \"completed\" | \"failed\" | \"expired\" | \"pending\"}",
    }))
}

/// A node of the chain that payments are settled on, in wallet mode.
async fn rpc(State(shared): State<Arc<Shared>>, Json(request): Json<serde_json::Value>) -> Response<Body> {
    let answers = shared.faults.chain();
    match shared.bank.as_ref().and_then(|bank| bank.rpc(&request, answers)) {
        Some(reply) => json_reply(StatusCode::OK, &reply),
        None => json_reply(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({ "error": "no answer" }),
        ),
    }
}

async fn charges(State(shared): State<Arc<Shared>>) -> Json<Vec<Charge>> {
    Json(shared.book.all())
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<RequestRecord>> {
    Json(shared.log.recent())
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Faults> {
    Json(shared.faults.current())
}

async fn set_faults(State(shared): State<Arc<Shared>>, body: Bytes) -> Response<Body> {
    let set = serde_json::from_slice::<Faults>(&body)
        .map_err(|e| e.to_string())
        .and_then(|faults| shared.faults.replace(faults).map_err(|e| e.to_string()));
    match set {
        Ok(()) => json_reply(StatusCode::OK, &json!({ "ok": true })),
        Err(problem) => json_reply(StatusCode::BAD_REQUEST, &json!({ "error": problem })),
    }
}

#[derive(Deserialize)]
struct Advance {
    status: Stage,
}

async fn liveness(
    State(shared): State<Arc<Shared>>,
    Path(group_id): Path<String>,
    body: Bytes,
) -> Response<Body> {
    let Ok(Advance { status }) = serde_json::from_slice(&body) else {
        let problem = "write {\"status\": \"completed\"}, or failed, expired, pending";
        return json_reply(StatusCode::BAD_REQUEST, &json!({ "error": problem }));
    };
    match shared.sessions().advance(Instant::now(), &group_id, status, true) {
        Some(_) => json_reply(StatusCode::OK, &json!({ "ok": true })),
        None => shared.error(&ApiError::new(404, "group_not_found", "no such session")),
    }
}
