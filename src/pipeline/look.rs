//! The first station: reads a character's picture, asks the ledger, and looks at it if it must.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};

use super::OncePerPicture;
use crate::cast::{Character, Source};
use crate::inspect::{Inspection, Inspector, Likeness, Prepared, ReasonCode, Thumbnail};
use crate::ledger::{LedgerError, Reader, Record, State};
use crate::plan::{self, Action, Approval, Policy};
use crate::publish::Fetcher;

/// Larger source files are refused unread.
const MAX_SOURCE_BYTES: u64 = 256 << 20;

/// A character whose picture was looked at, and what is to be done with it.
#[derive(Debug)]
pub struct Looked {
    /// The character.
    pub character: Character,
    /// SHA-256 of its picture, in hex; empty when it could not be read.
    pub sha256: String,
    /// What is to be done.
    pub action: Action,
    /// What was seen; `None` when the ledger made looking needless.
    pub inspection: Option<Inspection>,
    /// Whether the inspection came out of the ledger's cache.
    pub cached: bool,
    /// What tells it from other pictures; of one that was not looked at now, as the ledger has it.
    pub likeness: Option<Likeness>,
    /// Whether the ledger has seen it exactly so before.
    pub known: bool,
    /// Whether it has an asset id already: enrolling it pays for a second one.
    pub again: bool,
    /// Whether a person approved the picture, unsure as it may be.
    pub approved: bool,
    /// The picture as it is published; only when asked for, and only of what will be enrolled.
    pub prepared: Option<Prepared>,
    /// The object that an earlier run published, in place of `prepared`.
    pub published: Option<String>,
    /// A small copy for a report; only when asked for.
    pub thumbnail: Option<Thumbnail>,
}

impl Looked {
    /// One whose picture was published before, as the object `key`.
    pub fn published_before(character: Character, sha256: String, key: Option<String>) -> Self {
        Self {
            published: key,
            ..Self::new(character, sha256, Action::Enroll, true)
        }
    }

    /// One whose picture can't be looked at.
    fn unreadable(character: Character, problem: String) -> Self {
        Self {
            inspection: Some(Inspection::unreadable(ReasonCode::Unreadable, problem)),
            cached: false,
            ..Self::new(character, String::new(), Action::Unsuitable, false)
        }
    }

    /// One that was not looked at: the ledger knows enough.
    fn new(character: Character, sha256: String, action: Action, known: bool) -> Self {
        let (inspection, prepared, published) = (None, None, None);
        Self {
            character,
            sha256,
            action,
            inspection,
            cached: true,
            likeness: None,
            known,
            again: false,
            approved: false,
            prepared,
            published,
            thumbnail: None,
        }
    }
}

/// Somebody who was paid for, or perhaps was, and whose picture was looked at only now.
#[derive(Debug)]
pub(super) struct Unseen {
    pub(super) name: String,
    /// SHA-256 of the picture, in hex.
    pub(super) sha256: String,
    pub(super) inspection: Inspection,
}

/// What looking needs.
pub struct Look {
    /// Judges and prepares pictures.
    pub inspector: Arc<Inspector>,
    /// What is known from earlier runs; `None` when there is no ledger yet.
    pub ledger: Option<Arc<dyn Reader>>,
    /// Fetches pictures that a row names by `https://`.
    pub fetcher: Fetcher,
    /// Names that were approved on the command line or in a file, as keys.
    pub approved: std::collections::HashSet<crate::cast::NameKey>,
    /// Whom the cast names, all of them, also where a command is about a part of it.
    pub cast: std::collections::HashSet<crate::cast::NameKey>,
    /// What the run is asked to do beyond the ordinary.
    pub policy: Policy,
    /// Whether pictures that will be enrolled are prepared too.
    pub prepare: bool,
    /// Whether small copies for a report are made too.
    pub thumbnails: bool,
    /// The threads that decode, judge and encode.
    pub pool: rayon::ThreadPool,
    /// How many pictures are under way at once.
    pub jobs: usize,
    /// What was seen so far.
    pub seen: Seen,
}

/// What was seen of pictures so far: one that stands under many names is looked at once.
#[derive(Debug, Default)]
pub struct Seen {
    inspections: OncePerPicture<Inspection>,
    thumbnails: OncePerPicture<Option<Thumbnail>>,
    /// SHA-256 of a picture → the place of its first character in the cast, as far as known.
    first: Mutex<HashMap<String, usize>>,
}

impl Seen {
    /// Whether a character at an earlier place has the same picture.
    fn is_twin(&self, sha256: &str, place: usize) -> bool {
        let mut all = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let first = all.entry(sha256.to_owned()).or_insert(place);
        let twin = *first < place;
        *first = place.min(*first);
        twin
    }
}

