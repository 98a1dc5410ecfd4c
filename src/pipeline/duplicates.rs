//! Finds images used under two names.

use std::collections::HashMap;
use std::sync::Arc;

use super::InspectStage;
use super::inspected::{Inspected, PaidNotInspected};
use crate::cast::{Character, Characters, Look, Name, NameKey, printable};
use crate::inspect::{ImageSignature, SignatureIndex};
use crate::ledger::{Approval, LedgerError, Reader};
use crate::plan::Standing;
use crate::util::shell::quote;

/// Finds images used under two names.
#[derive(Default)]
pub struct Duplicates {
    /// What was paid for before, until the first image is judged: where nothing is, none of it is read.
    before: Option<Before>,
    seen: SignatureIndex<String>,
    /// SHA-256 of an image → its character: of all that were paid for, or perhaps were, even if their image is no
    /// longer available, and of those in the cast that are not inspected again.
    known: HashMap<String, String>,
    /// The character that each look in the cast belongs to.
    characters: HashMap<NameKey, NameKey>,
    /// The stage, which knows the names in the cast and the approvals; `None` when there is no ledger yet.
    stage: Option<Arc<InspectStage>>,
}

/// What was paid for before, and the images since that were not inspected.
struct Before {
    ledger: Arc<dyn Reader>,
    /// The names and signatures of images that were inspected only now.
    now: Vec<(String, ImageSignature)>,
    kept: Vec<Kept>,
}

/// An image of the cast that was not inspected again.
struct Kept {
    name: String,
    /// In hex; empty when it could not be read.
    sha256: String,
    // A signature is large, and most of them have none.
    signature: Option<Box<ImageSignature>>,
}

