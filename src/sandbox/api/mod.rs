//! The simulated API: all endpoints of both dialects, and the sandbox's own under `/_sandbox`.

mod control;
mod ending;
mod enroll;
mod realface;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::middleware;
use axum::routing::{get, post};
use serde_json::{Value, json};
use url::Url;

use super::charges::{Charge, ChargeBook};
use super::faults::FaultBox;
use super::liveness::Sessions;
use super::log::RequestLog;
use super::options::{Dialect, SandboxOptions};
use super::picture::Fetcher;
use crate::sandbox::reply::{ApiError, json_reply};

/// The longest request body that is accepted, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The state shared by all handlers.
pub(super) struct Shared {
    pub(super) options: SandboxOptions,
    /// The base URL, `https://localhost:PORT/`.
    pub(super) base: Url,
    pub(super) api_key: String,
    pub(super) faults: FaultBox,
    pub(super) book: ChargeBook,
    pub(super) log: Arc<RequestLog>,
    pub(super) sessions: Mutex<Sessions>,
    pub(super) fetcher: Fetcher,
    pub(super) turn: AtomicUsize,
    /// How many unclear answers to a payment were given.
    pub(super) unclear: AtomicUsize,
    pub(super) bank: Option<super::x402::Bank>,
}

impl Shared {
    fn dialect(&self) -> Dialect {
        self.options.dialect
    }

    fn error(&self, error: &ApiError) -> Response<Body> {
        error.render(self.options.error_shape(), &self.turn)
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|key| key == self.api_key)
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.bank.is_some() {
            return Ok(());
        }
        match self.has_key(headers) {
            true => Ok(()),
            false => Err(ApiError::new(
                401,
                "unauthorized",
                "the API key is missing or wrong",
            )),
        }
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// All routes.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/realface/init", post(realface::init))
        .route("/realface/status", get(realface::status))
        .route("/realface/enroll", post(enroll::realface))
        .route("/portrait/enroll", post(enroll::portrait))
        .route("/wallet/{address}/portraits", get(portraits))
        .route("/wallet/{address}/realfaces", get(realfaces))
        .layer(middleware::map_response_with_state(Arc::clone(&shared), number));
    Router::new()
        .nest("/v1/marketplace", api.clone())
        // BlockRun's base, and its listing as in its documentation.
        .nest("/api/v1", api)
        .route("/v1/wallet/{address}/portraits", get(portraits))
        .route("/v1/wallet/{address}/realfaces", get(realfaces))
        .merge(realface::pages())
        .nest("/_sandbox", control::routes())
        .route("/_sandbox/", get(control::index))
        .fallback(unknown)
        .with_state(shared)
}

/// Adds the id of the request to a reply, as BlockRun does.
async fn number(State(shared): State<Arc<Shared>>, mut reply: Response<Body>) -> Response<Body> {
    if shared.dialect() == Dialect::D2026 {
        let id =
            HeaderValue::from_str(&format!("req_{}", super::random_hex::<8>())).expect("hexadecimal digits");
        reply.headers_mut().insert("x-blockrun-request-id", id);
    }
    reply
}

async fn unknown(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.error(&ApiError::new(404, "not_found", "no such endpoint"))
}

/// BlockRun's listing: the assets that an address has paid for; with the API key, also those that the key has paid for.
async fn portraits(
    State(shared): State<Arc<Shared>>,
    Path(address): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let listed = shared.listing("portrait/enroll", &address, request.headers());
    json_reply(StatusCode::OK, &json!({ "portraits": listed }))
}

/// The same for real actors.
async fn realfaces(
    State(shared): State<Arc<Shared>>,
    Path(address): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let listed = shared.listing("realface/enroll", &address, request.headers());
    json_reply(StatusCode::OK, &json!({ "realfaces": listed }))
}

impl Shared {
    fn listing(&self, endpoint: &str, address: &str, headers: &HeaderMap) -> Vec<Value> {
        let by_key = self.has_key(headers);
        let paid_here = |charge: &Charge| match &charge.payer {
            Some(payer) => payer.eq_ignore_ascii_case(address),
            None => by_key,
        };
        let charges = self
            .book
            .filter(|charge| charge.endpoint == endpoint && paid_here(charge));
        let listed = charges.iter().map(|charge| match self.faults.bare_listing() {
            true => json!({ "assetId": charge.asset_id, "enrollmentTxHash": charge.tx_hash }),
            false => json!({
                "assetId": charge.asset_id,
                "name": charge.name,
                "imageUrl": charge.image_url,
                "groupId": charge.group_id,
                "createdAt": charge.time,
                "enrollmentTxHash": charge.tx_hash,
            }),
        });
        listed.collect()
    }
}
