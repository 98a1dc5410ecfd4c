//! A page for a tablet on the set: the code of whose turn it is, large.
//!
//! It listens on loopback only; a tablet reaches it through a cable or a tunnel (`adb reverse`, `ssh -R`). The
//! address holds a token that opens the page once: the browser that did keeps a cookie. Nothing can be done from
//! the page, and nothing but the current code is on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::Url;

use super::qr::Code;
use crate::report::{Event, LivenessState, Reporter};

/// No scripts at all; the style from here; the code is part of the page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const COOKIE: &str = "castline_page";
/// How often the page asks for itself, in seconds.
const REFRESH: u32 = 2;

/// The page, served until it is dropped.
pub struct Page {
    shared: Arc<Shared>,
    address: Url,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    /// What opens the page; gone once it has.
    token: Mutex<Option<String>>,
    /// What the browser that opened it shows from then on.
    cookie: String,
    now: Mutex<Now>,
}

/// What is to be seen.
enum Now {
    Wait,
    Scan {
        name: String,
        place: (usize, usize),
        code: Option<Code>,
        link: String,
        until: Instant,
        in_progress: bool,
    },
    Passed(String),
    NotPassed(String),
    Done,
}

impl Page {
    /// Serves the page on loopback, at `port` or, when that is 0, at any free one.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn serve(port: u16) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let (token, cookie) = (random()?, random()?);
        let port = listener.local_addr()?.port();
        let address = format!("http://127.0.0.1:{port}/open/{token}");
        let address = address.parse().expect("a URL written here");
        let shared = Arc::new(Shared {
            token: Mutex::new(Some(token)),
            cookie,
            now: Mutex::new(Now::Wait),
        });
        let router = router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!("the page is not served any more: {error}");
            }
        });
        Ok(Self {
            shared,
            address,
            server,
        })
    }

    /// What opens it, once.
    pub fn address(&self) -> &Url {
        &self.address
    }

    /// What keeps the page up to date.
    pub fn reporter(&self) -> Box<dyn Reporter> {
        Box::new(Follow(Arc::clone(&self.shared)))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// 128 random bits.
fn random() -> std::io::Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(hex::encode(bytes))
}

struct Follow(Arc<Shared>);

impl Reporter for Follow {
    fn event(&self, event: &Event) {
        let mut now = self.0.now();
        match event {
            Event::Session {
                name,
                number,
                of,
                link,
                expires_in,
                ..
            } => {
                *now = Now::Scan {
                    name: name.clone(),
                    place: (*number, *of),
                    code: Code::new(link).ok(),
                    link: link.clone(),
                    until: Instant::now() + Duration::from_secs_f64(expires_in.clamp(0.0, 1e6)),
                    in_progress: false,
                }
            }
            Event::Liveness {
                state: LivenessState::InProgress,
                ..
            } => {
                if let Now::Scan { in_progress, .. } = &mut *now {
                    *in_progress = true;
                }
            }
            Event::Liveness { name, state, .. } => {
                *now = match state {
                    LivenessState::Passed => Now::Passed(name.clone()),
                    _ => Now::NotPassed(name.clone()),
                }
            }
            Event::Failed { .. } | Event::Paused { .. } => *now = Now::Wait,
            Event::Stopping { .. } | Event::Summary(_) => *now = Now::Done,
            _ => {}
        }
    }
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/open/{token}", get(open))
        .route("/style.css", get(style))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page") })
        .layer(middleware::from_fn(guard))
        .with_state(shared)
}

/// Only what a browser asks of this machine under this machine's own name is answered: a page elsewhere whose
/// name was made to point here is not. Any port will do, since a cable or tunnel may change it.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
    let url = host.and_then(|host| Url::parse(&format!("http://{host}/")).ok());
    let here = url.is_some_and(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")));
    let mut reply = if !here {
        (StatusCode::MISDIRECTED_REQUEST, "this page is at 127.0.0.1 only").into_response()
    } else if request.method() != Method::GET {
        StatusCode::METHOD_NOT_ALLOWED.into_response()
    } else {
        next.run(request).await
    };
    let headers = reply.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// Lets one browser in, once.
async fn open(State(shared): State<Arc<Shared>>, Path(token): Path<String>) -> Response {
    let mut expected = shared.token.lock().unwrap_or_else(PoisonError::into_inner);
    if expected.as_ref() != Some(&token) {
        let told = "This address opens the page once, and was used before. If that was not you, end castline and \
                    start it again.";
        return (
            StatusCode::FORBIDDEN,
            Html(frame(false, message("Closed", told)).into_string()),
        )
            .into_response();
    }
    *expected = None;
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", shared.cookie);
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, "/".to_owned())];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn is_let_in(shared: &Shared, headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .any(|(name, value)| name == COOKIE && value == shared.cookie)
}

async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !is_let_in(&shared, &headers) {
        let told = "Open the address that castline shows in the terminal.";
        return (
            StatusCode::FORBIDDEN,
            Html(frame(false, message("Closed", told)).into_string()),
        )
            .into_response();
    }
    let body = match &*shared.now() {
        Now::Wait => message("One moment", "The next code is on its way."),
        Now::Passed(name) => message(&format!("Thank you, {name}"), "You can put the phone away."),
        Now::NotPassed(name) => message(name, "That did not work. A new code may come."),
        Now::Done => message("Done", "Thank you all."),
        Now::Scan {
            name,
            place: (number, of),
            code,
            link,
            until,
            in_progress,
        } => {
            let left = until
                .saturating_duration_since(Instant::now())
                .as_secs_f64()
                .ceil();
            html! {
                p { (number) " of " (of) }
                h1 { (name) }
                @match code {
                    Some(code) => (drawn(code)),
                    None => p.link { (link) },
                }
                p {
                    @if *in_progress { "Follow your phone" } @else { "Scan this with your phone" }
                    " · " (left) " s"
                }
            }
        }
    };
    Html(frame(true, body).into_string()).into_response()
}

