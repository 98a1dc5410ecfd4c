//! Formats for game engines, as their importers require.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{Manifest, ManifestError, ManifestFormat};
use crate::util::seen_hashes::SeenHashes;

/// A flat object, `{"name":"ta_…"}`, in the order of the manifest.
pub(super) fn map(manifest: &Manifest) -> Value {
    let pairs = manifest
        .characters
        .iter()
        .map(|c| (c.name.clone(), Value::from(c.asset_id.clone())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// JSON for Unity's `JsonUtility`, which reads neither a top-level array nor a map: an object with one array.
pub(super) fn unity_json(manifest: &Manifest) -> Value {
    let columns = properties(manifest, Style::Camel, &["name", "assetId"]);
    let item = |c: &super::ManifestEntry| {
        let mut item = json!({"name": c.name, "assetId": c.asset_id});
        for (column, property) in &columns {
            item[property] = value_of(c, column).into();
        }
        item
    };
    json!({"items": manifest.characters.iter().map(item).collect::<Vec<_>>()})
}

/// Unreal's DataTable as JSON: a top-level array, the row name as `Name`.
pub(super) fn unreal_json(manifest: &Manifest) -> Result<Value, ManifestError> {
    let rows = rows_of(manifest)?;
    let columns = properties(manifest, Style::Pascal, &["Name", "DisplayName", "AssetId"]);
    let row = |(slug, c): (String, &super::ManifestEntry)| {
        let mut row = json!({"Name": slug, "DisplayName": c.name, "AssetId": c.asset_id});
        for (column, property) in &columns {
            row[property] = value_of(c, column).into();
        }
        row
    };
    Ok(rows.into_iter().zip(&manifest.characters).map(row).collect())
}

/// Unreal's DataTable as CSV: the row name first, under `---`; the other headers are properties of the row's struct.
/// An import replaces the whole table, so all rows are always included.
pub(super) fn unreal_csv(manifest: &Manifest) -> Result<Vec<u8>, ManifestError> {
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let columns = properties(manifest, Style::Pascal, &["Name", "DisplayName", "AssetId"]);
    let others = columns.iter().map(|(_, property)| property.as_str());
    out.write_record(UNREAL.into_iter().chain(others))
        .expect("writing to memory succeeds");
    for (slug, c) in rows_of(manifest)?.iter().zip(&manifest.characters) {
        let others = columns.iter().map(|(column, _)| value_of(c, column));
        let row = [slug.as_str(), &c.name, &c.asset_id];
        out.write_record(row.into_iter().chain(others))
            .expect("writing to memory succeeds");
    }
    Ok(out.into_inner().expect("writing to memory succeeds"))
}

/// The columns of Unreal's CSV.
const UNREAL: [&str; 3] = ["---", "DisplayName", "AssetId"];

/// How the names of properties are written.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// `VoiceActor`, as in Unreal's structs.
    Pascal,
    /// `voiceActor`, as in Unity's classes.
    Camel,
}

/// The other columns of the cast, each with the name of its property: letters and digits alone, unique without case, and
/// none of `taken`.
fn properties(manifest: &Manifest, style: Style, taken: &[&str]) -> Vec<(String, String)> {
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut used: HashSet<String> = taken.iter().map(|name| name.to_lowercase()).collect();
    for (column, _) in manifest.characters.iter().flat_map(|c| &c.extra) {
        if columns.iter().any(|(known, _)| known == column) {
            continue;
        }
        let plain = property(column, style);
        let mut name = plain.clone();
        let mut number = 2;
        while !used.insert(name.to_lowercase()) {
            name = format!("{plain}{number}");
            number += 1;
        }
        columns.push((column.clone(), name));
    }
    columns
}

/// The name of a property for a column: `voice actor` becomes `VoiceActor`.
fn property(column: &str, style: Style) -> String {
    let mut name = String::new();
    for word in column
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let mut letters = word.chars();
        let first = letters.next().expect("words are not empty");
        match style == Style::Camel && name.is_empty() {
            true => name.extend(first.to_lowercase()),
            false => name.extend(first.to_uppercase()),
        }
        name.extend(letters);
    }
    // A property begins with a letter.
    match name.chars().next() {
        Some(first) if first.is_alphabetic() => name,
        _ if style == Style::Camel => format!("column{name}"),
        _ => format!("Column{name}"),
    }
}

fn value_of<'a>(entry: &'a super::ManifestEntry, column: &str) -> &'a str {
    let found = entry.extra.iter().find(|(name, _)| name == column);
    found.map_or("", |(_, value)| value)
}

/// Whether these bytes begin like the output of [`unreal_csv`].
pub(super) fn is_csv(bytes: &[u8]) -> bool {
    bytes.starts_with(UNREAL.join(",").as_bytes())
}