impl Duplicates {
    /// Starts with the images that were paid for before, or perhaps were; they are inspected again only if the ledger
    /// has no inspection of them.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub async fn of(stage: &Arc<InspectStage>, characters: &Characters) -> Result<Self, LedgerError> {
        Ok(Self::inspect(stage, characters).await?.0)
    }

    /// As [`Duplicates::of`], with the inspections that this required.
    pub(super) async fn inspect(
        stage: &Arc<InspectStage>,
        characters: &Characters,
    ) -> Result<(Self, Vec<PaidNotInspected>), LedgerError> {
        let look = |c: Character| Some((c.name.key(), Look::of(&c.extra)?.character_key()?));
        let characters_of = characters.iter().filter_map(look).collect();
        let Some(ledger) = &stage.ledger else {
            let none = Self {
                characters: characters_of,
                ..Self::default()
            };
            return Ok((none, Vec::new()));
        };
        let not_inspected = stage.paid_not_inspected(characters).await?;
        let now = not_inspected
            .iter()
            .filter_map(|u| Some((u.name.clone(), u.inspection.signature?)));
        let before = Before {
            ledger: Arc::clone(ledger),
            now: now.collect(),
            kept: Vec::new(),
        };
        let all = Self {
            before: Some(before),
            characters: characters_of,
            stage: Some(Arc::clone(stage)),
            ..Self::default()
        };
        Ok((all, not_inspected))
    }

    /// Reads what was paid for before, unless that is done.
    fn read_before(&mut self) -> Result<(), LedgerError> {
        let Some(Before { ledger, now, kept }) = self.before.take() else {
            return Ok(());
        };
        let signatures = ledger.paid_signatures()?.into_iter().chain(now);
        self.seen.extend(signatures.map(|(name, seen)| (seen, name)));
        let pictures = ledger.paid_pictures()?;
        self.known
            .extend(pictures.into_iter().map(|(name, sha256)| (sha256, name)));
        for kept in kept {
            self.keep(kept);
        }
        Ok(())
    }

    /// Remembers an image that was not inspected again: a later character with the same one is still its duplicate.
    fn keep(&mut self, kept: Kept) {
        if let Some(before) = &mut self.before {
            before.kept.push(kept);
            return;
        }
        let Kept {
            name,
            sha256,
            signature,
        } = kept;
        if let Some(signature) = signature {
            self.seen.push(*signature, name.clone());
        }
        if !sha256.is_empty() {
            self.known.entry(sha256).or_insert(name);
        }
    }

    /// Turns an image that is (nearly) the same as an earlier one into a case for review.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn judge(&mut self, inspected: &mut Inspected) -> Result<(), LedgerError> {
        if inspected.evidence.inspection().is_none() {
            // The ledger has it ready for when it is needed: most of a large cast need not be remembered here as well.
            if inspected.is_paid_picture {
                return Ok(());
            }
            self.keep(Kept {
                name: inspected.character.name.as_str().to_owned(),
                sha256: inspected.sha256.clone(),
                signature: inspected.signature.map(Box::new),
            });
            return Ok(());
        }
        self.read_before()?;
        let (name, own) = (inspected.character.name.as_str(), inspected.character.name.key());
        let (Some(inspection), Some(signature)) = (inspected.evidence.inspection_mut(), inspected.signature)
        else {
            return Ok(());
        };
        // A slightly changed image is not a duplicate of its own character.
        let twin = |accept: &dyn Fn(&String) -> bool| {
            let accept = |other: &String| {
                key_of(other).as_ref() != Some(&own)
                    && accept(other)
                    // Looks of one character resemble each other; the same picture twice is still a mistake.
                    && (self.known.get(&inspected.sha256) == Some(other) || !self.are_looks_of_one(&own, other))
            };
            let same = || self.known.get(&inspected.sha256).filter(|other| accept(other));
            self.seen.find_first(&signature, accept).or_else(same)
        };
        // An approval in the row may have been given under another name and for another reason.
        let by_row =
            inspected.approved && self.only_the_row_approves(&inspected.character, &inspected.sha256);
        let renamed = by_row.then(|| twin(&|other| self.is_gone(other))).flatten();
        if let Some(other) = renamed.or_else(|| twin(&|_| true)) {
            let message = self.message(name, other);
            inspection.mark_duplicate(other, message);
            let approved = inspected.approved && renamed.is_none();
            if inspected.standing.is_paid_next() && !approved {
                inspected.standing = Standing::ToReview;
                inspected.evidence.drop_prepared();
            }
        }
        self.seen.push(signature, name.to_owned());
        let known = self.known.entry(inspected.sha256.clone());
        known.or_insert_with(|| name.to_owned());
        Ok(())
    }

    /// The message about a duplicate, and what to do about it.
    fn message(&self, name: &str, other: &str) -> String {
        let shown = printable(other);
        if !self.is_gone(other) {
            return format!(
                "the image is the same as that of {shown}, or nearly; give each its own, or approve it to pay for both"
            );
        }
        let arguments = self
            .stage
            .as_ref()
            .map_or("", |stage| stage.same_arguments.as_str());
        // Two names after the cast: options come last.
        let (cast, options) = arguments
            .split_once(" --")
            .map_or((arguments, String::new()), |(cast, options)| {
                (cast, format!(" --{options}"))
            });
        format!(
            "the image is the same as that of {shown}, or nearly, who is enrolled but no longer in the cast. If the \
             character was only renamed, keep its id with `castline rename{cast} {} {}{options}`; to pay for a second \
             one, approve it with `castline review` or --approve, since approve=yes in the cast may belong to the old \
             name",
            quote(&shown),
            quote(&printable(name))
        )
    }

    /// Whether both are looks of the same character.
    fn are_looks_of_one(&self, own: &NameKey, other: &str) -> bool {
        let Some(character) = self.characters.get(own) else {
            return false;
        };
        let Some(other) = key_of(other) else {
            return false;
        };
        // Where a command processes a part of the cast, the ledger knows the others.
        let in_ledger = || {
            let record = self.stage.as_ref()?.ledger.as_ref()?.get(&other).ok()??;
            Look::of(&record.extra)?.character_key()
        };
        let of_other = self.characters.get(&other).cloned().or_else(in_ledger);
        of_other.as_ref() == Some(character)
    }

    /// Whether that name is no longer in the cast: its character was removed, or renamed.
    fn is_gone(&self, name: &str) -> bool {
        match (&self.stage, key_of(name)) {
            (Some(stage), Some(key)) => !stage.cast.contains(&key),
            _ => false,
        }
    }

    /// Whether the cast's row is the only approval of that image.
    fn only_the_row_approves(&self, character: &Character, sha256: &str) -> bool {
        let Some(stage) = &self.stage else {
            return false;
        };
        let key = character.name.key();
        let decided = |ledger: &Arc<dyn Reader>| {
            // An unreadable ledger is reported where it is written.
            ledger.approval(&key, sha256).is_ok_and(Approval::is_yes)
        };
        !stage.approved.contains(&key) && !stage.ledger.as_ref().is_some_and(decided)
    }
}

/// The key of a name, equal for all its spellings.
fn key_of(name: &str) -> Option<NameKey> {
    Name::new(name).ok().map(|name| name.key())
}
