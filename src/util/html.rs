//! What the pages for people share: data that can't break out of them, and a policy that names their own code.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// JSON that can stand in a `<script>`: nothing in it can end the element or begin a comment.
pub(crate) fn escape_json_for_script(json: &serde_json::Value) -> String {
    json.to_string().replace('<', "\\u003c")
}

/// An inline script or style, as a Content-Security-Policy names it: `'sha256-…'`.
pub(crate) fn csp_hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
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
