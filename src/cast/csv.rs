//! Reads a cast from a CSV: one character per row.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::header::Header;
use super::image_resolver::ImageResolver;
use super::{Cast, CastError, CastOptions, Character, Characters, Kind, Look, Name, RowError};
use super::{encoding, spreadsheet, unique};
use crate::util::text::{pluralize, printable};

/// Larger files are not casts: a million rows at some 500 bytes each.
const MAX_CSV_BYTES: u64 = 512 << 20;

/// Room is made for so many characters at once, where the file has as many lines.
const MOST_EXPECTED: usize = 1 << 20;

/// Reads the CSV at `path`. Image paths are relative to the CSV's folder.
pub(super) fn read(path: &Path, options: &CastOptions) -> Result<Cast, CastError> {
    let unreadable = |error| CastError::Unreadable {
        path: path.to_owned(),
        error,
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_CSV_BYTES {
        let (what, hint) = ("is larger than 512 MiB", "split it");
        return Err(CastError::NotCsv {
            path: path.to_owned(),
            what,
            hint,
        });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let root = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    read_bytes(path, root, &bytes, options)
}

/// Reads the CSV on standard input, once for all reads of a command. Image paths are relative to the current folder.
pub(super) fn read_stdin(options: &CastOptions) -> Result<Cast, CastError> {
    static BYTES: std::sync::Mutex<Option<Vec<u8>>> = std::sync::Mutex::new(None);
    let path = Path::new(super::STDIN);
    let unreadable = |error| CastError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut kept = BYTES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if kept.is_none() {
        let mut bytes = Vec::new();
        let mut limited = std::io::stdin().lock().take(MAX_CSV_BYTES);
        limited.read_to_end(&mut bytes).map_err(unreadable)?;
        *kept = Some(bytes);
    }
    read_bytes(
        path,
        PathBuf::from("."),
        kept.as_deref().unwrap_or_default(),
        options,
    )
}

fn read_bytes(path: &Path, root: PathBuf, bytes: &[u8], options: &CastOptions) -> Result<Cast, CastError> {
    let unreadable = |error| CastError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let resolver = ImageResolver::new(&root, options.allow_outside).map_err(unreadable)?;
    let text = encoding::text(path, bytes)?;
    let (characters, bad_rows) = rows((path, &root), text, &resolver, &options.columns)?;
    if characters.is_empty() && bad_rows.is_empty() {
        let hint = "add one character per line, such as: Ana,ana.png".to_owned();
        return Err(CastError::Empty {
            path: path.to_owned(),
            what: "no rows below the header",
            hint,
        });
    }
    Ok(Cast {
        path: path.to_owned(),
        root,
        characters,
        bad_rows,
    })
}

/// The value of `approve` that enrolls an image although it was judged unsuitable.
const OVERRIDE: &str = "override";

/// The rows of `text`, good and bad, each in the order of the file.
fn rows(
    (path, root): (&Path, &Path),
    text: &str,
    resolver: &ImageResolver,
    columns: &[(String, String)],
) -> Result<(Characters, Vec<RowError>), CastError> {
    let mut rows = Rows::new(text, columns);
    let Some((line, first)) = rows.next() else {
        let hint = "add a header line such as: name,image".to_owned();
        return Err(CastError::Empty {
            path: path.to_owned(),
            what: "the file is empty",
            hint,
        });
    };
    if let Some((known, given)) = super::header::without_header(&first, columns) {
        let shown = first.iter().map(|header| format!("{:?}", printable(header)));
        return Err(CastError::Header {
            path: path.to_owned(),
            line,
            problem: format!(
                "there is no header {given:?} for {known}, only {}",
                shown.collect::<Vec<_>>().join(", ")
            ),
            hint: "correct --map, or cast.map in the settings".to_owned(),
        });
    }
    let header = Header::read(&super::header::mapped(&first, columns)).map_err(|bad| CastError::Header {
        path: path.to_owned(),
        line,
        problem: bad.problem,
        hint: bad.hint,
    })?;
    let expected = (line_ends(text.as_bytes()) as usize).min(MOST_EXPECTED);
    let mut characters = Characters::with_room(root, expected, text.len());
    let (mut bad_rows, mut rejected) = (Vec::new(), Vec::new());
    while let Some((line, row)) = rows.next() {
        if row.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        let mut reader = RowReader {
            line,
            row: &row,
            header: &header,
            delimiter: rows.delimiter,
            name: None,
            bad: Vec::new(),
        };
        let character = match rows.unclosed() {
            true => {
                reader.bad(
                    "row",
                    "a quotation mark is opened and never closed",
                    "close it, or remove it",
                );
                None
            }
            false
                if spreadsheet::has_stray_quote(rows.raw(), rows.delimiter, |line| {
                    header.may_be_row(line, rows.delimiter)
                }) =>
            {
                let lines = line_ends(rows.raw().trim_end().as_bytes());
                let problem = match lines {
                    0 => "text follows the closing quotation mark of a field".to_owned(),
                    _ => format!(
                        "a quoted field runs on to line {}, over what look like rows, or text follows its closing \
                         quotation mark",
                        line + lines
                    ),
                };
                reader.bad(
                    "row",
                    problem,
                    "write quotation marks inside a quoted field twice, or remove them",
                );
                None
            }
            false => reader.character(resolver),
        };
        let RowReader { bad, name, .. } = reader;
        match character {
            Some(character) if bad.is_empty() => characters.push(&character),
            _ => {
                let name = character.map(|character| character.name).or(name);
                rejected.extend(name.map(|name| (name, unique::Location::Line(line))));
                bad_rows.extend(bad);
            }
        }
    }
    unique::reject_duplicates(&mut characters, &rejected, &mut bad_rows);
    Ok((characters, bad_rows))
}

/// Rows with the lines of the file on which they begin, because the csv crate's own count is one too low after
/// CRLF and blank lines.
struct Rows<'t> {
    text: &'t str,
    reader: csv::Reader<&'t [u8]>,
    delimiter: u8,
    /// Where the header begins, in bytes.
    begin: usize,
    /// Byte offset up to which lines are counted.
    counted: usize,
    line: u64,
}

impl<'t> Rows<'t> {
    fn new(text: &'t str, columns: &[(String, String)]) -> Self {
        let Start { byte, delimiter } = Start::of(text, columns);
        Self {
            text,
            reader: reader(&text[byte..], delimiter),
            delimiter,
            begin: byte,
            counted: byte,
            line: 1 + line_ends(&text.as_bytes()[..byte]),
        }
    }

    fn next(&mut self) -> Option<(u64, StringRecord)> {
        let from = self.at();
        let mut row = StringRecord::new();
        // Reading valid UTF-8 from memory, with rows of any width, can't fail.
        if !self.reader.read_record(&mut row).unwrap_or(false) {
            return None;
        }
        let blank = self.text[from..]
            .bytes()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        let begins = (from + blank).min(self.text.len());
        self.line += line_ends(&self.text.as_bytes()[self.counted..begins]);
        self.counted = begins;
        Some((self.line, row))
    }

    /// How far the text is read, in bytes.
    fn at(&self) -> usize {
        (self.begin + self.reader.position().byte() as usize).min(self.text.len())
    }

    /// The raw text of the row just read.
    fn raw(&self) -> &'t str {
        self.text.get(self.counted..self.at()).unwrap_or_default()
    }

    /// Whether the row just read runs to the end of the file because a quotation mark is never closed.
    fn unclosed(&self) -> bool {
        let raw = &self.text.as_bytes()[self.counted..];
        self.at() >= self.text.len()
            && raw.iter().filter(|b| **b == b'"').count() % 2 == 1
            && line_ends(raw.trim_ascii_end()) > 0
    }
}

