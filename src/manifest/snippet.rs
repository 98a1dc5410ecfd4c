//! Ready requests for AI video with the characters of a manifest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::Manifest;
use crate::cast::printable;

/// The first line, by which a file of this format is known.
const HEAD: &str = "# Requests for AI video with the characters of this cast, written by castline.";

/// What a reader must know, and no request can say.
const NOTES: &str = "\
# Each call takes one asset id, and none of image_url, last_frame_url and reference_image_urls. It costs money.
# Models that take asset ids: bytedance/seedance-2.0, -2.0-fast and -2.0-mini; 2.5 and 1.5-pro refuse them.
# A new id may be \"not found\" for a moment after its enrollment: wait a minute, and try again.
# Set VIDEO_API_URL to the provider's address for video generation, and VIDEO_API_KEY to your key.";

/// A request body that is to be completed by a prompt.
fn body(asset_id: &str) -> serde_json::Value {
    json!({
        "model": "bytedance/seedance-2.0-fast",
        "prompt": "…",
        "real_face_asset_id": asset_id,
        "duration_seconds": 5,
    })
}

/// The requests: one with curl, all in Python, and the bodies as JSON, a line each.
pub(super) fn render(manifest: &Manifest) -> Vec<u8> {
    let mut text = format!("{HEAD}\n{NOTES}\n");
    if manifest.sandbox || manifest.stand_in {
        text.push_str("# These ids are a sandbox's: no provider knows them.\n");
    }
    let mut add = |line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("writing to memory succeeds");
    };
    if let Some(first) = manifest.characters.first() {
        add(format_args!(
            "\n# --- curl: {} ---\ncurl \"$VIDEO_API_URL\" -H \"Authorization: Bearer $VIDEO_API_KEY\" \\\n  -H \"Content-Type: \
             application/json\" \\\n  --data-binary @- <<'JSON'\n{}\nJSON\n",
            printable(&first.name),
            body(&first.asset_id)
        ));
    }
    let cast: BTreeMap<&str, &str> = manifest
        .characters
        .iter()
        .map(|c| (c.name.as_str(), c.asset_id.as_str()))
        .collect();
    // A JSON object of strings is a Python dictionary as well.
    let cast = serde_json::to_string_pretty(&cast).expect("a map of texts is plain data");
    add(format_args!(
        "\n# --- Python: any character ---\nimport json, os, urllib.request\n\nCAST = {cast}\n\n\ndef video(character, \
         prompt, seconds=5, model=\"bytedance/seedance-2.0-fast\"):\n    body = {{\"model\": model, \"prompt\": prompt, \
         \"duration_seconds\": seconds,\n            \"real_face_asset_id\": CAST[character]}}\n    headers = \
         {{\"Authorization\": \"Bearer \" + os.environ[\"VIDEO_API_KEY\"],\n               \"Content-Type\": \
         \"application/json\"}}\n    request = urllib.request.Request(os.environ[\"VIDEO_API_URL\"], \
         json.dumps(body).encode(), headers)\n    return json.load(urllib.request.urlopen(request))\n"
    ));
    add(format_args!("\n# --- JSON: each character ---\n"));
    for c in &manifest.characters {
        add(format_args!("# {}\n{}\n", printable(&c.name), body(&c.asset_id)));
    }
    text.into_bytes()
}

/// Whether these bytes begin like the output of [`render`].
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(HEAD.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::tests::manifest;
    use super::*;

    /// The text between two headings.
    fn part<'a>(text: &'a str, from: &str) -> &'a str {
        let start = text.find(from).unwrap() + from.len();
        let rest = &text[start..];
        &rest[..rest.find("\n# --- ").unwrap_or(rest.len())]
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        let names = ["$(rm -rf ~)\"'\nJSON\n", "Zoë \\ \"Z\""];
        let text = String::from_utf8(render(&manifest(&names))).unwrap();
        let curl = part(&text, "--- curl: ");
        assert_eq!(curl.matches("\nJSON").count(), 1, "{curl}");
        let bodies = part(&text, "--- JSON: each character ---\n");
        let ids: Vec<String> = bodies
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|body| body["real_face_asset_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids, ["ta_0", "ta_1"]);
    }
}
