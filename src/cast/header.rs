//! Parses the first line of a CSV: which column is which.

use csv::StringRecord;

use super::PICTURE_EXTENSIONS;
use crate::util::shell::quote;
use crate::util::text::printable;

/// The columns that castline knows; all others are carried to the manifest.
const KNOWN: [&str; 6] = ["name", "image", "kind", "approve", "consent", "note"];

/// Common other names of the two required columns.
const ALSO_CALLED: [(&str, &[&str]); 2] = [
    (
        "name",
        &[
            "character",
            "charactername",
            "displayname",
            "actor",
            "title",
            "id",
        ],
    ),
    (
        "image",
        &[
            "picture",
            "portrait",
            "file",
            "filename",
            "path",
            "img",
            "art",
            "photo",
            "url",
            "imagepath",
            "imageurl",
        ],
    ),
];

/// The position of each column in a row.
#[derive(Debug)]
pub(super) struct Header {
    /// How many fields a row has.
    pub(super) width: usize,
    /// `None` where characters and looks stand for it.
    pub(super) name: Option<usize>,
    pub(super) image: usize,
    /// The character that a look belongs to; a character by itself where there is no look.
    pub(super) character: Option<usize>,
    /// Which look of its character a row is: only together with `character`.
    pub(super) look: Option<usize>,
    pub(super) kind: Option<usize>,
    pub(super) approve: Option<usize>,
    pub(super) consent: Option<usize>,
    pub(super) note: Option<usize>,
    /// Columns that are carried to the manifest, with their headers.
    pub(super) extra: Vec<(usize, String)>,
    /// Columns without a header, which must be empty.
    pub(super) nameless: Vec<usize>,
}

/// What is wrong with a header, and how to fix it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadHeader {
    pub(super) problem: String,
    pub(super) hint: String,
}

/// A header normalized for comparison: letters without case, spaces or separators.
fn plain(header: &str) -> String {
    header
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A header with the columns that `columns` names called as castline calls them.
pub(super) fn mapped(row: &StringRecord, columns: &[(String, String)]) -> StringRecord {
    let known = |header: &str| {
        let found = columns.iter().find(|(_, given)| plain(given) == plain(header));
        found.map_or_else(|| header.to_owned(), |(known, _)| known.clone())
    };
    row.iter().map(known).collect()
}

/// A mapping whose header is not in the file.
pub(super) fn without_header<'a>(
    row: &StringRecord,
    columns: &'a [(String, String)],
) -> Option<&'a (String, String)> {
    let is_there = |given: &str| row.iter().any(|header| plain(header) == plain(given));
    columns.iter().find(|(_, given)| !is_there(given))
}

/// The columns that can be mapped.
pub(super) fn is_known(column: &str) -> bool {
    KNOWN.contains(&column) || super::LOOK_COLUMNS.contains(&column)
}

/// Whether `row` has both required columns.
pub(super) fn is_header(row: &StringRecord) -> bool {
    let has = |known: &str| row.iter().any(|h| plain(h) == known);
    (has("name") || has("character")) && has("image")
}

impl Header {
    pub(super) fn read(row: &StringRecord) -> Result<Self, BadHeader> {
        let headers: Vec<String> = row
            .iter()
            .map(|h| h.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let plain: Vec<String> = headers.iter().map(|h| plain(h)).collect();
        let same = |a: usize, b: usize| {
            headers[a] == headers[b] || (KNOWN.contains(&plain[a].as_str()) && plain[a] == plain[b])
        };
        for b in 1..headers.len() {
            if let Some(a) = (0..b).find(|&a| !headers[a].is_empty() && same(a, b)) {
                let problem = format!(
                    "columns {} and {} are both called {:?}",
                    a + 1,
                    b + 1,
                    printable(&headers[b])
                );
                return Err(BadHeader {
                    problem,
                    hint: "rename one of them".to_owned(),
                });
            }
        }
        let find = |known: &str| plain.iter().position(|h| h == known);
        let must = |known: &str| find(known).ok_or_else(|| missing(known, &headers, &plain));
        let (name, character) = (find("name"), find("character"));
        let look = find("look").filter(|_| character.is_some());
        // A column `character` beside `name`, and without looks, is a column as any other.
        let character = character.filter(|_| look.is_some() || name.is_none());
        if name.is_none() && character.is_none() {
            return Err(missing("name", &headers, &plain));
        }
        let is_extra = |i: &usize| {
            let i = *i;
            !headers[i].is_empty()
                && !KNOWN.contains(&plain[i].as_str())
                && ![character, look].contains(&Some(i))
        };
        for known in ["kind", "approve", "consent"] {
            let slip = plain
                .iter()
                .position(|h| strsim::damerau_levenshtein(h, known) == 1);
            if let (None, Some(at)) = (find(known), slip) {
                tracing::warn!(
                    "column {:?} is unknown and only carried to the manifest; did you mean {known:?}?",
                    printable(&headers[at])
                );
            }
        }
        Ok(Self {
            width: headers.len(),
            name,
            image: must("image")?,
            character,
            look,
            kind: find("kind"),
            approve: find("approve"),
            consent: find("consent"),
            note: find("note"),
            extra: (0..headers.len())
                .filter(is_extra)
                .map(|i| (i, headers[i].clone()))
                .collect(),
            nameless: (0..headers.len()).filter(|&i| headers[i].is_empty()).collect(),
        })
    }

    /// Whether a line looks like a row by itself: as many fields, and an image where one belongs.
    pub(super) fn may_be_row(&self, line: &str, delimiter: u8) -> bool {
        let fields: Vec<&str> = line.split(char::from(delimiter)).map(str::trim).collect();
        let image = fields.get(self.image).copied().unwrap_or_default().to_lowercase();
        let extension = image.rsplit_once('.').map_or("", |(_, extension)| extension);
        // A row within a field that was opened by mistake has no quotation marks: one would have closed it.
        !line.contains('"')
            && fields.len() == self.width
            && (PICTURE_EXTENSIONS.contains(&extension) || image.starts_with("https://"))
    }
}

fn missing(known: &str, headers: &[String], plain: &[String]) -> BadHeader {
    let also = ALSO_CALLED
        .iter()
        .find(|(name, _)| *name == known)
        .map_or(&[][..], |(_, also)| also);
    let near = |h: &&String| {
        let slips = strsim::damerau_levenshtein(h, known);
        slips <= 2 || also.contains(&h.as_str())
    };
    let hint = match plain.iter().filter(|h| !KNOWN.contains(&h.as_str())).find(near) {
        Some(near) => {
            let at = plain.iter().position(|h| h == near).unwrap_or_default();
            let header = printable(&headers[at]);
            let mapping = quote(&format!("{known}={header}"));
            format!("rename column {header:?} to \"{known}\", or pass --map {mapping}")
        }
        None => "start the file with a header line such as: name,image".to_owned(),
    };
    let named: Vec<String> = headers
        .iter()
        .take(12)
        .map(|h| format!("{:?}", printable(h)))
        .collect();
    BadHeader {
        problem: format!("there is no column \"{known}\", only {}", named.join(", ")),
        hint,
    }
}
