//! The first stage: reads a character's image, consults the ledger, and inspects the image if necessary.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};

use super::inspected::{Evidence, Inspected, PaidNotInspected};
use super::source::read;
use super::{InspectionCache, MemoryBudget};
use crate::cast::{Character, Characters, Name, NameKey, Source};
use crate::inspect::{Inspection, Inspector, Prepared, ThumbnailSize, Verdict, decoded_bytes};
use crate::ledger::{Approval, LedgerError, Reader, Record, State};
use crate::plan::{Image, Policy, Row, Standing, standing};
use crate::publish::Fetcher;
use crate::util::file_stamp::FileStamp;
use crate::util::sha256::sha256_hex;

/// The number of characters that are looked up in the ledger together.
const BATCH: usize = 32;

/// The first stage: inspects and prepares images.
pub struct InspectStage {
    /// Inspects and prepares images.
    pub inspector: Arc<Inspector>,
    /// The ledger of earlier runs; `None` when there is none yet.
    pub ledger: Option<Arc<dyn Reader>>,
    /// Fetches images given by an `https://` URL.
    pub fetcher: Fetcher,
    /// The keys of names approved on the command line or in a file.
    pub approved: HashSet<NameKey>,
    /// The keys of all names in the cast, even where a command processes a part of it.
    pub cast: HashSet<NameKey>,
    /// The arguments that select the same cast, for commands in messages.
    pub same_arguments: String,
    /// The options of the run that affect standings.
    pub policy: Policy,
    /// Whether to also prepare images that will be enrolled.
    pub prepare: bool,
    /// The size of thumbnails for a report; `None` for none.
    pub thumbnails: Option<ThumbnailSize>,
    /// The threads that decode, judge and encode.
    pub pool: rayon::ThreadPool,
    /// The number of images processed concurrently.
    pub jobs: usize,
    /// The memory that images in progress may take together.
    pub memory: MemoryBudget,
    /// The inspections so far.
    pub cache: InspectionCache,
}

