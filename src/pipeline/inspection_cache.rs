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
    /// SHA-256 of an image → the position of its first character in the cast, as far as known.
    first: Mutex<HashMap<String, usize>>,
}

impl InspectionCache {
    /// Whether a character at an earlier position has the same image.
    pub(super) fn is_duplicate(&self, sha256: &str, place: usize) -> bool {
        let mut all = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let first = all.entry(sha256.to_owned()).or_insert(place);
        let is_later = *first < place;
        *first = place.min(*first);
        is_later
    }
}
