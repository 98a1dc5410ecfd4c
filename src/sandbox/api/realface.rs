//! The free calls of a real actor's liveness check, and the page that simulates the actor's phone.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{MAX_BODY, Shared};
use crate::sandbox::liveness::Stage;
use crate::sandbox::options::Dialect;
use crate::sandbox::reply::{self, ApiError, json_reply};

/// The pages behind the links, outside the API's paths.
pub(super) fn pages() -> Router<Arc<Shared>> {
    Router::new()
        .route("/h5/{group_id}", get(phone))
        .route("/h5/{group_id}/{stage}", post(press))
        .route("/qr/{group_id}", get(qr))
}

pub(super) async fn init(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MAX_BODY).await.unwrap_or_default();
    if let Some(fault) = shared.free_call().await {
        return fault;
    }
    shared
        .init(&parts.headers, &bytes)
        .unwrap_or_else(|error| shared.error(&error))
}

/// The query of a status call: 2025 writes `groupId`; `group_id` is accepted too.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(rename = "groupId", alias = "group_id", default)]
    group_id: String,
}

pub(super) async fn status(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response<Body> {
    if let Some(fault) = shared.free_call().await {
        return fault;
    }
    if let Err(wait) = shared.faults.status() {
        let error = ApiError::rate_limited("too many status requests; the limit is per hour", wait);
        return shared.error(&error);
    }
    shared
        .status(&headers, &asked.group_id)
        .unwrap_or_else(|error| shared.error(&error))
}

impl Shared {
    /// Applies the latency of every call, and the fault that a free one may get.
    async fn free_call(&self) -> Option<Response<Body>> {
        tokio::time::sleep(self.faults.latency()).await;
        let fault = || self.error(&ApiError::new(503, "service_unavailable", "upstream failed"));
        self.faults.free().then(fault)
    }

    fn init(&self, headers: &HeaderMap, bytes: &[u8]) -> Result<Response<Body>, ApiError> {
        self.authorize(headers)?;
        let body = reply::object(bytes)?;
        let name = reply::name(&body)?;
        let redirect_url = https(&body, "redirect_url")?;
        // Accepted, but not called: nothing leaves this machine.
        https(&body, "webhook_url")?;
        // As at BlockRun: only the newer dialect renews links.
        let renew = body.get("groupId").and_then(Value::as_str);
        let renew = renew.filter(|_| self.dialect() == Dialect::D2026);
        let mut sessions = self.sessions();
        let group_id = match renew {
            Some(group_id) if sessions.renew(Instant::now(), group_id) => group_id.to_owned(),
            Some(_) => return Err(ApiError::new(404, "group_not_found", "no such session")),
            None => sessions
                .init(Instant::now(), name.to_owned(), redirect_url)
                .map_err(|wait| ApiError::rate_limited("too many sessions; the limit is per hour", wait))?,
        };
        let link = format!("{}h5/{group_id}", self.base);
        let expiry = sessions.expiry();
        let body = match self.dialect() {
            Dialect::D2025 => {
                let expires_at = jiff::Timestamp::try_from(SystemTime::now() + expiry)
                    .map(|time| time.to_string())
                    .unwrap_or_default();
                json!({
                    "group_id": group_id,
                    "name": name,
                    "verification_url": link,
                    "qr_code_url": format!("{}qr/{group_id}", self.base),
                    "expires_at": expires_at,
                    "status": "pending",
                })
            }
            Dialect::D2026 => json!({
                "group_id": group_id,
                "h5_link": link,
                "status": "pending_validation",
                "expires_in_seconds": expiry.as_secs(),
                "refreshed": renew.is_some(),
            }),
        };
        Ok(json_reply(StatusCode::OK, &body))
    }

    fn status(&self, headers: &HeaderMap, group_id: &str) -> Result<Response<Body>, ApiError> {
        self.authorize(headers)?;
        let mut sessions = self.sessions();
        let (session, stage) = sessions
            .get(Instant::now(), group_id)
            .ok_or_else(|| ApiError::new(404, "group_not_found", "no such session"))?;
        let done = stage == Stage::Completed;
        let status = status_name(self.dialect(), stage);
        let mut body = json!({ "group_id": group_id, "name": session.name, "status": status });
        match self.dialect() {
            Dialect::D2025 if done => body["liveness_score"] = json!(0.98),
            Dialect::D2025 => {}
            Dialect::D2026 => body["ready_to_finalize"] = json!(done),
        }
        Ok(json_reply(StatusCode::OK, &body))
    }
}

fn status_name(dialect: Dialect, stage: Stage) -> &'static str {
    match (stage, dialect) {
        (Stage::Pending, Dialect::D2025) => "pending",
        (Stage::InProgress, Dialect::D2025) => "in_progress",
        (Stage::Completed, Dialect::D2025) => "completed",
        (Stage::Pending | Stage::InProgress, Dialect::D2026) => "pending_validation",
        (Stage::Completed, Dialect::D2026) => "active",
        (Stage::Failed, _) => "failed",
        (Stage::Expired, _) => "expired",
    }
}

