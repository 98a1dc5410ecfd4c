//! A character whose image was inspected, or needs no inspection.

use crate::cast::Character;
use crate::inspect::{ImageSignature, Inspection, Prepared, ReasonCode, Thumbnail};
use crate::plan::Standing;

/// A character whose image was inspected, and where it stands.
#[derive(Debug)]
pub struct Inspected {
    /// The character.
    pub character: Character,
    /// SHA-256 of its image, in hex; empty when it could not be read.
    pub sha256: String,
    /// Where it stands.
    pub standing: Standing,
    /// What is known of the image, and from where.
    pub evidence: Evidence,
    /// What tells the image from others; of one that was not inspected now, as the ledger has it.
    pub signature: Option<ImageSignature>,
    /// Whether the ledger has seen the character exactly so before.
    pub known: bool,
    /// Whether it has an asset id already: enrolling it pays for a second one.
    pub is_reenrollment: bool,
    /// Whether a person approved the image although it needs review.
    pub approved: bool,
    /// A small copy for a report; only when asked for.
    pub thumbnail: Option<Thumbnail>,
}

/// What is known of an image, and from where.
#[derive(Debug)]
pub enum Evidence {
    /// It was not inspected: what the ledger knows of the character suffices.
    Kept,
    /// An earlier run inspected it, and perhaps published it as an object of this key.
    Cached {
        /// What was found then.
        inspection: Inspection,
        /// The key of the published object.
        published: Option<String>,
    },
    /// It was inspected now.
    Fresh {
        /// What was found.
        inspection: Inspection,
        /// The image as it is published; only when asked for, and only of what will be enrolled.
        prepared: Option<Prepared>,
    },
    /// It can't be read, and this is why.
    Unreadable(Inspection),
}

impl Evidence {
    /// What was found in the image, now or earlier.
    pub fn inspection(&self) -> Option<&Inspection> {
        match self {
            Self::Kept => None,
            Self::Cached { inspection, .. }
            | Self::Fresh { inspection, .. }
            | Self::Unreadable(inspection) => Some(inspection),
        }
    }

    /// The same, to add to.
    pub(super) fn inspection_mut(&mut self) -> Option<&mut Inspection> {
        match self {
            Self::Kept => None,
            Self::Cached { inspection, .. }
            | Self::Fresh { inspection, .. }
            | Self::Unreadable(inspection) => Some(inspection),
        }
    }

    /// The image as it is published, where it was prepared now.
    pub fn prepared(&self) -> Option<&Prepared> {
        match self {
            Self::Fresh { prepared, .. } => prepared.as_ref(),
            _ => None,
        }
    }

    /// Forgets the prepared image: it is not enrolled after all.
    pub(super) fn drop_prepared(&mut self) {
        if let Self::Fresh { prepared, .. } = self {
            *prepared = None;
        }
    }
}

impl Inspected {
    /// One that needs no inspection: the ledger knows enough.
    pub(super) fn kept(character: Character, sha256: String, standing: Standing) -> Self {
        Self {
            character,
            sha256,
            standing,
            evidence: Evidence::Kept,
            signature: None,
            known: false,
            is_reenrollment: false,
            approved: false,
            thumbnail: None,
        }
    }

    /// One whose image can't be read.
    pub(super) fn unreadable(character: Character, problem: String) -> Self {
        Self {
            evidence: Evidence::Unreadable(Inspection::unreadable(ReasonCode::Unreadable, problem)),
            ..Self::kept(character, String::new(), Standing::Unsuitable)
        }
    }
}

/// Somebody who was paid for, or perhaps was, and whose image was inspected only now.
#[derive(Debug)]
pub(super) struct PaidNotInspected {
    pub(super) name: String,
    /// SHA-256 of the image, in hex.
    pub(super) sha256: String,
    pub(super) inspection: Inspection,
}
