//! Who may come in: the one browser that brings the token of the address, and its own pages alone.
//!
//! Any page on the web can make a browser ask this machine's ports, and a name that an attacker owns can be made to
//! mean 127.0.0.1. So every request must name this very host and port, carry the cookie that the token was
//! exchanged for, and, where it changes something, come from a page of our own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::{Shared, page};

/// The lock.
pub(super) struct Door {
    /// What `Host` must say.
    host: String,
    token: String,
    /// Whether the token still works.
    fresh: Mutex<bool>,
    cookie: String,
}

impl Door {
    /// With a token and a cookie of 32 random bytes each.
    pub(super) fn new(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self {
            host: address.to_string(),
            token: secret()?,
            fresh: Mutex::new(true),
            // Browsers keep cookies by host alone: two reviews at once need two names.
            cookie: format!("castline_review_{}={}", address.port(), secret()?),
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/?token={}", self.host, self.token)
    }

    fn is_host(&self, request: &Request) -> bool {
        let named = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
        let asked = request.uri().authority().map(|a| a.as_str().as_bytes());
        named == Some(self.host.as_bytes()) && asked.is_none_or(|asked| asked == self.host.as_bytes())
    }

    fn knows(&self, request: &Request) -> bool {
        request
            .headers()
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .any(|cookie| same(cookie.trim(), &self.cookie))
    }

    /// Whether the request brings the token for the first time; it works no more from then on.
    fn takes_token(&self, request: &Request) -> bool {
        let query = request.uri().query().unwrap_or_default();
        let brought = query
            .strip_prefix("token=")
            .is_some_and(|token| same(token, &self.token));
        let at_home = request.method() == Method::GET && request.uri().path() == "/";
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        at_home && brought && std::mem::take(&mut *fresh)
    }

    /// Whether a page of our own asks to change something.
    fn is_ours(&self, request: &Request) -> bool {
        let says = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        says(header::ORIGIN).and_then(|origin| origin.strip_prefix("http://")) == Some(self.host.as_str())
            && says(header::CONTENT_TYPE) == Some("application/json")
    }
}

/// Compared by digest: how long that takes tells nothing of the secret.
fn same(given: &str, secret: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(secret)
}

fn secret() -> std::io::Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(hex::encode(bytes))
}

/// Turns away whoever may not come in, and gives every reply the headers that keep it here.
pub(super) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let door = &shared.door;
    let mut reply = if !door.is_host(&request) {
        away("this page answers under its own address only")
    } else if door.knows(&request) {
        if request.method().is_safe() || door.is_ours(&request) {
            next.run(request).await
        } else {
            away("this did not come from the page itself")
        }
    } else if door.takes_token(&request) {
        let mut reply = next.run(request).await;
        let cookie = format!("{}; Path=/; HttpOnly; SameSite=Strict", door.cookie);
        let cookie = HeaderValue::from_str(&cookie).expect("hex digits");
        reply.headers_mut().append(header::SET_COOKIE, cookie);
        reply
    } else {
        away(
            "the address of a review works once, in one browser; start `castline review` again for a new one",
        )
    };
    let headers = reply.headers_mut();
    let policy = HeaderValue::from_str(&page::policy()).expect("a policy is ASCII");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

fn away(why: &'static str) -> Response<Body> {
    (StatusCode::FORBIDDEN, why).into_response()
}
