//! Builds the contact sheet of a command, while it runs, or of a ledger.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use rayon::prelude::*;

use super::html::{self, Card, Page};
use crate::cast::{Cast, Character, LOOK_COLUMNS, Look, Name, Source, printable, together};
use crate::inspect::{InspectSettings, Inspector, Thumbnail, ThumbnailSize};
use crate::ledger::{LedgerError, LedgerView, Reader, Record};
use crate::pipeline::{InspectStage, Inspected, OnceMap, read_source};
use crate::plan::{Image, Standing, known_standing};
use crate::util::fs;
use crate::util::money::Usd;
use crate::util::sha256::sha256_hex;
use crate::util::text::pluralize;

/// Makes the thumbnails of a report: each once, however many names use the image.
struct Thumbnails<'a> {
    inspector: &'a Inspector,
    size: ThumbnailSize,
    made: OnceMap<Option<Thumbnail>>,
}

/// The characters of the cast in its order, then those that are only in the ledger. `is_part` is whether some of the cast
/// were chosen.
fn from_ledger(
    view: &LedgerView,
    thumbnails: &Thumbnails,
    (characters, is_part, folder): (&[Character], bool, &Path),
    interrupted: &AtomicBool,
) -> anyhow::Result<Vec<Card>> {
    let (records, decided) = (view.all()?, view.decided_images()?);
    let known: HashMap<_, _> = records.iter().map(|r| (r.name.key(), r)).collect();
    let in_cast: HashSet<_> = characters.iter().map(|c| c.name.key()).collect();
    let rows = characters
        .iter()
        .map(|c| (Some(c), known.get(&c.name.key()).copied()));
    let gone = records
        .iter()
        // Of a part of a cast nothing else is shown.
        .filter(|r| !is_part && !in_cast.contains(&r.name.key()))
        .map(|r| (None, Some(r)));
    let rows: Vec<_> = rows.chain(gone).collect();
    rows.into_par_iter()
        .map(|(character, record)| {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Interrupted.into());
            }
            let mut card = card(
                (view, &decided),
                thumbnails,
                character,
                record,
                !characters.is_empty(),
            )?;
            if let Some(character) = character {
                card = with_row(card, character, folder);
            }
            Ok(card)
        })
        .collect()
}

fn card(
    (view, decided): (&LedgerView, &HashSet<String>),
    thumbnails: &Thumbnails,
    character: Option<&Character>,
    record: Option<&Record>,
    with_cast: bool,
) -> Result<Card, LedgerError> {
    // An image on the web is not fetched for a report.
    let bytes = match character.map(|c| &c.source) {
        Some(Source::File { path, .. }) => read_source(path).ok(),
        _ => None,
    };
    let now = bytes.as_ref().map(|bytes| sha256_hex(bytes));
    let seen = record.and_then(|r| r.source_sha256.as_deref());
    let sha256 = now.as_deref().or(seen);
    let inspection = match sha256 {
        Some(sha256) => view.cached_inspection(sha256, thumbnails.inspector.fingerprint())?,
        None => None,
    };
    let image = now.as_deref().map_or(Image::LastSeen, |sha256| Image::Read {
        sha256,
        // What the last run decided about this image counts: that it is a duplicate is in no inspection of its own.
        verdict: record
            .filter(|_| now.as_deref() == seen)
            .and_then(|record| record.verdict)
            .or(inspection.as_ref().map(|inspection| inspection.verdict)),
    });
    let standing = known_standing((view, decided), character, record, image)?;
    let mut card = Card {
        standing,
        verdict: record.and_then(|r| r.verdict),
        ..Card::default()
    };
    if let Some(record) = record {
        card.name = printable(record.name.as_str());
        card.source = printable(&record.source);
        card.asset_id = record.asset_id.as_deref().map(printable);
        card.cost = record.price;
    }
    if let Some(character) = character {
        card.name = printable(character.name.as_str());
        card.source = printable(character.source.given());
    }
    let extra = character.map(|c| &c.extra).or(record.map(|r| &r.extra));
    card.character = extra.and_then(|extra| character_of(extra));
    if let Some(inspection) = &inspection {
        card = card.seen(inspection);
    }
    // The message in the ledger repeats the inspection, unless a run went further.
    let of_image = matches!(standing, Standing::ToReview | Standing::Unsuitable);
    if card.reasons.is_empty() || !of_image {
        card.reasons = record
            .and_then(|r| r.message.as_deref())
            .map(printable)
            .into_iter()
            .collect();
    }
    if matches!(
        standing,
        Standing::Rejected | Standing::Changed | Standing::NotSeen | Standing::NeedsConsent
    ) {
        card.reasons.push(standing.hint());
    }
    if with_cast && character.is_none() {
        card.reasons.push("no longer in the cast".to_owned());
    }
    card.thumbnail = bytes.zip(now).and_then(|(bytes, sha256)| {
        let make = || thumbnails.inspector.thumbnail(&bytes, thumbnails.size);
        thumbnails.made.get(&sha256, make)
    });
    Ok(card)
}

/// A report built up while a command runs.
pub struct Sheet {
    out: PathBuf,
    page: Page,
}

impl Sheet {
    /// An empty report on `cast`.
    pub fn new(out: &Path, kind: &str, cast: &Cast) -> Self {
        let title = cast.path.file_name().unwrap_or(cast.path.as_os_str());
        let mut sheet = Self::titled(out, kind, &title.to_string_lossy());
        let bad = cast.bad_rows.len();
        if bad > 0 {
            let message = format!(
                "Not included: {} of the cast; run castline check to see why.",
                pluralize(bad, "invalid row")
            );
            sheet.page.notes.push(message);
        }
        sheet
    }

