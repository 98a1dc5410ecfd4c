//! Decodes the bytes of a CSV as text, or reports what the file seems to be instead.

use std::path::Path;

use super::CastError;

/// `bytes` as text, without a byte-order mark.
pub(super) fn text<'b>(path: &Path, bytes: &'b [u8]) -> Result<&'b str, CastError> {
    const SPREADSHEET: &str = "save it as CSV (in Excel: \"CSV UTF-8\")";
    const PICTURE: &str = "pass a CSV, or the folder that contains the image";
    let not_csv = match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            Some(("is text in UTF-16", "save it as UTF-8 (in Excel: \"CSV UTF-8\")"))
        }
        [b'P', b'K', 3, 4, ..] | [0xD0, 0xCF, 0x11, 0xE0, ..] => {
            Some(("is a spreadsheet or an archive", SPREADSHEET))
        }
        [0x89, b'P', b'N', b'G', ..] | [0xFF, 0xD8, 0xFF, ..] | [b'R', b'I', b'F', b'F', ..] => {
            Some(("is an image", PICTURE))
        }
        _ if bytes.contains(&0) => Some(("is not text", "pass a CSV or a folder of images")),
        _ => None,
    };
    if let Some((what, hint)) = not_csv {
        return Err(CastError::NotCsv {
            path: path.to_owned(),
            what,
            hint,
        });
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = 1 + bytes[..at].iter().filter(|b| **b == b'\n').count() as u64;
        CastError::NotUtf8 {
            path: path.to_owned(),
            line,
            guess: guess(bytes, at),
        }
    })
}

/// The word around `at` decoded as Windows-1252, if that gives a word: letters of 0xC0–0xFF are the same as in
/// Latin-1, whose code points are Unicode's first 256.
fn guess(bytes: &[u8], at: usize) -> Option<String> {
    let is_letter = |b: &u8| b.is_ascii_alphabetic() || matches!(b, 0xC0..=0xD6 | 0xD8..=0xF6 | 0xF8..=0xFF);
    let begin = bytes[..at]
        .iter()
        .rposition(|b| !is_letter(b))
        .map_or(0, |i| i + 1);
    let end = bytes[at..]
        .iter()
        .position(|b| !is_letter(b))
        .map_or(bytes.len(), |i| at + i);
    let word = &bytes[begin..end];
    (1..=40)
        .contains(&word.len())
        .then(|| word.iter().map(|b| char::from(*b)).collect())
}
