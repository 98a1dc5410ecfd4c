//! The page on which a person decides on images that need review: served on loopback, to one browser.
//!
//! The caller provides the images and stores the decisions through a [`ReviewBackend`].

mod browser;
pub mod cast;
mod page;

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

pub use browser::open_browser;

use crate::net::loopback_auth::{HostPorts, LoopbackAuth, guard};

/// The text shown to a browser without access.
const CLOSED: &str =
    "the address of a review works once, in one browser; start `castline review` again for a new one";

/// An image that needs review. Texts must be printable (`cast::printable`).
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    /// The character.
    pub name: String,
    /// The image, as the cast gives it; never a signed address.
    pub source: String,
    /// Width and height of the image in pixels, the coordinates of `faces`.
    pub size: [u32; 2],
    /// The faces, by descending score: x, y, width and height.
    pub faces: Vec<[f32; 4]>,
    /// Why it needs review, in sentences.
    pub reasons: Vec<String>,
    /// What was seen of a face, in words.
    pub seen: String,
    /// Whether it was judged unsuitable: approving it overrides the verdict.
    pub unsuitable: bool,
    /// Who decided before, what and when, in words.
    pub earlier: Option<String>,
    /// The image to compare with, if this one is its duplicate.
    pub beside: Option<ComparedImage>,
}

/// An image shown beside one that needs review. Texts must be printable (`cast::printable`).
#[derive(Debug, Clone, Serialize)]
pub struct ComparedImage {
    /// Its character.
    pub name: String,
    /// The image, as the cast gives it.
    pub source: String,
}

/// A decision on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Enroll it.
    Approved,
    /// Leave it out.
    Rejected,
}

/// Provides the images and stores the decisions. Items are identified by their position in the list.
#[async_trait]
pub trait ReviewBackend: Send + Sync {
    /// The image of an item, as a JPEG; the error is a message for the user.
    async fn picture(&self, item: usize) -> Result<Vec<u8>, String>;
    /// The image to compare an item with, as a JPEG, for an item that has one.
    async fn beside(&self, item: usize) -> Result<Vec<u8>, String>;
    /// Stores a decision, or clears it with `None`; returns once that is durable. The error is a message for the user.
    async fn decide(&self, item: usize, decision: Option<Decision>) -> Result<(), String>;
}

/// The numbers of images approved, rejected, and left undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ReviewCounts {
    /// Approved images.
    pub approved: usize,
    /// Rejected images.
    pub rejected: usize,
    /// Undecided images.
    pub open: usize,
}

impl ReviewCounts {
    fn of(decisions: &[Option<Decision>]) -> Self {
        let count = |what| decisions.iter().filter(|d| **d == what).count();
        Self {
            approved: count(Some(Decision::Approved)),
            rejected: count(Some(Decision::Rejected)),
            open: count(None),
        }
    }
}

/// The review page, listening but not served yet.
pub struct Review {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    auth: Arc<LoopbackAuth>,
    title: String,
    items: Vec<Item>,
    // Locked while a decision is written: decisions are stored in the order in which they were made.
    decisions: Mutex<Vec<Option<Decision>>>,
    backend: Arc<dyn ReviewBackend>,
    done: watch::Sender<bool>,
}

impl Review {
    /// Listens on 127.0.0.1, at `port` or, if 0, at any free port. `title` is the name of the cast; `items` come with the
    /// decisions of earlier.
    ///
    /// # Errors
    /// The port is in use, or the system has no randomness.
    pub async fn open(
        port: u16,
        title: String,
        items: Vec<(Item, Option<Decision>)>,
        backend: Arc<dyn ReviewBackend>,
    ) -> std::io::Result<Self> {
        let (items, decisions): (Vec<Item>, Vec<Option<Decision>>) = items.into_iter().unzip();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let auth = LoopbackAuth::new(
            listener.local_addr()?,
            "review",
            HostPorts::Own,
            &page::policy(),
            CLOSED,
        )?;
        let shared = Shared {
            auth: Arc::new(auth),
            title,
            decisions: Mutex::new(decisions),
            items,
            backend,
            done: watch::Sender::new(false),
        };
        Ok(Self {
            listener,
            shared: Arc::new(shared),
        })
    }

    /// The address of the page, with a token that works once.
    pub fn url(&self) -> String {
        self.shared.auth.url()
    }

    /// Serves the page until Done is chosen on it, or `until` completes.
    ///
    /// # Errors
    /// The server failed.
    pub async fn serve(
        self,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<ReviewCounts> {
        let shared = Arc::clone(&self.shared);
        let mut late = shared.done.subscribe();
        let ending = Arc::clone(&shared);
        let serving = axum::serve(self.listener, router(self.shared)).with_graceful_shutdown(async move {
            let mut done = ending.done.subscribe();
            tokio::select! {
                () = until => { ending.done.send_replace(true); }
                _ = done.wait_for(|done| *done) => {}
            }
        });
        tokio::select! {
            served = serving.into_future() => served?,
            // A browser may keep a connection open indefinitely.
            () = async {
                let _ = late.wait_for(|done| *done).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            } => {}
        }
        let tally = ReviewCounts::of(&shared.decisions.lock().await);
        Ok(tally)
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/picture/{item}", get(picture))
        .route("/beside/{item}", get(beside))
        .route("/decide", post(decide))
        .route("/done", post(done))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared.auth), guard))
        .with_state(shared)
}

async fn index(State(shared): State<Arc<Shared>>) -> Html<String> {
    let decisions = shared.decisions.lock().await;
    Html(page::render(&shared.title, &shared.items, &decisions))
}

async fn picture(State(shared): State<Arc<Shared>>, Path(item): Path<usize>) -> Response {
    if item >= shared.items.len() {
        return StatusCode::NOT_FOUND.into_response();
    }
    shown(shared.backend.picture(item).await)
}

async fn beside(State(shared): State<Arc<Shared>>, Path(item): Path<usize>) -> Response {
    if shared.items.get(item).is_none_or(|item| item.beside.is_none()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    shown(shared.backend.beside(item).await)
}

fn shown(picture: Result<Vec<u8>, String>) -> Response {
    match picture {
        Ok(jpeg) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        Err(problem) => (StatusCode::GONE, problem).into_response(),
    }
}

#[derive(Deserialize)]
struct Said {
    item: usize,
    decision: Option<Decision>,
}

async fn decide(State(shared): State<Arc<Shared>>, Json(said): Json<Said>) -> Response {
    let mut decisions = shared.decisions.lock().await;
    let Some(kept) = decisions.get_mut(said.item) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Err(problem) = shared.backend.decide(said.item, said.decision).await {
        return (StatusCode::INTERNAL_SERVER_ERROR, problem).into_response();
    }
    *kept = said.decision;
    Json(ReviewCounts::of(&decisions)).into_response()
}

async fn done(State(shared): State<Arc<Shared>>) -> Json<ReviewCounts> {
    shared.done.send_replace(true);
    Json(ReviewCounts::of(&shared.decisions.lock().await))
}