fn drawn(code: &Code) -> Markup {
    let side = code.side();
    html! {
        svg viewBox={ "0 0 " (side) " " (side) } role="img" aria-label="QR code" shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(PreEscaped(code.svg_path())) fill="#000" {}
        }
    }
}

fn message(heading: &str, text: &str) -> Markup {
    html! { h1 { (heading) } p { (text) } }
}

fn frame(refresh: bool, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if refresh { meta http-equiv="refresh" content=(REFRESH); }
                title { "castline" }
                link rel="stylesheet" href="/style.css";
            }
            body { (body) }
        }
    }
}

async fn style() -> Response {
    const STYLE: &str = "html{height:100%;background:#fff;color:#111;font:clamp(1rem,2.5vmin,2rem)/1.3 system-ui,sans-serif}\n\
        body{min-height:100%;margin:0;display:flex;flex-direction:column;align-items:center;justify-content:center;text-align:center}\n\
        h1{font-size:clamp(1.6rem,6vmin,5rem);margin:.2em;overflow-wrap:anywhere}p{margin:.2em}\n\
        svg{width:min(92vw,70vh);height:min(92vw,70vh)}.link{overflow-wrap:anywhere;padding:1em}\n";
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Browser {
        http: reqwest::Client,
        base: Url,
    }

    impl Browser {
        async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
            let mut request = self.http.get(self.base.join(path).unwrap());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let reply = request.send().await.unwrap();
            let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
            (status, headers, reply.text().await.unwrap())
        }
    }

    async fn page() -> (Page, Browser) {
        let page = Page::serve(0).await.unwrap();
        let http = crate::tls::http(None).unwrap();
        let http = http.redirect(reqwest::redirect::Policy::none()).no_proxy();
        let base = page.address().join("/").unwrap();
        let browser = Browser {
            http: http.build().unwrap(),
            base,
        };
        (page, browser)
    }

    fn scan(name: &str) -> Event {
        Event::Session {
            name: name.to_owned(),
            number: 2,
            of: 3,
            group_id: "grp_1".to_owned(),
            link: "https://h5.example/verify/grp_1".to_owned(),
            expires_in: 120.0,
            left_this_hour: 8,
        }
    }

    #[tokio::test]
    async fn the_address_opens_the_page_once_and_the_browser_stays_in() {
        let (page, browser) = page().await;
        assert!(page.address().host_str() == Some("127.0.0.1"));
        page.reporter().event(&scan("Mia <b>Castellane</b>"));
        assert_eq!(browser.get("/", &[]).await.0, 403);
        assert_eq!(browser.get("/open/0123", &[]).await.0, 403);
        let path = page.address().path();
        let (status, headers, _) = browser.get(path, &[]).await;
        assert_eq!(status, 303);
        let cookie = headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly"), "{cookie}");
        let cookie = [("cookie", cookie.split(';').next().unwrap())];
        let (status, headers, body) = browser.get("/", &cookie).await;
        assert_eq!(status, 200);
        assert!(body.contains("<svg") && body.contains("2 of 3"), "{body}");
        assert!(
            body.contains("Mia &lt;b&gt;Castellane"),
            "names stay text: {body}"
        );
        assert!(
            !body.contains("<script") && !body.contains("h5.example"),
            "{body}"
        );
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(browser.get(path, &[]).await.0, 403, "the token is used up");
    }

    #[tokio::test]
    async fn a_name_that_was_made_to_point_here_gets_nothing() {
        let (page, browser) = page().await;
        for host in ["evil.example", "127.0.0.1.evil.example", "evil.example:80@x", ""] {
            let (status, ..) = browser.get(page.address().path(), &[("host", host)]).await;
            assert!(matches!(status, 400 | 421), "{host:?}: {status}");
        }
        // Neither did that use up the token; and a tunnel may end at another port.
        let (status, ..) = browser
            .get(page.address().path(), &[("host", "localhost:9999")])
            .await;
        assert_eq!(status, 303);
    }

    #[tokio::test]
    async fn the_page_follows_the_walk() {
        let (page, browser) = page().await;
        let cookie = format!("{COOKIE}={}", page.shared.cookie);
        let shows = async |text: &str| {
            let (_, _, body) = browser.get("/", &[("cookie", cookie.as_str())]).await;
            assert!(body.contains(text), "{text}: {body}");
        };
        let follow = page.reporter();
        shows("One moment").await;
        follow.event(&scan("Mia"));
        shows("Scan this").await;
        let liveness = |state| Event::Liveness {
            name: "Mia".to_owned(),
            group_id: "grp_1".to_owned(),
            state,
        };
        follow.event(&liveness(LivenessState::InProgress));
        shows("Follow your phone").await;
        follow.event(&liveness(LivenessState::Passed));
        shows("Thank you, Mia").await;
    }
}
