//! The inspections of a run so far.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::OnceMap;
use crate::inspect::{Inspection, Thumbnail};

/// The inspections so far: an image used under many names is inspected once.
#[derive(Debug, Default)]
pub struct InspectionCache {
    pub(super) inspections: OnceMap<Inspection>,
    pub(super) thumbnails: OnceMap<Option<Thumbnail>>,
    /// The first half of an image's SHA-256 → the position of its first character in the cast, as far as known.
    first: Mutex<HashMap<u128, usize>>,
}

impl InspectionCache {
    /// Whether a character at an earlier position has the same image, by its SHA-256 in hex.
    pub(super) fn is_duplicate(&self, sha256: &str, place: usize) -> bool {
        let half = sha256
            .get(..32)
            .and_then(|half| u128::from_str_radix(half, 16).ok());
        let Some(half) = half else {
            return false;
        };
        let mut all = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let first = all.entry(half).or_insert(place);
        let is_later = *first < place;
        *first = place.min(*first);
        is_later
    }
}