impl Look {
    /// Looks at all characters in parallel; they come out in the order of the cast, and no more than
    /// a few per core are held in memory.
    pub fn all(
        self: Arc<Self>,
        characters: Vec<Character>,
    ) -> impl Stream<Item = Result<Looked, LedgerError>> {
        let ahead = self.jobs * 2;
        stream::iter(characters.into_iter().enumerate())
            .map(move |(place, character)| {
                let look = Arc::clone(&self);
                async move { look.one(character, place).await }
            })
            .buffered(ahead)
    }

    /// Looks at the pictures of those who were paid for, or perhaps were, but of whose picture this ledger tells
    /// nothing: after `castline adopt`, or when another eye looked. A newcomer who has the same picture is known by
    /// that only.
    /// Nobody is looked at when there is no newcomer.
    pub(super) async fn unseen(
        self: &Arc<Self>,
        characters: &[Character],
    ) -> Result<Vec<Unseen>, LedgerError> {
        let Some(ledger) = &self.ledger else {
            return Ok(Vec::new());
        };
        let mut newcomers = self.policy.re_enroll_changed;
        let mut unseen = Vec::new();
        for character in characters {
            let record = ledger.get(&character.name.key())?;
            let Some(paid) = record.as_ref().and_then(Record::paid_sha256) else {
                newcomers = true;
                continue;
            };
            let seen = match paid {
                Some(sha256) => ledger.cached_inspection(sha256, self.inspector.fingerprint())?,
                None => None,
            };
            if seen.is_none() {
                unseen.push((character.clone(), paid.map(str::to_owned)));
            }
        }
        if !newcomers || unseen.is_empty() {
            return Ok(Vec::new());
        }
        tracing::info!(
            "looking at {} kept pictures that this ledger has not seen",
            unseen.len()
        );
        let looked = stream::iter(unseen)
            .map(|(character, paid)| {
                let look = Arc::clone(self);
                async move { look.kept(character, paid).await }
            })
            .buffered(self.jobs * 2);
        Ok(looked.filter_map(std::future::ready).collect().await)
    }