impl InspectStage {
    /// Inspects all characters in parallel. The stream keeps the order of the cast, and holds no more than a few
    /// characters per core in memory.
    pub fn all<'a>(
        self: Arc<Self>,
        characters: impl IntoIterator<Item = Character, IntoIter: 'a>,
    ) -> impl Stream<Item = Result<Inspected, LedgerError>> + 'a {
        let ahead = self.jobs * 2;
        let looks_up = Arc::clone(&self);
        let mut characters = characters.into_iter().enumerate();
        let batches = std::iter::from_fn(move || {
            let batch: Vec<_> = characters.by_ref().take(BATCH).collect();
            (!batch.is_empty()).then_some(batch)
        });
        stream::iter(batches)
            .map(move |batch| Arc::clone(&looks_up).look_up(batch))
            .buffered(ahead)
            .flat_map(stream::iter)
            .map(move |(place, character, known)| {
                let stage = Arc::clone(&self);
                async move {
                    match known {
                        Some(inspected) => Ok(inspected),
                        None => stage.one(character, place).await,
                    }
                }
            })
            .buffered(ahead)
    }

    /// Finds the enrolled characters of a batch whose image files were not written since they were read: reading a large
    /// cast's images takes far longer than everything else about it, and so do a thread's turns for each character.
    async fn look_up(
        self: Arc<Self>,
        batch: Vec<(usize, Character)>,
    ) -> Vec<(usize, Character, Option<Inspected>)> {
        let open = |batch: Vec<(usize, Character)>| {
            let open = batch.into_iter();
            open.map(|(place, character)| (place, character, None)).collect()
        };
        // A report shows every image.
        if self.ledger.is_none() || self.thumbnails.is_some() {
            return open(batch);
        }
        let batch = Arc::new(batch);
        let (stage, asked) = (Arc::clone(&self), Arc::clone(&batch));
        let known = self.on_pool(move || -> Vec<Option<Inspected>> {
            let each = asked.iter();
            each.map(|(_, character)| stage.unchanged(character)).collect()
        });
        // Where castline panics, it is found out which character's image it was.
        let known = known.await;
        let batch = Arc::unwrap_or_clone(batch);
        match known {
            Err(_) => open(batch),
            Ok(known) => {
                let both = batch.into_iter().zip(known);
                both.map(|((place, character), known)| (place, character, known))
                    .collect()
            }
        }
    }

    /// Inspects the images of characters that were paid for, or perhaps were, but whose signature is not in the ledger:
    /// after `castline ledger import`. Only this detects a new character with the same image. Without new characters,
    /// nothing is inspected.
    pub(super) async fn paid_not_inspected(
        self: &Arc<Self>,
        characters: &Characters,
    ) -> Result<Vec<PaidNotInspected>, LedgerError> {
        let Some(ledger) = &self.ledger else {
            return Ok(Vec::new());
        };
        let unseen: HashSet<NameKey> = ledger.paid_unseen()?.iter().map(Name::key).collect();
        if unseen.is_empty() {
            return Ok(Vec::new());
        }
        let mut newcomers = self.policy.re_enroll_changed;
        let mut not_inspected = Vec::new();
        for character in characters.iter() {
            let key = character.name.key();
            let is_unseen = unseen.contains(&key);
            if newcomers && !is_unseen {
                continue;
            }
            let record = ledger.get(&key)?;
            match record.as_ref().and_then(Record::paid_sha256) {
                Some(paid) if is_unseen => not_inspected.push((character, paid.map(str::to_owned))),
                Some(_) => {}
                None => newcomers = true,
            }
        }
        if !newcomers || not_inspected.is_empty() {
            return Ok(Vec::new());
        }
        tracing::info!(
            "inspecting {} images of earlier characters that are not in this ledger",
            not_inspected.len()
        );
        let inspected = stream::iter(not_inspected)
            .map(|(character, paid)| {
                let stage = Arc::clone(self);
                async move { stage.kept(character, paid).await }
            })
            .buffered(self.jobs * 2);
        Ok(inspected.filter_map(std::future::ready).collect().await)
    }

    /// Inspects the image that a character was paid for with; `None` when the image has changed, or can't be read.
    /// `paid` is its SHA-256 in hex; if unknown, the image is assumed unchanged.
    async fn kept(self: Arc<Self>, character: Character, paid: Option<String>) -> Option<PaidNotInspected> {
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => Some(self.fetcher.fetch(url).await.ok()?),
        };
        let stage = Arc::clone(&self);
        let seen = self.on_pool(move || {
            let bytes = match &character.source {
                Source::File { path, .. } => read(path).ok(),
                Source::Url { .. } => fetched,
            };
            bytes.and_then(|bytes| {
                let sha256 = sha256_hex(&bytes);
                let same = paid.is_none_or(|paid| paid == sha256);
                same.then(|| {
                    let _memory = stage.memory.take(decoded_bytes(&bytes));
                    PaidNotInspected {
                        name: character.name.as_str().to_owned(),
                        inspection: stage.inspector.inspect(&bytes),
                        sha256,
                    }
                })
            })
        });
        seen.await.ok().flatten()
    }

    /// Inspects one character, at position `place` of the cast.
    async fn one(self: Arc<Self>, character: Character, place: usize) -> Result<Inspected, LedgerError> {
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => Some(self.fetcher.fetch(url).await.map_err(|e| e.to_string())),
        };
        let (stage, whose) = (Arc::clone(&self), character.clone());
        let inspected = self.on_pool(move || stage.now(character, fetched, place)).await;
        inspected.unwrap_or_else(|problem| Ok(Inspected::unreadable(whose, problem)))
    }

    /// Runs `work` on the inspection threads. An image that makes castline panic must neither abort the paid calls in
    /// progress nor end every later run.
    ///
    /// # Errors
    /// `work` panicked.
    async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let (reply, done) = tokio::sync::oneshot::channel();
        self.pool.spawn(move || {
            // A panic drops all partial state. The receiver is gone when the run is aborted.
            let _ = reply.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            _ => Err(
                "internal error on this image; please report it. Save the image in another format, or \
                      leave it out"
                    .to_owned(),
            ),
        }
    }

    /// Reads, hashes, inspects and prepares an image; runs on the pool.
    fn now(
        &self,
        character: Character,
        fetched: Option<Result<Vec<u8>, String>>,
        place: usize,
    ) -> Result<Inspected, LedgerError> {
        let record = match &self.ledger {
            Some(ledger) => ledger.get(&character.name.key())?,
            None => None,
        };
        let (bytes, stamp) = match (fetched, &character.source) {
            (Some(fetched), _) => (fetched, None),
            (None, Source::File { path, .. }) => {
                // Before it is read: what is written after that has another stamp.
                let stamp = FileStamp::of_file(path);
                (read(path), stamp)
            }
            (None, Source::Url { .. }) => unreachable!("a URL is already fetched"),
        };
        match bytes {
            Ok(bytes) => {
                let _memory = self.memory.take(decoded_bytes(&bytes));
                let mut inspected = self.judge(character, &bytes, record.as_ref(), place)?;
                let stored = record.and_then(|record| record.source_stamp);
                inspected.stamp = stamp.filter(|stamp| stored.as_ref() != Some(stamp));
                if let Some(size) = self.thumbnails {
                    let make = || self.inspector.thumbnail(&bytes, size);
                    inspected.thumbnail = self.cache.thumbnails.get(&inspected.sha256, make);
                }
                Ok(inspected)
            }
            Err(problem) => Ok(Inspected::unreadable(character, problem)),
        }
    }

    /// Whether nothing is left to do for a character with this image.
    fn is_enrolled(&self, record: &Record, character: &Character, sha256: &str) -> bool {
        let image = Image::Read {
            sha256,
            verdict: None,
        };
        let standing = standing(
            Some(record),
            Row::of(character),
            Approval::None,
            image,
            self.policy,
        );
        standing == Some(Standing::Enrolled)
    }

    /// The character, if it is enrolled with the image that its file had when it was read last, and was not written
    /// since. An error of the ledger is reported by the next query.
    fn unchanged(&self, character: &Character) -> Option<Inspected> {
        let Source::File { path, .. } = &character.source else {
            return None;
        };
        let record = self.ledger.as_ref()?.get(&character.name.key()).ok()??;
        let sha256 = record.source_sha256.as_deref()?;
        let same = record.source_stamp.is_some() && record.source_stamp == FileStamp::of_file(path);
        if !same || !self.is_enrolled(&record, character, sha256) {
            return None;
        }
        Some(Inspected {
            known: record.is_as_seen(character, sha256),
            is_paid_picture: record.enrolled_sha256.is_some(),
            ..Inspected::kept(character.clone(), sha256.to_owned(), Standing::Enrolled)
        })
    }

    fn judge(
        &self,
        character: Character,
        bytes: &[u8],
        record: Option<&Record>,
        place: usize,
    ) -> Result<Inspected, LedgerError> {
        let sha256 = sha256_hex(bytes);
        let is_duplicate = self.cache.is_duplicate(&sha256, place);
        // An image that was paid for before: its id comes back for nothing.
        let may_return = record.is_none_or(|record| {
            !matches!(record.state, State::Intent | State::InDoubt)
                && record.asset_id.is_some()
                && !record.is_enrolled_as(character.kind, &sha256)
        });
        if may_return
            && let Some(ledger) = &self.ledger
            && let Some(call) = ledger.paid_before(&character.name.key(), character.kind, &sha256)?
        {
            let standing = match call.asset_id {
                Some(_) => Standing::Enrolled,
                None => Standing::InDoubt,
            };
            return Ok(Inspected {
                paid_before: Some(Box::new(call)),
                ..Inspected::kept(character, sha256, standing)
            });
        }
        let row = Row::of(&character);
        let standing_for = |verdict: Option<Verdict>, approval: Approval| {
            let sha256 = &sha256;
            standing(
                record,
                row,
                approval,
                Image::Read { sha256, verdict },
                self.policy,
            )
        };
        let known = record.is_some_and(|r| r.is_as_seen(&character, &sha256));
        let is_reenrollment = record.is_some_and(|r| r.asset_id.is_some());
        if let Some(standing) = standing_for(None, Approval::None) {
            // The image of an enrolled character was paid for, and those are all known.
            let seen = match standing {
                Standing::Enrolled => None,
                _ => match &self.ledger {
                    Some(ledger) => ledger.signature(&sha256)?,
                    None => None,
                },
            };
            return Ok(Inspected {
                signature: seen,
                known,
                is_paid_picture: standing == Standing::Enrolled
                    && record.is_some_and(|record| record.enrolled_sha256.is_some()),
                ..Inspected::kept(character, sha256, standing)
            });
        }
        let approval = self.approval(&character, &sha256)?;
        let judged = |inspection: &Inspection| {
            let approval = approval.for_image(inspection);
            standing_for(Some(inspection.verdict), approval).expect("a known verdict gives a standing")
        };
        let (evidence, standing) = match self.cached(&sha256)? {
            Some(inspection) => {
                let standing = judged(&inspection);
                let published = record
                    .filter(|r| known && r.state == State::Published)
                    .and_then(|r| r.object_key.clone());
                let prepared = match standing.is_paid_next() && self.prepare && published.is_none() {
                    // The verdict is known: only the bytes are missing.
                    true => Some(self.inspector.prepare(bytes, &inspection)),
                    false => None,
                };
                match prepared {
                    Some(None) => self.inspect(bytes, &sha256, is_duplicate, approval, &judged),
                    Some(prepared) => (Evidence::Fresh { inspection, prepared }, standing),
                    None => (
                        Evidence::Cached {
                            inspection,
                            published,
                        },
                        standing,
                    ),
                }
            }
            None => self.inspect(bytes, &sha256, is_duplicate, approval, &judged),
        };
        Ok(Inspected {
            signature: evidence.inspection().and_then(|inspection| inspection.signature),
            evidence,
            known,
            is_reenrollment,
            approved: approval.is_yes(),
            ..Inspected::kept(character, sha256, standing)
        })
    }

    /// Inspects an image now, and prepares it where it will be enrolled.
    fn inspect(
        &self,
        bytes: &[u8],
        sha256: &str,
        is_duplicate: bool,
        approval: Approval,
        judged: &dyn Fn(&Inspection) -> Standing,
    ) -> (Evidence, Standing) {
        // A duplicate goes to review unless it was approved, so preparing it would be wasted.
        let may_prepare = self.prepare && (approval.is_yes() || !is_duplicate);
        let wanted = |inspection: &Inspection| may_prepare && judged(inspection).is_paid_next();
        let mut prepared = None;
        let inspection = self.cache.inspections.get(sha256, || {
            let (inspection, made) = self.inspector.inspect_and_prepare(bytes, wanted);
            prepared = made;
            inspection
        });
        if prepared.is_none() && wanted(&inspection) {
            prepared = self.inspector.prepare(bytes, &inspection);
        }
        let standing = judged(&inspection);
        (Evidence::Fresh { inspection, prepared }, standing)
    }

    /// Prepares an image again after its earlier upload disappeared. Its SHA-256 must be `sha256`, that of the
    /// inspected image: any other would be published uninspected.
    ///
    /// # Errors
    /// A code, and a message for the user.
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
        let (stage, source, sha256) = (Arc::clone(self), character.source.clone(), sha256.to_owned());
        let prepared = self.on_pool(move || {
            let bytes = match (fetched, &source) {
                (Some(fetched), _) => fetched,
                (None, Source::File { path, .. }) => read(path).map_err(unreadable)?,
                (None, Source::Url { .. }) => unreachable!("a URL is already fetched"),
            };
            if sha256_hex(&bytes) != sha256 {
                let message = "the image has changed since it was inspected; nothing was uploaded. Run again to inspect it";
                return Err(("changed", message.to_owned()));
            }
            let _memory = stage.memory.take(decoded_bytes(&bytes));
            // Whatever its verdict: it was approved, or overridden.
            let known = stage.cached(&sha256).ok().flatten();
            let inspection = known.unwrap_or_else(|| stage.inspector.inspect(&bytes));
            let prepared = stage.inspector.prepare(&bytes, &inspection);
            prepared.ok_or_else(|| unreadable("the image can no longer be read".to_owned()))
        });
        prepared.await.map_err(unreadable)?
    }

    /// The inspection of that image, if the ledger has one of this inspector.
    fn cached(&self, sha256: &str) -> Result<Option<Inspection>, LedgerError> {
        match &self.ledger {
            Some(ledger) => ledger.cached_inspection(sha256, self.inspector.fingerprint()),
            None => Ok(None),
        }
    }

    fn approval(&self, character: &Character, sha256: &str) -> Result<Approval, LedgerError> {
        if character.overrides {
            return Ok(Approval::Overridden);
        }
        let decided = match &self.ledger {
            Some(ledger) => ledger.approval(&character.name.key(), sha256)?,
            None => Approval::None,
        };
        let given = character.approved || self.approved.contains(&character.name.key());
        Ok(match decided {
            Approval::Overridden => decided,
            _ if given => Approval::Approved,
            decided => decided,
        })
    }
}

#[cfg(test)]
#[path = "inspect_stage_tests.rs"]
mod tests;