/// How many lines of titles may stand above the header.
const TITLE_LINES: usize = 10;

/// Where the header begins, and the delimiter.
struct Start {
    byte: usize,
    delimiter: u8,
}

impl Start {
    /// Finds the header: in the first line, after Excel's own mark of the delimiter, or below a title, which is reported.
    fn of(text: &str, columns: &[(String, String)]) -> Self {
        let first = text.split_inclusive('\n').next().unwrap_or_default();
        if let [delimiter] = first
            .trim_end()
            .strip_prefix("sep=")
            .unwrap_or_default()
            .as_bytes()
        {
            return Self {
                byte: first.len(),
                delimiter: *delimiter,
            };
        }
        if let Some(delimiter) = Self::delimiter_of(text, columns) {
            return Self { byte: 0, delimiter };
        }
        let mut byte = 0;
        for (above, line) in text.split_inclusive('\n').take(TITLE_LINES).enumerate() {
            if let Some(delimiter) = Self::delimiter_of(line, columns).filter(|_| above > 0) {
                tracing::info!(
                    "the header is on line {}: what is above it is not read",
                    above + 1
                );
                return Self { byte, delimiter };
            }
            byte += line.len();
        }
        Self::likely(text)
    }

    /// Where a header most likely is that has not the names that are needed: the first line with the most fields, so that the
    /// error can name them.
    fn likely(text: &str) -> Self {
        let fields = |line: &str, delimiter: u8| line.bytes().filter(|byte| *byte == delimiter).count();
        let (mut best, mut byte) = ((0, 0, b','), 0);
        for line in text.split_inclusive('\n').take(TITLE_LINES) {
            for delimiter in [b',', b';', b'\t'] {
                let count = fields(line, delimiter);
                if count > best.0 {
                    best = (count, byte, delimiter);
                }
            }
            byte += line.len();
        }
        // A single comma in a title is no table below it.
        match best {
            (1, at, b',') if at > 0 => Self {
                byte: 0,
                delimiter: b',',
            },
            (_, byte, delimiter) => Self { byte, delimiter },
        }
    }