    /// What is seen in the picture that somebody was paid for with; `None` when it is another one now, or can't
    /// be read. `paid` is its SHA-256, if known; else it is taken for the same.
    async fn kept(self: Arc<Self>, character: Character, paid: Option<String>) -> Option<Unseen> {
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => Some(self.fetcher.fetch(url).await.ok()?),
        };
        let look = Arc::clone(&self);
        let seen = self.on_pool(move || {
            let bytes = match &character.source {
                Source::File { path, .. } => read(path).ok(),
                Source::Url { .. } => fetched,
            };
            bytes.and_then(|bytes| {
                let sha256 = hex::encode(Sha256::digest(&bytes));
                let same = paid.is_none_or(|paid| paid == sha256);
                same.then(|| Unseen {
                    name: character.name.as_str().to_owned(),
                    inspection: look.inspector.inspect(&bytes),
                    sha256,
                })
            })
        });
        seen.await.ok().flatten()
    }

    /// Looks at one character, at that place of the cast.
    async fn one(self: Arc<Self>, character: Character, place: usize) -> Result<Looked, LedgerError> {
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => Some(self.fetcher.fetch(url).await.map_err(|e| e.to_string())),
        };
        let (look, whose) = (Arc::clone(&self), character.clone());
        let looked = self.on_pool(move || look.now(character, fetched, place)).await;
        looked.unwrap_or_else(|problem| Ok(Looked::unreadable(whose, problem)))
    }

    /// Does `work` on the threads that look at pictures. A picture over which castline breaks must not take along
    /// the paid calls that are under way, nor meet every later run.
    ///
    /// # Errors
    /// It panicked.
    async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let (reply, done) = tokio::sync::oneshot::channel();
        self.pool.spawn(move || {
            // What a panic leaves half done is dropped with it. The receiver goes away when the run is aborted.
            let _ = reply.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            _ => Err("castline broke over this picture; this is a bug. Save the picture anew, in another format, or \
                      leave it out"
                .to_owned()),
        }
    }

    /// Reads, hashes, judges and prepares; runs on the pool.
    fn now(
        &self,
        character: Character,
        fetched: Option<Result<Vec<u8>, String>>,
        place: usize,
    ) -> Result<Looked, LedgerError> {
        let bytes = match (fetched, &character.source) {
            (Some(fetched), _) => fetched,
            (None, Source::File { path, .. }) => read(path),
            (None, Source::Url { .. }) => unreachable!("a URL is fetched before"),
        };
        match bytes {
            Ok(bytes) => {
                let mut looked = self.judge(character, &bytes, place)?;
                if self.thumbnails {
                    let make = || self.inspector.thumbnail(&bytes);
                    looked.thumbnail = self.seen.thumbnails.get(&looked.sha256, make);
                }
                Ok(looked)
            }
            Err(problem) => Ok(Looked::unreadable(character, problem)),
        }
    }

    fn judge(&self, character: Character, bytes: &[u8], place: usize) -> Result<Looked, LedgerError> {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let twin = self.seen.is_twin(&sha256, place);
        let record = match &self.ledger {
            Some(ledger) => ledger.get(&character.name.key())?,
            None => None,
        };
        let known = record.as_ref().is_some_and(|r| r.is_as_seen(&character, &sha256));
        if let Some(action) = plan::before_looking(record.as_ref(), &sha256, character.kind, self.policy) {
            // A picture that is kept is among those that were paid for, which are all known.
            let seen = match &self.ledger {
                Some(ledger) if action != Action::Keep => {
                    ledger.cached_inspection(&sha256, self.inspector.fingerprint())?
                }
                _ => None,
            };
            let likeness = seen.and_then(|seen| seen.likeness);
            let looked = Looked::new(character, sha256, action, known);
            return Ok(Looked { likeness, ..looked });
        }
        let again = record.as_ref().is_some_and(|r| r.asset_id.is_some());
        let approval = self.approval(&character, &sha256)?;
        let approved = approval == Approval::Approved;
        let act = |inspection: &Inspection| {
            plan::after_looking(inspection.verdict, approval, character.kind, self.policy)
        };
        let cached = match &self.ledger {
            Some(ledger) => ledger.cached_inspection(&sha256, self.inspector.fingerprint())?,
            None => None,
        };
        if let Some(inspection) = cached {
            let action = act(&inspection);
            let published = record
                .filter(|r| known && r.state == State::Published)
                .and_then(|r| r.object_key);
            // A run that must upload looks again, for the bytes.
            if action != Action::Enroll || !self.prepare || published.is_some() {
                let looked = Looked::new(character, sha256, action, known);
                return Ok(Looked {
                    likeness: inspection.likeness,
                    inspection: Some(inspection),
                    approved,
                    published,
                    again,
                    ..looked
                });
            }
        }
        // A twin goes to review, unless somebody approved it: it is not prepared for nothing.
        let prepare = self.prepare && (approved || !twin);
        let mut prepared = None;
        let inspection = self.seen.inspections.get(&sha256, || {
            if !self.prepare {
                return self.inspector.inspect(bytes);
            }
            let (inspection, made) = self.inspector.inspect_and_prepare(bytes);
            prepared = made;
            inspection
        });
        let action = act(&inspection);
        match action == Action::Enroll && prepare {
            true if prepared.is_none() => prepared = self.inspector.prepare(bytes, &inspection),
            true => {}
            false => prepared = None,
        }
        let looked = Looked::new(character, sha256, action, known);
        Ok(Looked {
            likeness: inspection.likeness,
            inspection: Some(inspection),
            cached: false,
            approved,
            prepared,
            again,
            ..looked
        })
    }

    /// Prepares a picture again, whose earlier upload is gone. It must be the one that was looked at, with that
    /// SHA-256: another one would go out unseen.
    ///
    /// # Errors
    /// A code, and why for people.
    pub async fn prepare_again(
        self: &Arc<Self>,
        character: &Character,
        sha256: &str,
    ) -> Result<Prepared, (&'static str, String)> {
        let unreadable = |problem: String| ("unreadable", problem);
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => {
                let fetched = self.fetcher.fetch(url).await;
                Some(fetched.map_err(|error| unreadable(error.to_string()))?)
            }
        };
        let (look, source, sha256) = (Arc::clone(self), character.source.clone(), sha256.to_owned());
        let prepared = self.on_pool(move || {
            let bytes = match (fetched, &source) {
                (Some(fetched), _) => fetched,
                (None, Source::File { path, .. }) => read(path).map_err(unreadable)?,
                (None, Source::Url { .. }) => unreachable!("a URL is fetched before"),
            };
            if hex::encode(Sha256::digest(&bytes)) != sha256 {
                let told = "the picture has changed since it was looked at; nothing was uploaded. Run again to look at it";
                return Err(("changed", told.to_owned()));
            }
            let prepared = look.inspector.inspect_and_prepare(&bytes).1;
            prepared.ok_or_else(|| unreadable("the picture can't be read any more".to_owned()))
        });
        prepared.await.map_err(unreadable)?
    }

    fn approval(&self, character: &Character, sha256: &str) -> Result<Approval, LedgerError> {
        if character.approved || self.approved.contains(&character.name.key()) {
            return Ok(Approval::Approved);
        }
        match &self.ledger {
            Some(ledger) => ledger.approval(&character.name.key(), sha256),
            None => Ok(Approval::None),
        }
    }
}

/// A source file, unless it is too large.
///
/// # Errors
/// Why it can't be read, for people.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    let length = std::fs::metadata(path).map_err(told)?.len();
    if length > MAX_SOURCE_BYTES {
        return Err(format!(
            "the file has {length} bytes; at most {MAX_SOURCE_BYTES} are read"
        ));
    }
    std::fs::read(path).map_err(told)
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
