//! The first station: reads a character's image, asks the ledger, and looks at it if it must.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};

use super::OnceMap;
use super::inspected::{Evidence, Inspected, PaidNotInspected};
use crate::cast::{Character, Source};
use crate::inspect::{Inspection, Inspector, Prepared, Thumbnail, Verdict};
use crate::ledger::{Approval, LedgerError, Reader, Record, State};
use crate::plan::{Image, Policy, Row, Standing, standing};
use crate::publish::Fetcher;

/// Larger source files are refused unread.
const MAX_SOURCE_BYTES: u64 = 256 << 20;

/// What looking needs.
pub struct InspectStage {
    /// Judges and prepares images.
    pub inspector: Arc<Inspector>,
    /// What is known from earlier runs; `None` when there is no ledger yet.
    pub ledger: Option<Arc<dyn Reader>>,
    /// Fetches images that a row names by `https://`.
    pub fetcher: Fetcher,
    /// Names that were approved on the command line or in a file, as keys.
    pub approved: std::collections::HashSet<crate::cast::NameKey>,
    /// Whom the cast names, all of them, also where a command is about a part of it.
    pub cast: std::collections::HashSet<crate::cast::NameKey>,
    /// What the run is asked to do beyond the ordinary.
    pub policy: Policy,
    /// Whether images that will be enrolled are prepared too.
    pub prepare: bool,
    /// Whether small copies for a report are made too.
    pub thumbnails: bool,
    /// The threads that decode, judge and encode.
    pub pool: rayon::ThreadPool,
    /// How many images are under way at once.
    pub jobs: usize,
    /// What was seen so far.
    pub cache: InspectionCache,
}

/// What was seen of images so far: one that stands under many names is looked at once.
#[derive(Debug, Default)]
pub struct InspectionCache {
    inspections: OnceMap<Inspection>,
    thumbnails: OnceMap<Option<Thumbnail>>,
    /// SHA-256 of an image → the place of its first character in the cast, as far as known.
    first: Mutex<HashMap<String, usize>>,
}

impl InspectionCache {
    /// Whether a character at an earlier place has the same image.
    fn is_twin(&self, sha256: &str, place: usize) -> bool {
        let mut all = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let first = all.entry(sha256.to_owned()).or_insert(place);
        let twin = *first < place;
        *first = place.min(*first);
        twin
    }
}

impl InspectStage {
    /// Looks at all characters in parallel; they come out in the order of the cast, and no more than
    /// a few per core are held in memory.
    pub fn all(
        self: Arc<Self>,
        characters: Vec<Character>,
    ) -> impl Stream<Item = Result<Inspected, LedgerError>> {
        let ahead = self.jobs * 2;
        stream::iter(characters.into_iter().enumerate())
            .map(move |(place, character)| {
                let look = Arc::clone(&self);
                async move { look.one(character, place).await }
            })
            .buffered(ahead)
    }

