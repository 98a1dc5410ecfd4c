//! A character whose image was inspected, or needs no inspection.

use crate::cast::Character;
use crate::inspect::{ImageSignature, Inspection, Prepared, ReasonCode, Thumbnail};
use crate::ledger::{Approval, FoundCall};
use crate::plan::Standing;
use crate::util::file_stamp::FileStamp;

/// A character whose image was inspected, or needs no inspection, and its standing.
#[derive(Debug)]
pub struct Inspected {
    /// The character.
    pub character: Character,
    /// SHA-256 of its image, in hex; empty when it could not be read.
    pub sha256: String,
    /// The stamp of its file, if it was read now and may be trusted later.
    pub stamp: Option<FileStamp>,
    /// Its standing.
    pub standing: Standing,
    /// What is known of the image, and its source.
    pub evidence: Evidence,
    /// The signature that identifies the image; from the ledger if it was not inspected now.
    pub signature: Option<ImageSignature>,
    /// Whether the ledger already has the character in exactly this state.
    pub known: bool,
    /// Whether the ledger has its image among those that were paid for, under its name.
    pub is_paid_picture: bool,
    /// Whether it already has an asset id: enrolling it pays for a second one.
    pub is_reenrollment: bool,
    /// Whether an image that needs review was approved.
    pub approved: bool,
    /// A thumbnail for a report; only when requested.
    pub thumbnail: Option<Thumbnail>,
    /// The number of the next receipt, if the bucket was asked for it.
    pub receipt_number: Option<u32>,
    /// Whether its standing comes from a receipt or another cast: it was paid for from elsewhere.
    pub from_receipt: bool,
    /// The call that was made before for the same name and image, or by another cast of the ledger.
    pub paid_before: Option<Box<FoundCall>>,
    /// Code and message of what prevents paying for it now, at no cost.
    pub blocked: Option<(String, String)>,
}

/// What is known of an image, and its source.
#[derive(Debug)]
pub enum Evidence {
    /// The image was not inspected: what the ledger knows of the character suffices.
    Kept,
    /// An earlier run inspected the image, and perhaps published it.
    Cached {
        /// The result of that inspection.
        inspection: Inspection,
        /// The key of the published object.
        published: Option<String>,
    },
    /// The image was inspected now.
    Fresh {
        /// The result of the inspection.
        inspection: Inspection,
        /// The image as it is published; only when requested, and only if it will be enrolled.
        prepared: Option<Prepared>,
    },
    /// The image can't be read, for the reason given.
    Unreadable(Inspection),
}

impl Evidence {
    /// The inspection of the image, from now or earlier.
    pub fn inspection(&self) -> Option<&Inspection> {
        match self {
            Self::Kept => None,
            Self::Cached { inspection, .. }
            | Self::Fresh { inspection, .. }
            | Self::Unreadable(inspection) => Some(inspection),
        }
    }

    /// As [`Evidence::inspection`], mutable.
    pub(super) fn inspection_mut(&mut self) -> Option<&mut Inspection> {
        match self {
            Self::Kept => None,
            Self::Cached { inspection, .. }
            | Self::Fresh { inspection, .. }
            | Self::Unreadable(inspection) => Some(inspection),
        }
    }

    /// The image as it is published, if it was prepared now.
    pub fn prepared(&self) -> Option<&Prepared> {
        match self {
            Self::Fresh { prepared, .. } => prepared.as_ref(),
            _ => None,
        }
    }

    /// Drops the prepared image of a character that is not enrolled after all.
    pub(super) fn drop_prepared(&mut self) {
        if let Self::Fresh { prepared, .. } = self {
            *prepared = None;
        }
    }
}

impl Inspected {
    /// What an approval of an unsuitable image lacks, for people who wonder why it is not enrolled.
    pub fn note_on_approval(&self) -> Option<String> {
        let unsuitable = self.standing == Standing::Unsuitable && self.approved;
        let inspection = self.evidence.inspection().filter(|_| unsuitable)?;
        let can_be = Approval::Overridden.for_image(inspection) == Approval::Overridden;
        Some(match can_be {
            true => {
                "it is approved, which an unsuitable image needs more than: if the verdict is wrong, write \
                     approve=override in the cast, or run `castline review --all`"
                    .to_owned()
            }
            false => "it is approved, but nobody can approve what the API does not take".to_owned(),
        })
    }

    /// A character that needs no inspection: the ledger knows enough.
    pub(super) fn kept(character: Character, sha256: String, standing: Standing) -> Self {
        Self {
            character,
            sha256,
            stamp: None,
            standing,
            evidence: Evidence::Kept,
            signature: None,
            known: false,
            is_paid_picture: false,
            is_reenrollment: false,
            approved: false,
            thumbnail: None,
            receipt_number: None,
            from_receipt: false,
            paid_before: None,
            blocked: None,
        }
    }

    /// A character whose image can't be read.
    pub(super) fn unreadable(character: Character, problem: String) -> Self {
        Self {
            evidence: Evidence::Unreadable(Inspection::unreadable(ReasonCode::Unreadable, problem)),
            ..Self::kept(character, String::new(), Standing::Unsuitable)
        }
    }
}

/// A character that was paid for, or perhaps was, and whose image was inspected only now.
#[derive(Debug)]
pub(super) struct PaidNotInspected {
    pub(super) name: String,
    /// SHA-256 of the image, in hex.
    pub(super) sha256: String,
    pub(super) inspection: Inspection,
}
