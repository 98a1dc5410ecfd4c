//! A page for a tablet on set that shows the QR code of the current actor, large.
//!
//! It listens on loopback only; a tablet reaches it through a cable or a tunnel (`adb reverse`, `ssh -R`). The
//! address contains a token that opens the page once; the browser that used it keeps a cookie. The page is read-only,
//! and shows nothing but the current code.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::Url;

use super::qr::Code;
use crate::event::{Event, LivenessState, Reporter};
use crate::net::loopback_auth::{HostPorts, LoopbackAuth, guard};

/// The Content-Security-Policy: no scripts, and styles from this server; the code is part of the page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The text shown to a browser without access.
const CLOSED: &str = "The address printed by castline opens this page once, in one browser. If it was already used and \
                      that was not you, stop castline and start it again.";
/// The refresh interval of the page, in seconds.
const REFRESH: u32 = 2;

/// The page, served until it is dropped.
pub struct Page {
    shared: Arc<Shared>,
    address: Url,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    now: Mutex<Now>,
}

/// The current content of the page.
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
    /// Serves the page on loopback, at `port` or, if 0, at any free port.
    ///
    /// # Errors
    /// The port is in use, or the system has no randomness.
    pub async fn serve(port: u16) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let auth = LoopbackAuth::new(listener.local_addr()?, "codes", HostPorts::Any, POLICY, CLOSED)?;
        let address = auth.url().parse().expect("a URL written here");
        let shared = Arc::new(Shared {
            now: Mutex::new(Now::Wait),
        });
        let router = router(Arc::clone(&shared), Arc::new(auth));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!("the page is no longer served: {error}");
            }
        });
        Ok(Self {
            shared,
            address,
            server,
        })
    }

    /// The address of the page, with a token that works once.
    pub fn address(&self) -> &Url {
        &self.address
    }

    /// The reporter that keeps the page up to date.
    pub fn reporter(&self) -> Box<dyn Reporter> {
        Box::new(Follow(Arc::clone(&self.shared)))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Follow(Arc<Shared>);

impl Reporter for Follow {
    fn event(&self, event: &Event) {
        let mut now = self.0.now();
        match event {
            Event::LivenessLink {
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

fn router(shared: Arc<Shared>, auth: Arc<LoopbackAuth>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/style.css", get(style))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page") })
        .layer(middleware::from_fn_with_state(auth, guard))
        .with_state(shared)
}

async fn show(State(shared): State<Arc<Shared>>) -> Html<String> {
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
    Html(frame(&body).into_string())
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

fn frame(body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
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
    use axum::http::HeaderMap;

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
        let http = crate::net::tls::http(None).unwrap();
        let http = http.redirect(reqwest::redirect::Policy::none()).no_proxy();
        let base = page.address().join("/").unwrap();
        let browser = Browser {
            http: http.build().unwrap(),
            base,
        };
        (page, browser)
    }

    fn scan(name: &str) -> Event {
        Event::LivenessLink {
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
        assert_eq!(browser.get("/?token=0123", &[]).await.0, 403);
        let path = page.address().as_str();
        let (status, headers, _) = browser.get(path, &[]).await;
        assert_eq!(status, 200);
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
            let (status, ..) = browser.get(page.address().as_str(), &[("host", host)]).await;
            assert!(matches!(status, 400 | 403), "{host:?}: {status}");
        }
        // That did not use up the token; and a tunnel may end at another port.
        let (status, ..) = browser
            .get(page.address().as_str(), &[("host", "localhost:9999")])
            .await;
        assert_eq!(status, 200);
    }

    #[tokio::test]
    async fn the_page_follows_the_checks() {
        let (page, browser) = page().await;
        let (_, headers, _) = browser.get(page.address().as_str(), &[]).await;
        let cookie = headers[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
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
