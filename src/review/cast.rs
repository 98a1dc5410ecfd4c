//! The backend of the review page for a cast and its ledger.

use std::sync::Arc;

use async_trait::async_trait;

use super::{ComparedImage, Decision, Item, ReviewBackend};
use crate::cast::{Character, Characters, Source, printable};
use crate::inspect::{Inspection, ReasonCode, Verdict};
use crate::ledger::{Approval, Decided, Ledger};
use crate::pipeline::{InspectStage, Inspected, read_source};
use crate::util::sha256::sha256_hex;

/// A character whose image needs review.
pub struct Undecided {
    character: Character,
    /// SHA-256 of the inspected image, in hex: the decision applies to that image.
    sha256: String,
    inspection: Inspection,
    /// The decision of earlier.
    decided: Option<Decided>,
    /// The character whose image to compare with.
    compared: Option<Character>,
}

impl Undecided {
    /// Makes the entry of an inspected character; `cast` is the whole cast. `None` without an inspection to decide on.
    pub fn new(inspected: Inspected, cast: &Characters) -> Option<Self> {
        let inspection = inspected.evidence.inspection()?.clone();
        let compared = original(&inspection, cast);
        Some(Self {
            character: inspected.character,
            sha256: inspected.sha256,
            inspection,
            decided: None,
            compared,
        })
    }

    /// The same with the decision of earlier.
    pub fn with(self, decided: Option<Decided>) -> Self {
        Self { decided, ..self }
    }

    /// The decision of earlier, as the page shows it.
    pub fn decision(&self) -> Option<Decision> {
        self.decided
            .as_ref()
            .map(|decided| match decided.approval.is_yes() {
                true => Decision::Approved,
                false => Decision::Rejected,
            })
    }

    fn is_unsuitable(&self) -> bool {
        self.inspection.verdict == Verdict::Unsuitable
    }

    /// The item that the page shows.
    pub fn item(&self) -> Item {
        let faces = self.inspection.faces.iter();
        let reasons = self.inspection.reasons.iter().map(|r| printable(&r.message));
        Item {
            name: printable(self.character.name.as_str()),
            source: printable(self.character.source.given()),
            size: [self.inspection.width, self.inspection.height],
            faces: faces.map(|f| [f.x, f.y, f.width, f.height]).collect(),
            reasons: reasons.collect(),
            seen: self.inspection.seen(),
            unsuitable: self.is_unsuitable(),
            earlier: self.decided.as_ref().map(|decided| {
                let what = match decided.approval {
                    Approval::Rejected => "Rejected",
                    Approval::Overridden => "Overridden",
                    _ => "Approved",
                };
                let day = decided.at.split('T').next().unwrap_or_default();
                format!("{what} by {} on {day}", printable(&decided.by))
            }),
            beside: self.compared.as_ref().map(|other| ComparedImage {
                name: printable(other.name.as_str()),
                source: printable(other.source.given()),
            }),
        }
    }
}

/// The character whose image this one duplicates, if that character is in the cast.
fn original(inspection: &Inspection, cast: &Characters) -> Option<Character> {
    inspection.reasons.iter().find_map(|reason| match &reason.code {
        ReasonCode::DuplicateOf(other) => cast
            .names()
            .position(|name| name.as_str() == other)
            .and_then(|place| cast.get(place)),
        _ => None,
    })
}

/// The backend of the review page: the images of the cast, and its ledger.
pub struct CastReviewBackend {
    /// Stores the decisions.
    pub ledger: Ledger,
    /// Reads and draws the images.
    pub inspect: Arc<InspectStage>,
    /// The images to decide on, in the order of the page.
    pub undecided: Vec<Undecided>,
    /// The user who decides, recorded in the ledger.
    pub by: String,
}

impl CastReviewBackend {
    /// The image of a character as a JPEG; if `sha256` (in hex) is given, only the image with that digest.
    async fn drawn(&self, character: &Character, sha256: Option<&str>) -> Result<Vec<u8>, String> {
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => {
                Some(self.inspect.fetcher.fetch(url).await.map_err(|e| e.to_string())?)
            }
        };
        let (inspect, source) = (Arc::clone(&self.inspect), character.source.clone());
        let sha256 = sha256.map(str::to_owned);
        let drawn = tokio::task::spawn_blocking(move || {
            let bytes = match (fetched, &source) {
                (Some(bytes), _) => bytes,
                (None, Source::File { path, .. }) => read_source(path)?,
                (None, Source::Url { .. }) => unreachable!("a URL is already fetched"),
            };
            if sha256.is_some_and(|sha256| sha256_hex(&bytes) != sha256) {
                return Err(
                    "The image has changed since it was inspected; start castline review again.".to_owned(),
                );
            }
            let preview = inspect.inspector.preview(&bytes);
            preview.ok_or_else(|| "The image can't be read.".to_owned())
        });
        drawn.await.map_err(|e| e.to_string())?
    }
}

#[async_trait]
impl ReviewBackend for CastReviewBackend {
    async fn picture(&self, item: usize) -> Result<Vec<u8>, String> {
        let undecided = &self.undecided[item];
        self.drawn(&undecided.character, Some(&undecided.sha256)).await
    }

    async fn beside(&self, item: usize) -> Result<Vec<u8>, String> {
        match &self.undecided[item].compared {
            Some(other) => self.drawn(other, None).await,
            None => Err("There is no image to compare it with.".to_owned()),
        }
    }

    async fn decide(&self, item: usize, decision: Option<Decision>) -> Result<(), String> {
        let Undecided {
            character, sha256, ..
        } = &self.undecided[item];
        let key = character.name.key();
        let approval = match decision {
            None => Approval::None,
            Some(Decision::Rejected) => Approval::Rejected,
            Some(Decision::Approved) if self.undecided[item].is_unsuitable() => Approval::Overridden,
            Some(Decision::Approved) => Approval::Approved,
        };
        let kept = self.ledger.set_decision(&key, sha256, approval, &self.by).await;
        kept.map_err(|e| e.to_string())
    }
}