    /// An empty report with that title.
    pub fn titled(out: &Path, kind: &str, title: &str) -> Self {
        let page = Page {
            title: printable(title),
            generated_at: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            kind: kind.to_owned(),
            ..Page::default()
        };
        let out = out.to_owned();
        Self { out, page }
    }

    /// Marks the report as one of the sandbox.
    pub fn of_sandbox(mut self, sandbox: bool) -> Self {
        self.page.sandbox = sandbox;
        self
    }

    /// Adds an amount to the header of the page.
    pub fn amount(&mut self, label: &str, amount: Usd) {
        self.page.amounts.push((label.to_owned(), amount.to_string()));
    }

    /// Fills the report with the characters of a cast and a ledger.
    ///
    /// # Errors
    /// The ledger can't be read, or [`Interrupted`].
    pub fn fill(
        &mut self,
        view: &LedgerView,
        inspect: &InspectSettings,
        jobs: usize,
        (characters, is_part): (&[Character], bool),
        interrupted: &AtomicBool,
    ) -> anyhow::Result<()> {
        self.page.sandbox = view.is_sandbox();
        if self.page.kind == "Run" {
            self.amount("This run", view.spend(Some(view.last_run()?))?.enrolled);
        }
        let spend = view.spend(None)?;
        self.amount("Paid in all", spend.enrolled);
        if spend.in_doubt > Usd::ZERO {
            self.amount("In doubt", spend.in_doubt);
        }
        let runs = view.runs()?.into_iter().filter(|run| run.cost_usd > Usd::ZERO);
        self.page.runs = runs
            .map(|run| {
                let day = run.started_at.get(..10).unwrap_or_default().to_owned();
                (day, run.cost_usd.micros() as f64 / 1e6)
            })
            .collect();
        let inspector = Inspector::new(inspect.clone());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
        let thumbnails = Thumbnails {
            inspector: &inspector,
            size: ThumbnailSize::for_characters(characters.len()),
            made: OnceMap::default(),
        };
        let folder = self.folder();
        self.page.cards =
            pool.install(|| from_ledger(view, &thumbnails, (characters, is_part, &folder), interrupted))?;
        Ok(())
    }

    /// Adds a character whose image was checked.
    pub fn checked(&mut self, inspected: Inspected) {
        let folder = self.folder();
        self.page.cards.push(of_inspected(inspected, &folder));
    }

    /// Adds a character as a run would find it, completed from the ledger.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn planned(
        &mut self,
        inspected: Inspected,
        stage: &InspectStage,
        price: Usd,
    ) -> Result<(), LedgerError> {
        let (standing, sha256) = (inspected.standing, inspected.sha256.clone());
        let key = inspected.character.name.key();
        let is_kept = inspected.evidence.inspection().is_none();
        let mut card = of_inspected(inspected, &self.folder());
        let mut record = None;
        if let Some(ledger) = &stage.ledger {
            record = ledger.get(&key)?;
            if is_kept
                && let Some(inspection) = ledger.cached_inspection(&sha256, stage.inspector.fingerprint())?
            {
                card = card.seen(&inspection);
            }
        }
        if standing.is_paid_next() {
            card.cost = Some(price);
        }
        if let Some(record) = record {
            card.asset_id = record.asset_id.as_deref().map(printable);
            if standing == Standing::Enrolled {
                card.cost = record.price;
            }
            if matches!(standing, Standing::Refused | Standing::InDoubt | Standing::Failed) {
                card.reasons.extend(record.message.as_deref().map(printable));
            }
        }
        self.page.cards.push(card);
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.out.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Writes the page, and returns its path.
    pub fn write(mut self) -> anyhow::Result<PathBuf> {
        together(&mut self.page.cards, |card| {
            let character = card.character.as_deref()?;
            Name::new(character).ok().map(|name| name.key())
        });
        fs::write_atomic(&self.out, html::render(&self.page).as_bytes())
            .with_context(|| format!("the report {} can't be written", self.out.display()))?;
        Ok(self.out)
    }
}

/// The character that a look belongs to, for display.
fn character_of(extra: &[(String, String)]) -> Option<String> {
    Look::of(extra).map(|look| printable(look.character))
}

/// Adds what the cast's row says beside name and image.
fn with_row(card: Card, character: &Character, folder: &Path) -> Card {
    let others = character
        .extra
        .iter()
        .filter(|(column, value)| !value.trim().is_empty() && !LOOK_COLUMNS.contains(&column.as_str()));
    Card {
        details: others
            .map(|(column, value)| (printable(column), printable(value)))
            .collect(),
        original: match &character.source {
            Source::File { path, .. } => fs::relative_url(folder, path),
            // Without its query, which may be a signature: then it may not open.
            Source::Url { given, .. } => Some(given.clone()),
        },
        ..card
    }
}

fn of_inspected(inspected: Inspected, folder: &Path) -> Card {
    let card = Card {
        name: printable(inspected.character.name.as_str()),
        source: printable(inspected.character.source.given()),
        character: character_of(&inspected.character.extra),
        standing: inspected.standing,
        thumbnail: inspected.thumbnail,
        ..Card::default()
    };
    let card = with_row(card, &inspected.character, folder);
    match inspected.evidence.inspection() {
        Some(inspection) => card.seen(inspection),
        None => card,
    }
}

/// Writing the report was interrupted by the user.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; write it later with `castline report`")]
pub struct Interrupted;