fn https(body: &Map<String, Value>, field: &'static str) -> Result<Option<String>, ApiError> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(url)) if url.starts_with("https://") => Ok(Some(url.clone())),
        Some(_) => Err(ApiError::new(
            400,
            "invalid_request",
            format!("{field} must be an https URL"),
        )),
    }
}

async fn phone(State(shared): State<Arc<Shared>>, Path(group_id): Path<String>) -> Response<Body> {
    let stage = shared
        .sessions()
        .advance(Instant::now(), &group_id, Stage::InProgress, false);
    shared.page(&group_id, stage)
}

async fn press(
    State(shared): State<Arc<Shared>>,
    Path((group_id, stage)): Path<(String, String)>,
) -> Response<Body> {
    let to = match stage.as_str() {
        "completed" => Stage::Completed,
        "failed" => Stage::Failed,
        _ => return shared.error(&ApiError::new(404, "not_found", "no such page")),
    };
    let stage = shared.sessions().advance(Instant::now(), &group_id, to, false);
    shared.page(&group_id, stage)
}

impl Shared {
    fn page(&self, group_id: &str, stage: Option<Stage>) -> Response<Body> {
        let redirect_url = self
            .sessions()
            .get(Instant::now(), group_id)
            .and_then(|(session, _)| session.redirect_url.clone());
        let says = match stage {
            None => "This link is unknown.",
            Some(Stage::Completed) => "Verified. You can put the phone away.",
            Some(Stage::Failed) => "The check has failed.",
            Some(Stage::Expired) => "This link has expired.",
            Some(Stage::Pending | Stage::InProgress) => "This page simulates the actor's phone.",
        };
        let open = matches!(stage, Some(Stage::Pending | Stage::InProgress));
        let page = maud::html! {
            (maud::DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { "Liveness check (sandbox)" }
                    style { "body{font:1.2rem system-ui;margin:10vh auto;max-width:24rem;text-align:center}
                        button{font:inherit;padding:.8rem 1.6rem;margin:.5rem}" }
                }
                body {
                    h1 { "Liveness check" }
                    p { (says) }
                    @if open {
                        form method="post" {
                            button formaction={ "/h5/" (group_id) "/completed" } { "I am alive" }
                            button formaction={ "/h5/" (group_id) "/failed" } { "Fail" }
                        }
                    } @else if let Some(url) = redirect_url {
                        a href=(url) rel="noreferrer" { "Continue" }
                    }
                }
            }
        };
        let status = if stage.is_some() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        reply::html(status, &page.into_string())
    }
}

/// The link as a QR code, PNG.
async fn qr(State(shared): State<Arc<Shared>>, Path(group_id): Path<String>) -> Response<Body> {
    const SCALE: usize = 8;
    const QUIET: usize = 4;
    if shared.sessions().get(Instant::now(), &group_id).is_none() {
        return shared.error(&ApiError::new(404, "group_not_found", "no such session"));
    }
    let Ok(code) = qrcode::QrCode::new(format!("{}h5/{group_id}", shared.base)) else {
        return shared.error(&ApiError::new(500, "internal", "the link does not fit a QR code"));
    };
    let (width, colors) = (code.width(), code.to_colors());
    let side = (width + 2 * QUIET) * SCALE;
    let picture = image::GrayImage::from_fn(side as u32, side as u32, |x, y| {
        let module = |at: u32| (at as usize / SCALE).checked_sub(QUIET).filter(|at| *at < width);
        let dark = matches!((module(x), module(y)), (Some(x), Some(y)) if colors[y * width + x] == qrcode::Color::Dark);
        image::Luma([if dark { 0 } else { 255 }])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    match picture.write_to(&mut bytes, image::ImageFormat::Png) {
        Ok(()) => reply::png(bytes.into_inner()),
        Err(e) => shared.error(&ApiError::new(500, "internal", e.to_string())),
    }
}
