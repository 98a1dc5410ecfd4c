//! CSV for spreadsheets: cells that a spreadsheet would take for a formula are marked as text.

use super::Manifest;
use crate::util::spreadsheet::safe_cell;

/// The columns that are always present.
const KNOWN: [&str; 8] = [
    "name",
    "asset_id",
    "kind",
    "source",
    "source_sha256",
    "published_url",
    "price_usd",
    "enrolled_at",
];

/// Columns that are there where a provider gives such ids.
const OF_PROVIDERS: [&str; 2] = ["group_id", "request_id"];

/// Whether these bytes begin like the output of [`render`].
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(KNOWN.join(",").as_bytes())
}

/// Renders one row per character: name, asset id, source, its SHA-256, URL, price, time, then the extra columns.
///
/// UTF-8 without byte-order mark, commas, CRLF (RFC 4180). A cell that begins with `= + - @`, a tab or a carriage
/// return is prefixed with an apostrophe, which makes spreadsheets treat it as text.
pub(super) fn render(manifest: &Manifest) -> Vec<u8> {
    let mut extra: Vec<&str> = Vec::new();
    for (column, _) in manifest.characters.iter().flat_map(|c| &c.extra) {
        if !extra.contains(&column.as_str()) {
            extra.push(column);
        }
    }
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let has_ids = manifest
        .characters
        .iter()
        .any(|c| c.group_id.is_some() || c.request_id.is_some());
    let ids = OF_PROVIDERS.into_iter().filter(|_| has_ids);
    let header = KNOWN
        .into_iter()
        .chain(ids)
        .chain(extra.iter().copied())
        .map(safe_cell);
    out.write_record(header).expect("writing to memory succeeds");
    for c in &manifest.characters {
        let price = c
            .price_usd
            .map(|p| p.to_string().trim_start_matches('$').to_owned());
        let cell = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut row = vec![
            c.name.clone(),
            c.asset_id.clone(),
            c.kind.as_str().to_owned(),
            c.source.clone(),
            cell(&c.source_sha256),
            cell(&c.published_url),
            price.unwrap_or_default(),
            cell(&c.enrolled_at),
        ];
        if has_ids {
            row.extend([cell(&c.group_id), cell(&c.request_id)]);
        }
        for column in &extra {
            let value = c.extra.iter().find(|(name, _)| name == column);
            row.push(value.map(|(_, value)| value.clone()).unwrap_or_default());
        }
        out.write_record(row.iter().map(|text| safe_cell(text)))
            .expect("writing to memory succeeds");
    }
    out.into_inner().expect("writing to memory succeeds")
}

#[cfg(test)]
mod tests {
    use super::super::tests::manifest;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_cell_is_a_formula_and_every_row_is_whole(name in "\\PC{1,20}", extra in "\\PC{0,20}") {
            let mut manifest = manifest(&[&name, "=1+1"]);
            manifest.characters[0].extra = vec![("@role".to_owned(), extra)];
            manifest.characters[1].extra.clear();
            let bytes = render(&manifest);
            let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
            for row in rows.records() {
                let row = row.unwrap();
                prop_assert_eq!(row.len(), 9);
                for cell in &row {
                    prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
                }
            }
        }
    }
}
