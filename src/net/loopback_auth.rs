//! Guards the pages that castline serves on loopback: only the browser that presents the token from the URL is
//! admitted, and only the page itself may change something.
//!
//! Any page on the web can make a browser send requests to this machine's ports, and an attacker's domain can
//! resolve to 127.0.0.1. So every request must name this host, carry the cookie that the token was exchanged for,
//! and, if it changes something, come from our own page.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::Url;

use crate::util::sha256::sha256;

/// Which ports a `Host` header may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostPorts {
    /// Only the port that the page listens on.
    Own,
    /// Any port, on a loopback name: a cable or tunnel to a tablet may change the port.
    Any,
}

/// The guard of one page.
pub(crate) struct LoopbackAuth {
    /// Host and port that the page listens on.
    host: String,
    ports: HostPorts,
    token: String,
    /// Whether the token is still unused.
    token_unused: Mutex<bool>,
    /// The cookie, as `name=value`.
    cookie: String,
    /// The page's Content-Security-Policy.
    policy: HeaderValue,
    /// The text shown to a browser without token or cookie.
    closed: &'static str,
}

impl LoopbackAuth {
    /// A guard with a token and a cookie of 32 random bytes each. `page` is a word for the cookie's name, `policy`
    /// the page's Content-Security-Policy, and `closed` the text shown to a browser that is not admitted.
    ///
    /// # Errors
    /// The system provides no randomness.
    pub(crate) fn new(
        address: SocketAddr,
        page: &str,
        ports: HostPorts,
        policy: &str,
        closed: &'static str,
    ) -> std::io::Result<Self> {
        Ok(Self {
            host: address.to_string(),
            ports,
            token: secret()?,
            token_unused: Mutex::new(true),
            // Browsers store cookies by host, not port: two pages at once need two names.
            cookie: format!("castline_{page}_{}={}", address.port(), secret()?),
            policy: HeaderValue::from_str(policy).expect("a policy is ASCII"),
            closed,
        })
    }

    /// The page's URL, with the token that works once.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/?token={}", self.host, self.token)
    }

    fn is_own_host(&self, request: &Request) -> bool {
        let named = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
        let asked = request.uri().authority().map(|a| a.as_str());
        let is_own = |host: &str| match self.ports {
            HostPorts::Own => host == self.host,
            HostPorts::Any => Url::parse(&format!("http://{host}/"))
                .is_ok_and(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))),
        };
        named.is_some_and(is_own) && asked.is_none_or(is_own)
    }

    fn has_cookie(&self, request: &Request) -> bool {
        request
            .headers()
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .any(|cookie| is_same(cookie.trim(), &self.cookie))
    }

    /// Whether the request presents the token for the first time; the token is then used up.
    fn takes_token(&self, request: &Request) -> bool {
        let query = request.uri().query().unwrap_or_default();
        let brought = query
            .strip_prefix("token=")
            .is_some_and(|token| is_same(token, &self.token));
        let at_root = request.method() == Method::GET && request.uri().path() == "/";
        let mut unused = self.token_unused.lock().unwrap_or_else(PoisonError::into_inner);
        at_root && brought && std::mem::take(&mut *unused)
    }

    /// Whether a request that changes something comes from our own page.
    fn is_from_own_page(&self, request: &Request) -> bool {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        header(header::ORIGIN).and_then(|origin| origin.strip_prefix("http://")) == Some(self.host.as_str())
            && header(header::CONTENT_TYPE) == Some("application/json")
    }
}

/// Compares by digest, so that the time it takes reveals nothing about the secret.
fn is_same(given: &str, secret: &str) -> bool {
    sha256(given.as_bytes()) == sha256(secret.as_bytes())
}

/// 32 random bytes, in hex.
fn secret() -> std::io::Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(hex::encode(bytes))
}

/// Refuses requests that are not admitted, and adds the headers that keep every reply on this machine.
pub(crate) async fn guard(
    State(auth): State<Arc<LoopbackAuth>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let mut reply = if !auth.is_own_host(&request) {
        refuse("this page is only available at its own address")
    } else if auth.has_cookie(&request) {
        if request.method().is_safe() || auth.is_from_own_page(&request) {
            next.run(request).await
        } else {
            refuse("this request did not come from the page itself")
        }
    } else if auth.takes_token(&request) {
        let mut reply = next.run(request).await;
        let cookie = format!("{}; Path=/; HttpOnly; SameSite=Strict", auth.cookie);
        let cookie = HeaderValue::from_str(&cookie).expect("hex digits");
        reply.headers_mut().append(header::SET_COOKIE, cookie);
        reply
    } else {
        refuse(auth.closed)
    };
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, auth.policy.clone());
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

fn refuse(why: &'static str) -> Response<Body> {
    (StatusCode::FORBIDDEN, why).into_response()
}