    /// Looks at the images of those who were paid for, or perhaps were, but of whose image this ledger tells
    /// nothing: after `castline adopt`, or when another eye looked. A newcomer who has the same image is known by
    /// that only.
    /// Nobody is looked at when there is no newcomer.
    pub(super) async fn unseen(
        self: &Arc<Self>,
        characters: &[Character],
    ) -> Result<Vec<PaidNotInspected>, LedgerError> {
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
            "looking at {} kept images that this ledger has not seen",
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

    /// What is seen in the image that somebody was paid for with; `None` when it is another one now, or can't
    /// be read. `paid` is its SHA-256, if known; else it is taken for the same.
    async fn kept(self: Arc<Self>, character: Character, paid: Option<String>) -> Option<PaidNotInspected> {
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
                same.then(|| PaidNotInspected {
                    name: character.name.as_str().to_owned(),
                    inspection: look.inspector.inspect(&bytes),
                    sha256,
                })
            })
        });
        seen.await.ok().flatten()
    }

    /// Looks at one character, at that place of the cast.
    async fn one(self: Arc<Self>, character: Character, place: usize) -> Result<Inspected, LedgerError> {
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => Some(self.fetcher.fetch(url).await.map_err(|e| e.to_string())),
        };
        let (look, whose) = (Arc::clone(&self), character.clone());
        let looked = self.on_pool(move || look.now(character, fetched, place)).await;
        looked.unwrap_or_else(|problem| Ok(Inspected::unreadable(whose, problem)))
    }

    /// Does `work` on the threads that look at images. An image over which castline breaks must not take along
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
    ) -> Result<Inspected, LedgerError> {
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
                    looked.thumbnail = self.cache.thumbnails.get(&looked.sha256, make);
                }
                Ok(looked)
            }
            Err(problem) => Ok(Inspected::unreadable(character, problem)),
        }
    }

    fn judge(&self, character: Character, bytes: &[u8], place: usize) -> Result<Inspected, LedgerError> {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let twin = self.cache.is_twin(&sha256, place);
        let record = match &self.ledger {
            Some(ledger) => ledger.get(&character.name.key())?,
            None => None,
        };
        let row = Row::of(&character);
        let stands = |verdict: Option<Verdict>, approval: Approval| {
            let sha256 = &sha256;
            standing(
                record.as_ref(),
                row,
                approval,
                Image::Read { sha256, verdict },
                self.policy,
            )
        };
        let known = record.as_ref().is_some_and(|r| r.is_as_seen(&character, &sha256));
        let is_reenrollment = record.as_ref().is_some_and(|r| r.asset_id.is_some());
        let cached = |sha256: &str| match &self.ledger {
            Some(ledger) => ledger.cached_inspection(sha256, self.inspector.fingerprint()),
            None => Ok(None),
        };
        if let Some(standing) = stands(None, Approval::None) {
            // An image that is kept is among those that were paid for, which are all known.
            let seen = match standing {
                Standing::Enrolled => None,
                _ => cached(&sha256)?,
            };
            return Ok(Inspected {
                signature: seen.and_then(|seen| seen.signature),
                known,
                ..Inspected::kept(character, sha256, standing)
            });
        }
        let approval = self.approval(&character, &sha256)?;
        let judged = |inspection: &Inspection| {
            stands(Some(inspection.verdict), approval).expect("its verdict is known")
        };
        let (evidence, standing) = match cached(&sha256)? {
            Some(inspection) => {
                let standing = judged(&inspection);
                let published = record
                    .as_ref()
                    .filter(|r| known && r.state == State::Published)
                    .and_then(|r| r.object_key.clone());
                // A run that must upload inspects again, for the bytes.
                match standing.is_paid_next() && self.prepare && published.is_none() {
                    true => self.inspect(bytes, &sha256, twin, approval, &judged),
                    false => (
                        Evidence::Cached {
                            inspection,
                            published,
                        },
                        standing,
                    ),
                }
            }
            None => self.inspect(bytes, &sha256, twin, approval, &judged),
        };
        Ok(Inspected {
            signature: evidence.inspection().and_then(|inspection| inspection.signature),
            evidence,
            known,
            is_reenrollment,
            approved: approval == Approval::Approved,
            ..Inspected::kept(character, sha256, standing)
        })
    }

    /// Inspects an image now, and prepares it where it will be enrolled.
    fn inspect(
        &self,
        bytes: &[u8],
        sha256: &str,
        twin: bool,
        approval: Approval,
        judged: &dyn Fn(&Inspection) -> Standing,
    ) -> (Evidence, Standing) {
        let mut prepared = None;
        let inspection = self.cache.inspections.get(sha256, || {
            if !self.prepare {
                return self.inspector.inspect(bytes);
            }
            let (inspection, made) = self.inspector.inspect_and_prepare(bytes);
            prepared = made;
            inspection
        });
        let standing = judged(&inspection);
        // A twin goes to review, unless somebody approved it: it is not prepared for nothing.
        let wanted = self.prepare && standing.is_paid_next() && (approval == Approval::Approved || !twin);
        match wanted {
            true if prepared.is_none() => prepared = self.inspector.prepare(bytes, &inspection),
            true => {}
            false => prepared = None,
        }
        (Evidence::Fresh { inspection, prepared }, standing)
    }

    /// Prepares an image again, whose earlier upload is gone. It must be the one that was looked at, with that
    /// SHA-256: another one would go out unseen.
    ///
    /// # Errors
    /// A code, and why for people.
    pub async fn prepare_for_reupload(
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
                let message = "the image has changed since it was looked at; nothing was uploaded. Run again to look at it";
                return Err(("changed", message.to_owned()));
            }
            let prepared = look.inspector.inspect_and_prepare(&bytes).1;
            prepared.ok_or_else(|| unreadable("the image can't be read any more".to_owned()))
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
    let message = |e: std::io::Error| format!("{}: {e}", path.display());
    let length = std::fs::metadata(path).map_err(message)?.len();
    if length > MAX_SOURCE_BYTES {
        return Err(format!(
            "the file has {length} bytes; at most {MAX_SOURCE_BYTES} are read"
        ));
    }
    std::fs::read(path).map_err(message)
}

#[cfg(test)]
#[path = "inspect_stage_tests.rs"]
mod tests;
