//! The characters of a cast, packed: as `Character`s, those of a large cast take many times the memory of its text
//! (`docs/performance.md`).

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Character, Kind, Name, Source};

/// The characters of a cast, in its order. Each is unpacked when it is asked for.
#[derive(Clone)]
pub struct Characters {
    /// The folder that most images are in.
    root: PathBuf,
    /// The headers of the other columns, which the rows share.
    columns: Vec<String>,
    /// All rows, packed one after the other.
    packed: Vec<u8>,
    /// Where each row ends in `packed`.
    ends: Vec<usize>,
}

/// A row as it is packed; its name comes first, and can be unpacked alone.
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    name: Name,
    given: &'a str,
    image: Image,
    kind: Kind,
    approved: bool,
    overrides: bool,
    consent: bool,
    note: Option<&'a str>,
    /// The position in `columns`, and the value.
    #[serde(borrow)]
    extra: Vec<(usize, &'a str)>,
    line: Option<u64>,
}

/// Where an image is.
#[derive(Serialize, Deserialize)]
enum Image {
    /// The file that is given, in the folder.
    Given,
    /// A file that is called otherwise than given.
    File(OsString),
    /// The whole URL, of which less is given.
    Url(String),
}

const PLAIN: &str = "what was packed here is unpacked as it was";

impl Characters {
    /// None yet; most of their images are in the folder `root`.
    pub fn new(root: &Path) -> Self {
        Self::with_room(root, 0, 0)
    }

    /// As [`Characters::new`], with room for as many as a text of so many rows and bytes tells of.
    pub(super) fn with_room(root: &Path, rows: usize, bytes: usize) -> Self {
        Self {
            root: root.to_owned(),
            columns: Vec::new(),
            packed: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
        }
    }

    /// Adds a character at the end.
    pub fn push(&mut self, character: &Character) {
        let image = match &character.source {
            Source::File { given, path } if self.root.join(given) == *path => Image::Given,
            Source::File { path, .. } => Image::File(path.as_os_str().to_owned()),
            Source::Url { url, .. } => Image::Url(url.as_str().to_owned()),
        };
        let extra = character.extra.iter();
        let extra = extra.map(|(column, value)| (self.column(column), value.as_str()));
        let row = Row {
            name: character.name.clone(),
            given: character.source.given(),
            image,
            kind: character.kind,
            approved: character.approved,
            overrides: character.overrides,
            consent: character.consent,
            note: character.note.as_deref(),
            extra: extra.collect(),
            line: character.line,
        };
        let packed = std::mem::take(&mut self.packed);
        self.packed = postcard::to_extend(&row, packed).expect("memory takes every row");
        self.ends.push(self.packed.len());
    }