    /// The delimiter with which the first row of `text` is a header.
    fn delimiter_of(text: &str, columns: &[(String, String)]) -> Option<u8> {
        [b',', b';', b'\t'].into_iter().find(|delimiter| {
            let mut header = StringRecord::new();
            let read = reader(text, *delimiter).read_record(&mut header);
            read.is_ok() && super::header::is_header(&super::header::mapped(&header, columns))
        })
    }
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes())
}

/// The number of line ends in `bytes`: LF, CRLF or CR.
fn line_ends(bytes: &[u8]) -> u64 {
    let ends = bytes.iter().enumerate().filter(|(i, b)| match b {
        b'\n' => true,
        b'\r' => bytes.get(i + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.count() as u64
}

/// Reads one row as a character, and collects everything that is wrong with it.
struct RowReader<'r> {
    line: u64,
    row: &'r StringRecord,
    header: &'r Header,
    delimiter: u8,
    /// The name, until it is that of a character.
    name: Option<Name>,
    bad: Vec<RowError>,
}

impl RowReader<'_> {
    fn bad(&mut self, field: &'static str, problem: impl Into<String>, hint: impl Into<String>) {
        let name = self.name_given();
        let name = (!name.is_empty()).then_some(name);
        self.bad.push(RowError {
            line: Some(self.line),
            field,
            name,
            problem: problem.into(),
            hint: hint.into(),
        });
    }

    /// The name as given: in its column, or as a look of its character.
    fn name_given(&self) -> String {
        let name = self.field(self.header.name).trim();
        if !name.is_empty() {
            return name.to_owned();
        }
        let look = Look {
            character: self.field(self.header.character).trim(),
            look: self.field(self.header.look).trim(),
        };
        // A look of nobody is no name.
        if look.character.is_empty() {
            String::new()
        } else {
            look.name()
        }
    }

    /// The field in `column`; empty when there is no such column.
    fn field(&self, column: Option<usize>) -> &str {
        column.and_then(|column| self.row.get(column)).unwrap_or_default()
    }

    fn character(&mut self, resolver: &ImageResolver) -> Option<Character> {
        let header = self.header;
        let surplus = self
            .row
            .iter()
            .skip(header.width)
            .any(|field| !field.trim().is_empty());
        // Spreadsheets leave out empty fields at the end of a row.
        let needed = header
            .name
            .or(header.character)
            .map_or(0, |name| name.max(header.image))
            + 1;
        if self.row.len() < needed || surplus {
            let fields = pluralize(self.row.len(), "field");
            let problem = format!("{fields}, but the header has {}", header.width);
            let (what, empty) = match self.delimiter {
                b';' => ("semicolons", ";;"),
                b'\t' => ("tabs", "two tabs"),
                _ => ("commas", ",,"),
            };
            let hint = format!("quote fields that contain {what}, and write empty fields as {empty}");
            self.bad("row", problem, hint);
            return None;
        }
        if let Some(&column) = header
            .nameless
            .iter()
            .find(|c| !self.field(Some(**c)).trim().is_empty())
        {
            let problem = format!(
                "column {} contains {:?} but has no header",
                column + 1,
                self.field(Some(column))
            );
            self.bad("row", problem, "add a header for the column, or clear it");
        }
        match Name::new(&self.name_given()) {
            Ok(name) => match spreadsheet::spoiled(name.as_str()) {
                Some((problem, hint)) => self.bad("name", problem, hint),
                None => self.name = Some(name),
            },
            Err(error) => self.bad("name", error.to_string(), error.hint()),
        }
        let source = match resolver.find(self.field(Some(header.image))) {
            Ok(source) => Some(source),
            Err(wrong) => {
                self.bad("image", wrong.problem, wrong.hint);
                None
            }
        };
        let kind = self.kind();
        let overrides = self.field(header.approve).trim().eq_ignore_ascii_case(OVERRIDE);
        let approved = overrides || self.yes("approve", header.approve);
        let consent = self.yes("consent", header.consent);
        let note = Some(self.field(header.note).trim().to_owned()).filter(|note| !note.is_empty());
        let look = header.look.map(|look| Look {
            character: self.field(header.character).trim(),
            look: self.field(Some(look)).trim(),
        });
        let others = header.extra.iter();
        let others = others.map(|(c, called)| (called.clone(), self.field(Some(*c)).to_owned()));
        let extra = look.map(|look| look.columns()).unwrap_or_default();
        let extra = extra.into_iter().chain(others).collect();
        let line = Some(self.line);
        Some(Character {
            source: source?,
            name: self.name.take()?,
            kind,
            approved,
            overrides,
            consent,
            note,
            extra,
            line,
        })
    }

    fn kind(&mut self) -> Kind {
        let text = self.field(self.header.kind).trim().to_owned();
        if text.is_empty() {
            return Kind::default();
        }
        text.parse().unwrap_or_else(|_| {
            self.bad(
                "kind",
                format!("{text:?} is not a kind of character"),
                "use portrait or realface, or leave it empty",
            );
            Kind::default()
        })
    }

    fn yes(&mut self, field: &'static str, column: Option<usize>) -> bool {
        let text = self.field(column).trim().to_owned();
        match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "1" => true,
            "no" | "false" | "0" | "" => false,
            _ => {
                let hint = match field {
                    "approve" => {
                        "use yes or no, or leave it empty; override enrolls an image that was judged unsuitable"
                    }
                    _ => "use yes, no, true, false, 1 or 0, or leave it empty",
                };
                self.bad(field, format!("{text:?} is neither yes nor no"), hint);
                false
            }
        }
    }
}
