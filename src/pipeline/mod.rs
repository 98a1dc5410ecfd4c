//! Wires the stations of a run: look → publish → enroll, with bounded channels, all under way at once.
//!
//! A run takes about as long as its slowest station. Memory is bounded by what is in flight.

mod enroll;
mod look;
mod once;
mod pay;
mod price;
mod publish;
mod stop;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::cast::{Cast, Character, Name, NameKey};
use crate::exit::ExitCode;
use crate::inspect::Likenesses;
use crate::ledger::{Ledger, LedgerError, Reader, Transition};
use crate::money::Usd;
use crate::plan::{Action, Agreed, Approval};
use crate::publish::PublicUrl;
use crate::report::{Event, Reporters, Stage};

pub use enroll::{Enroll, Way, exit_of};
use look::Unseen;
pub use look::{Look, Looked, Seen, read as read_source};
pub use once::OncePerPicture;
pub use pay::{Payer, can_be_sent_again, has_expired};
pub use price::Price;
pub use publish::Publish;
pub use stop::{Reason as StopReason, Stop};

/// So many characters are written into the ledger at once: they share commits.
const NOTES: usize = 64;

/// A character whose picture has its public address.
#[derive(Debug)]
pub struct Published {
    /// The character.
    pub character: Character,
    /// Where its picture is seen. A signed address may be too old when its turn comes: see [`Enroll::signer`].
    pub url: PublicUrl,
    /// The published object.
    pub object_key: String,
    /// Of a real actor: the liveness session that was passed.
    pub group_id: Option<String>,
}

/// What a run writes while it goes on.
pub trait Checkpoint: Send + Sync {
    /// Writes the manifest from the ledger, as it is now, and tells where; `None` as long as nobody is in it and
    /// none is there.
    fn write(&self) -> anyhow::Result<Option<PathBuf>>;
}

/// All stations of one run.
pub struct Pipeline {
    /// The first station.
    pub look: Arc<Look>,
    /// The second.
    pub publish: Arc<Publish>,
    /// The third.
    pub enroll: Arc<Enroll>,
    /// What is durable.
    pub ledger: Ledger,
    /// Where events go.
    pub reporters: Arc<Reporters>,
    /// The switch.
    pub stop: Stop,
    /// What one enrollment costs, as far as known beforehand.
    pub price: Usd,
    /// Writes the manifest on the way.
    pub checkpoint: Arc<dyn Checkpoint>,
    /// How often.
    pub checkpoint_every: Duration,
    /// What a person agreed to; without it, whatever the cast and the ledger say.
    pub agreed: Option<Agreed>,
}

impl Pipeline {
    /// Takes a cast the whole way, and comes back when nothing is under way any more.
    pub async fn run(self, cast: Cast) {
        if self.agreed.is_some() {
            self.enroll.price.agree();
        }
        let resumed = self.enroll.resume().await;
        let (to_publish, publishing) = mpsc::channel(self.publish.uploads * 2);
        let (to_enroll, enrolling) = mpsc::channel(64);
        let checkpoints = tokio::spawn(checkpoints(
            Arc::clone(&self.checkpoint),
            self.checkpoint_every,
            self.ledger.clone(),
        ));
        let publish = tokio::spawn(Arc::clone(&self.publish).run(publishing, to_enroll));
        let enroll = tokio::spawn(Arc::clone(&self.enroll).run(enrolling));
        self.feed(cast, &resumed, to_publish).await;
        for station in [publish, enroll] {
            if station.await.is_err() {
                self.stop.throw(
                    ExitCode::Internal,
                    "internal",
                    "a station of the run broke; this is a bug",
                );
            }
        }
        checkpoints.abort();
    }

