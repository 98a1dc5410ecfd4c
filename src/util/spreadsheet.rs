//! What spreadsheets need of a CSV.

/// By this Excel knows that a CSV is UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// A cell that no spreadsheet takes for a formula: one that begins with `= + - @`, a tab or a carriage return gets an
/// apostrophe, which marks it as text.
pub fn safe_cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