/// Whether it has the form of [`map`], [`unity_json`] or [`unreal_json`].
pub(super) fn is_json(json: &Value, format: ManifestFormat) -> bool {
    let all = |rows: &Value, id: &str| {
        let rows = rows.as_array();
        rows.is_some_and(|rows| rows.iter().all(|row| row.get(id).is_some_and(Value::is_string)))
    };
    let mapped = |id: &Value| id.as_str().is_some_and(|id| id.starts_with("ta_"));
    match format {
        ManifestFormat::UnrealJson => all(json, "AssetId"),
        ManifestFormat::UnityJson => json.get("items").is_some_and(|items| all(items, "assetId")),
        ManifestFormat::Map => json.as_object().is_some_and(|map| map.values().all(mapped)),
        _ => false,
    }
}

/// Row names, unique as Unreal compares them: case-insensitively.
///
/// # Errors
/// [`ManifestError::SameRow`], with the first two names that collide.
fn row_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, ManifestError> {
    let mut taken: HashMap<String, &str> = HashMap::new();
    let mut rows = Vec::new();
    for name in names {
        let slug = slug(name);
        if let Some(other) = taken.insert(slug.to_lowercase(), name) {
            return Err(ManifestError::SameRow {
                row: slug,
                one: other.to_owned(),
                other: name.to_owned(),
            });
        }
        rows.push(slug);
    }
    Ok(rows)
}

/// Checks that these names make row names that Unreal tells apart.
///
/// # Errors
/// [`ManifestError::SameRow`], with the first two names that collide.
pub fn check_row_names(names: impl Iterator<Item = String> + Clone) -> Result<(), ManifestError> {
    let mut seen = SeenHashes::default();
    if !(names.clone()).any(|name| seen.may_repeat(&slug(&name).to_lowercase())) {
        return Ok(());
    }
    let names: Vec<String> = names.collect();
    row_names(names.iter().map(String::as_str)).map(drop)
}

fn rows_of(manifest: &Manifest) -> Result<Vec<String>, ManifestError> {
    row_names(manifest.characters.iter().map(|c| c.name.as_str()))
}

/// A row name that Unreal keeps unchanged: letters and digits of any script, with `_` for everything between.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for part in name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
    {
        if !slug.is_empty() {
            slug.push('_');
        }
        slug.push_str(part);
    }
    // A name of only symbols still needs a row; "None" means no name in Unreal.
    match slug.to_lowercase().as_str() {
        "" => name
            .chars()
            .map(|c| format!("u{:x}", u32::from(c)))
            .collect::<Vec<_>>()
            .join("_"),
        "none" => format!("{slug}_"),
        _ => slug,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::manifest;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unreal_rows_have_a_key_column_and_the_real_name() {
        let csv = String::from_utf8(unreal_csv(&manifest(&["Zoë, \"the Amber\"", "Ren"])).unwrap()).unwrap();
        assert_eq!(
            csv,
            "---,DisplayName,AssetId,Role\r\nZoë_the_Amber,\"Zoë, \"\"the Amber\"\"\",ta_0,scout\r\nRen,Ren,ta_1,scout\r\n"
        );
        let json = unreal_json(&manifest(&["Ren K"])).unwrap();
        assert_eq!(
            json,
            json!([{"Name": "Ren_K", "DisplayName": "Ren K", "AssetId": "ta_0", "Role": "scout"}])
        );
    }

    #[test]
    fn other_columns_become_properties_of_their_own() {
        let mut manifest = manifest(&["Ren", "Zoë"]);
        let columns = ["voice actor", "Voice-Actor", "asset id", "2nd", "言語"];
        manifest.characters[1].extra = columns.map(|c| (c.to_owned(), c.to_uppercase())).to_vec();
        let csv = String::from_utf8(unreal_csv(&manifest).unwrap()).unwrap();
        assert!(
            csv.starts_with(
                "---,DisplayName,AssetId,Role,VoiceActor,VoiceActor2,AssetId2,Column2nd,言語\r\n"
            ),
            "{csv}"
        );
        assert_eq!(
            unity_json(&manifest)["items"][1],
            json!({"name": "Zoë", "assetId": "ta_1", "role": "", "voiceActor": "VOICE ACTOR",
                "voiceActor2": "VOICE-ACTOR", "assetId2": "ASSET ID", "column2nd": "2ND", "言語": "言語"})
        );
    }

    #[test]
    fn names_that_become_one_row_are_an_error_with_both() {
        let message = unreal_csv(&manifest(&["Ren-K", "ren k"]))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("Ren-K") && message.contains("ren k") && message.contains("rename"),
            "{message}"
        );
    }

    #[test]
    fn unity_has_an_object_at_the_top() {
        assert_eq!(
            unity_json(&manifest(&["Ren"])),
            json!({"items": [{"name": "Ren", "assetId": "ta_0", "role": "scout"}]})
        );
        assert_eq!(map(&manifest(&["Ren"])), json!({"Ren": "ta_0"}));
    }

    proptest! {
        #[test]
        fn a_row_name_has_nothing_that_unreal_drops(name in "\\PC{1,64}") {
            let slug = slug(&name);
            prop_assert!(!slug.is_empty() && !slug.eq_ignore_ascii_case("none"));
            prop_assert!(!slug.contains(['"', '\'', ',', ' ', '\t']) && !slug.chars().any(char::is_whitespace), "{slug}");
        }
    }
}