    /// Looks at the cast, writes what was seen into the ledger, and hands on what is to be enrolled.
    async fn feed(&self, cast: Cast, resumed: &HashSet<NameKey>, to_publish: mpsc::Sender<Looked>) {
        let seen = tokio::select! {
            biased;
            () = self.stop.wait() => return,
            seen = self.duplicates(&cast.characters) => seen,
        };
        let mut seen = match seen {
            Ok(seen) => seen,
            Err(error) => return ledger_broke(&self.stop, &error),
        };
        let looked = Arc::clone(&self.look).all(cast.characters).map(move |looked| {
            looked.map(|mut looked| {
                seen.judge(&mut looked);
                looked
            })
        });
        // Many notes share one commit; they are told in the order of the cast.
        let mut noted = std::pin::pin!(looked.map(|looked| self.note(looked)).buffered(NOTES));
        loop {
            let next = tokio::select! {
                biased;
                () = self.stop.wait() => break,
                next = noted.next() => next,
            };
            let looked = match next {
                None => break,
                Some(Ok(looked)) => looked,
                Some(Err(error)) => {
                    ledger_broke(&self.stop, &error);
                    break;
                }
            };
            // What an interrupted run had paid for before it was agreed on is not paid for here.
            let paid_before = resumed.contains(&looked.character.name.key());
            if let Some(agreed) = &self.agreed
                && !paid_before
                && !agreed.covers(&looked.character.name, looked.action, &looked.sha256)
            {
                let name = crate::cast::printable(looked.character.name.as_str());
                let told = format!("{name} has changed since the plan was agreed to; nothing more is paid");
                self.stop.throw(ExitCode::StalePlan, "stale_plan", told);
                break;
            }
            tell(&self.reporters, &looked, self.price);
            if looked.action == Action::Enroll && to_publish.send(looked).await.is_err() {
                break;
            }
        }
    }

    /// The pictures that were paid for before, or perhaps were. What must be looked at for that is kept in the ledger.
    ///
    /// # Errors
    /// The ledger can't be read or written.
    pub async fn duplicates(&self, characters: &[Character]) -> Result<Duplicates, LedgerError> {
        let (seen, unseen) = Duplicates::look(&self.look, characters).await?;
        let fingerprint = self.look.inspector.fingerprint();
        for Unseen {
            sha256, inspection, ..
        } in &unseen
        {
            self.ledger
                .put_inspection(sha256, fingerprint, inspection)
                .await?;
        }
        Ok(seen)
    }

    /// Writes what was seen into the ledger, unless it stands there.
    ///
    /// # Errors
    /// The ledger can't be written, or looking failed with it.
    pub async fn note(&self, looked: Result<Looked, LedgerError>) -> Result<Looked, LedgerError> {
        let looked = looked?;
        let Looked {
            character,
            sha256,
            action,
            inspection,
            cached,
            known,
            ..
        } = &looked;
        if sha256.is_empty() {
            return Ok(looked);
        }
        let mut transitions = Vec::new();
        if !known && *action != Action::InDoubt {
            transitions.push(Transition::see(character, sha256));
        }
        if let Some(inspection) = inspection
            && (*action == Action::Enroll || !known || !cached)
        {
            transitions.push(Transition::judge(inspection, *action == Action::Enroll));
        }
        // Whose twin it is depends on the cast, and is judged anew each time.
        if let (Some(inspection), false) = (inspection, cached)
            && !inspection.is_duplicate()
        {
            let fingerprint = self.look.inspector.fingerprint();
            self.ledger
                .put_inspection(sha256, fingerprint, inspection)
                .await?;
        }
        if !transitions.is_empty() {
            self.ledger.write(&character.name, transitions).await?;
        }
        Ok(looked)
    }
}

/// Tells what was seen and what is to be done.
pub fn tell(reporters: &Reporters, looked: &Looked, price: Usd) {
    let name = looked.character.name.as_str();
    let source = looked.character.source.given();
    if let Some(inspection) = &looked.inspection {
        reporters.tell(Event::checked(name, source, inspection));
    }
    let cost_usd = if looked.action == Action::Enroll {
        price
    } else {
        Usd::ZERO
    };
    reporters.tell(Event::Planned {
        name: name.to_owned(),
        action: looked.action,
        cost_usd,
    });
}

