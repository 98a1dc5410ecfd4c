//! The standing of a character by what the ledger knows, for displays that inspect nothing.

use std::collections::HashSet;

use super::{Image, Policy, Row, Standing, standing};
use crate::cast::Character;
use crate::ledger::{Approval, LedgerError, LedgerView, Reader, Record};

/// The standing of a character of the cast, of the ledger, or of both. An image that no run has inspected is
/// [`Standing::NotSeen`]. `decided` has the images that a person decided on: [`LedgerView::decided_images`].
///
/// # Errors
/// The ledger can't be read.
pub fn known_standing(
    (view, decided): (&LedgerView, &HashSet<String>),
    character: Option<&Character>,
    record: Option<&Record>,
    image: Image<'_>,
) -> Result<Standing, LedgerError> {
    let Some(record) = record else {
        return Ok(Standing::NotSeen);
    };
    let row = character.map_or_else(|| Row::of_record(record), Row::of);
    let last_seen = record.source_sha256.as_deref();
    // An image without an inspection of its own has the verdict that the ledger recorded, if it is the same image.
    let image = match image {
        Image::Read {
            sha256,
            verdict: None,
        } if last_seen == Some(sha256) => Image::LastSeen,
        image => image,
    };
    let sha256 = match image {
        Image::Read { sha256, .. } => Some(sha256),
        Image::LastSeen => last_seen,
    };
    let approval = match sha256 {
        _ if character.is_some_and(|c| c.overrides) => Approval::Overridden,
        Some(sha256) if decided.contains(sha256) => match view.approval(&record.name.key(), sha256)? {
            Approval::Overridden => Approval::Overridden,
            _ if character.is_some_and(|c| c.approved) => Approval::Approved,
            decided => decided,
        },
        _ if character.is_some_and(|c| c.approved) => Approval::Approved,
        _ => Approval::None,
    };
    let approval = approval.for_codes(record.code.as_deref());
    let of = standing(Some(record), row, approval, image, Policy::default());
    Ok(of.unwrap_or(Standing::NotSeen))
}