    fn column(&mut self, column: &str) -> usize {
        let known = self.columns.iter().position(|known| known == column);
        known.unwrap_or_else(|| {
            self.columns.push(column.to_owned());
            self.columns.len() - 1
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The character at this position of the cast, from 0.
    pub fn get(&self, place: usize) -> Option<Character> {
        (place < self.len()).then(|| self.unpacked(place))
    }

    fn packed(&self, place: usize) -> &[u8] {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.packed[begin..self.ends[place]]
    }

    fn unpacked(&self, place: usize) -> Character {
        let row: Row<'_> = postcard::from_bytes(self.packed(place)).expect(PLAIN);
        let source = match row.image {
            Image::Given => Source::file(row.given, self.root.join(row.given)),
            Image::File(path) => Source::file(row.given, path),
            Image::Url(url) => Source::url(row.given, url.parse().expect(PLAIN)),
        };
        let extra = row.extra.into_iter();
        let extra = extra.map(|(column, value)| (self.columns[column].clone(), value.to_owned()));
        Character {
            name: row.name,
            source,
            kind: row.kind,
            approved: row.approved,
            overrides: row.overrides,
            consent: row.consent,
            note: row.note.map(str::to_owned),
            extra: extra.collect(),
            line: row.line,
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Character> {
        (0..self.len()).map(|place| self.unpacked(place))
    }

    /// The names of all, in order: faster than [`Characters::iter`].
    pub fn names(&self) -> impl ExactSizeIterator<Item = Name> + Clone {
        let packed = (0..self.len()).map(|place| self.packed(place));
        packed.map(|row| postcard::take_from_bytes(row).expect(PLAIN).0)
    }

    /// Keeps those for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Character) -> bool) {
        let (mut packed, mut ends) = (Vec::new(), Vec::new());
        for place in 0..self.len() {
            if keep(&self.unpacked(place)) {
                packed.extend_from_slice(self.packed(place));
                ends.push(packed.len());
            }
        }
        (self.packed, self.ends) = (packed, ends);
    }
}

/// `Debug` keeps signatures out of logs.
impl fmt::Debug for Characters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Characters")
            .field("count", &self.len())
            .finish_non_exhaustive()
    }
}

impl IntoIterator for Characters {
    type Item = Character;
    type IntoIter = Box<dyn Iterator<Item = Character> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new((0..self.len()).map(move |place| self.unpacked(place)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source() -> impl Strategy<Value = Source> {
        let bytes = prop::collection::vec(1_u8..=255, 1..9);
        prop_oneof![
            "\\PC{1,12}".prop_map(|given| Source::file(&given, Path::new("art").join(&given))),
            ("\\PC{1,12}", "\\PC{1,12}").prop_map(|(given, path)| Source::file(given, path)),
            ("\\PC{1,12}", bytes).prop_map(|(given, path)| Source::file(given, not_unicode(path))),
            "https://[a-zà-ü]{1,9}\\.example/\\PC{0,9}(\\?[a-z]{0,9}=[a-z]{0,9})?"
                .prop_filter_map("no URL", |given| Some(Source::url(&given, given.parse().ok()?))),
        ]
    }

    #[cfg(unix)]
    fn not_unicode(path: Vec<u8>) -> PathBuf {
        use std::os::unix::ffi::OsStringExt as _;
        OsString::from_vec(path).into()
    }

    #[cfg(not(unix))]
    fn not_unicode(path: Vec<u8>) -> PathBuf {
        String::from_utf8_lossy(&path).into_owned().into()
    }

    fn character() -> impl Strategy<Value = Character> {
        let columns = prop::collection::vec((prop_oneof!["role", "voice", "\\PC{0,5}"], "\\PC{0,20}"), 0..4);
        let name = "\\PC{1,20}".prop_filter_map("no name", |name| Name::new(&name).ok());
        let flags = any::<(bool, bool, bool, bool)>();
        let note = prop::option::of("\\PC{1,20}");
        (name, source(), flags, note, columns, any::<Option<u64>>()).prop_map(
            |(name, source, (realface, approved, overrides, consent), note, extra, line)| Character {
                name,
                source,
                kind: if realface { Kind::RealFace } else { Kind::Portrait },
                approved,
                overrides,
                consent,
                note,
                extra,
                line,
            },
        )
    }

    proptest! {
        #[test]
        fn every_character_is_unpacked_as_it_was(cast in prop::collection::vec(character(), 0..6)) {
            let mut packed = Characters::new(Path::new("art"));
            cast.iter().for_each(|character| packed.push(character));
            prop_assert_eq!(packed.len(), cast.len());
            prop_assert_eq!(packed.is_empty(), cast.is_empty());
            prop_assert_eq!(&packed.iter().collect::<Vec<_>>(), &cast);
            prop_assert!(packed.names().eq(cast.iter().map(|character| character.name.clone())));
            prop_assert_eq!(packed.get(cast.len()), None);
            let mut approved = packed.clone();
            approved.retain(|character| character.approved);
            let expected: Vec<_> = cast.iter().filter(|character| character.approved).cloned().collect();
            prop_assert_eq!(approved.into_iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(packed.into_iter().collect::<Vec<_>>(), cast);
        }
    }
}
