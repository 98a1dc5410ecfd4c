//! Shared by the HTML pages: JSON that can't break out of a script, and hashes for a Content-Security-Policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::util::sha256::sha256;

/// Escapes JSON for use in a `<script>`: nothing in it can end the element or begin a comment.
pub(crate) fn escape_json_for_script(json: &serde_json::Value) -> String {
    json.to_string().replace('<', "\\u003c")
}

/// The hash of an inline script or style for a Content-Security-Policy: `'sha256-…'`.
pub(crate) fn csp_hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(sha256(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_leave_its_element() {
        let json = serde_json::json!({"name": "</script><!--<script>"});
        let text = escape_json_for_script(&json);
        assert!(!text.contains('<'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), json);
    }
}