/// Finds pictures that stand under two names.
#[derive(Default)]
pub struct Duplicates {
    seen: Likenesses<String>,
    /// SHA-256 of a picture → whose it is: of all that were paid for, or perhaps were, also of those whose picture is
    /// not at hand any more, and of those in the cast that are not looked at again.
    known: HashMap<String, String>,
    /// What knows who is in the cast, and whom people approved; `None` when there is no ledger yet.
    look: Option<Arc<Look>>,
}

impl Duplicates {
    /// With the pictures that were paid for before, or perhaps were, which are not looked at again unless the ledger
    /// tells nothing of them.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub async fn of(look: &Arc<Look>, characters: &[Character]) -> Result<Self, LedgerError> {
        Ok(Self::look(look, characters).await?.0)
    }

    /// The same, with what was looked at for it.
    async fn look(look: &Arc<Look>, characters: &[Character]) -> Result<(Self, Vec<Unseen>), LedgerError> {
        let Some(ledger) = &look.ledger else {
            return Ok((Self::default(), Vec::new()));
        };
        let unseen = look.unseen(characters).await?;
        let now = unseen.iter().map(|u| (u.name.clone(), u.inspection.clone()));
        let before = ledger.paid_inspections(look.inspector.fingerprint())?;
        let mut seen = Likenesses::default();
        seen.extend(
            before
                .into_iter()
                .chain(now)
                .filter_map(|(name, seen)| Some((seen.likeness?, name))),
        );
        let known = ledger.paid_pictures()?;
        let known = known.into_iter().map(|(name, sha256)| (sha256, name)).collect();
        let look = Some(Arc::clone(look));
        Ok((Self { seen, known, look }, unseen))
    }

    /// Turns a picture that is (nearly) the same as an earlier one into a case for review.
    pub fn judge(&mut self, looked: &mut Looked) {
        let (name, own) = (looked.character.name.as_str(), looked.character.name.key());
        let Some(inspection) = &mut looked.inspection else {
            // Not looked at again; the next one who has its picture is its twin all the same.
            if !looked.sha256.is_empty() {
                let known = self.known.entry(looked.sha256.clone());
                known.or_insert_with(|| name.to_owned());
            }
            if let Some(likeness) = looked.likeness {
                self.seen.push(likeness, name.to_owned());
            }
            return;
        };
        let Some(likeness) = looked.likeness else {
            return;
        };
        // A picture that changed a little is still its own character's.
        let twin = |accept: &dyn Fn(&String) -> bool| {
            let accept = |other: &String| key_of(other).as_ref() != Some(&own) && accept(other);
            let same = || self.known.get(&looked.sha256).filter(|other| accept(other));
            self.seen.first_near(&likeness, accept).or_else(same)
        };
        // Its row says that it may be enrolled. It may have said so under another name, and for another reason.
        let by_row = looked.approved && self.only_the_row_approves(&looked.character, &looked.sha256);
        let renamed = by_row.then(|| twin(&|other| self.is_gone(other))).flatten();
        if let Some(other) = renamed.or_else(|| twin(&|_| true)) {
            inspection.mark_duplicate(other, self.is_gone(other));
            let approved = looked.approved && renamed.is_none();
            if looked.action == Action::Enroll && !approved {
                looked.action = Action::Review;
                looked.prepared = None;
            }
        }
        self.seen.push(likeness, name.to_owned());
    }

    /// Whether that name is not in the cast any more: its character was removed, or renamed.
    fn is_gone(&self, name: &str) -> bool {
        match (&self.look, key_of(name)) {
            (Some(look), Some(key)) => !look.cast.contains(&key),
            _ => false,
        }
    }

    /// Whether nobody but the cast's own row approves that picture.
    fn only_the_row_approves(&self, character: &Character, sha256: &str) -> bool {
        let Some(look) = &self.look else {
            return false;
        };
        let key = character.name.key();
        let decided = |ledger: &Arc<dyn Reader>| {
            // A ledger that can't be read is told where it is written.
            ledger
                .approval(&key, sha256)
                .is_ok_and(|said| said == Approval::Approved)
        };
        !look.approved.contains(&key) && !look.ledger.as_ref().is_some_and(decided)
    }
}

/// By which a name is known, however it is spelt.
fn key_of(name: &str) -> Option<NameKey> {
    Name::new(name).ok().map(|name| name.key())
}

/// A ledger that can't be written stops all spending at once.
fn ledger_broke(stop: &Stop, error: &LedgerError) {
    stop.throw(
        ExitCode::Internal,
        "ledger_not_writable",
        format!("{error}; nothing more is paid"),
    );
}

/// Tells a failure that cost nothing.
fn failed(reporters: &Reporters, name: &Name, stage: Stage, code: &str, message: String) {
    let name = name.as_str().to_owned();
    reporters.tell(Event::Failed {
        name,
        stage,
        code: code.to_owned(),
        message,
    });
}

/// Of all time, checkpoints take one part in so many at most: a large manifest takes seconds to write.
const CHECKPOINT_SHARE: u32 = 20;

/// Writes the manifest again and again, as long as there is something new in it.
async fn checkpoints(checkpoint: Arc<dyn Checkpoint>, every: Duration, ledger: Ledger) {
    let (mut took, mut written) = (Duration::ZERO, 0);
    loop {
        tokio::time::sleep(every.max(took * CHECKPOINT_SHARE)).await;
        let enrolled = ledger.enrolled();
        if enrolled == written {
            continue;
        }
        let began = Instant::now();
        let checkpoint = Arc::clone(&checkpoint);
        match tokio::task::spawn_blocking(move || checkpoint.write()).await {
            Ok(Ok(_)) => written = enrolled,
            // The ledger holds everything; the end of the run writes the manifest again, and tells.
            Ok(Err(error)) => tracing::warn!("the manifest can't be written on the way: {error:#}"),
            Err(_) => {}
        }
        took = began.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::ledger::OpenOptions;

    /// Counts how often it is written, and takes its time.
    struct Slow(AtomicUsize);

    impl Checkpoint for Slow {
        fn write(&self) -> anyhow::Result<Option<PathBuf>> {
            std::thread::sleep(Duration::from_millis(20));
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_manifest_is_written_on_the_way_only_when_it_has_something_new() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions::new("sandbox", true, "test");
        let ledger = Ledger::open(&folder.path().join("ledger.db"), options).unwrap();
        let slow = Arc::new(Slow(AtomicUsize::new(0)));
        let written = || slow.0.load(Ordering::Relaxed);
        let every = Duration::from_millis(5);
        let writing = tokio::spawn(checkpoints(slow.clone(), every, ledger.clone()));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(written(), 0, "nobody is enrolled");
        enroll(&ledger, "Ada").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(written(), 1);
        for name in ["Bo", "Cay", "Dee"] {
            enroll(&ledger, name).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(written() <= 2, "20 ms of writing are worth 400 ms of waiting");
        writing.abort();
    }

    async fn enroll(ledger: &Ledger, name: &str) {
        let name = Name::new(name).unwrap();
        let (object_key, url) = ("k".to_owned(), "https://x/k".to_owned());
        let transitions = [
            Transition::See {
                kind: crate::cast::Kind::Portrait,
                source: "a.png".to_owned(),
                sha256: "aa".to_owned(),
                extra: Vec::new(),
            },
            Transition::Judge {
                verdict: crate::inspect::Verdict::Suitable,
                goes_on: true,
                code: None,
                message: None,
            },
            Transition::Publish { object_key, url },
            Transition::Intend {
                request_digest: String::new(),
                price: Usd::ZERO,
                budget: crate::ledger::Budget::default(),
                payment: None,
            },
            Transition::Enrolled {
                asset_id: format!("ta_{}", name.as_str()),
                price: Usd::ZERO,
                told: false,
                settlement: None,
                at: String::new(),
            },
        ];
        ledger.write(&name, transitions).await.unwrap();
    }
}
