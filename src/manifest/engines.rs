//! Formats for game engines, as their importers require.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Manifest, ManifestError, ManifestFormat};

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
    let item = |c: &super::ManifestEntry| json!({"name": c.name, "assetId": c.asset_id});
    json!({"items": manifest.characters.iter().map(item).collect::<Vec<_>>()})
}

/// Unreal's DataTable as JSON: a top-level array, the row name as `Name`.
pub(super) fn unreal_json(manifest: &Manifest) -> Result<Value, ManifestError> {
    let rows = rows_of(manifest)?;
    let row = |(slug, c): (String, &super::ManifestEntry)| json!({"Name": slug, "DisplayName": c.name, "AssetId": c.asset_id});
    Ok(rows.into_iter().zip(&manifest.characters).map(row).collect())
}

/// Unreal's DataTable as CSV: the row name first, under `---`; the other headers are properties of the row's struct.
/// An import replaces the whole table, so all rows are always included.
pub(super) fn unreal_csv(manifest: &Manifest) -> Result<Vec<u8>, ManifestError> {
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    out.write_record(UNREAL).expect("writing to memory succeeds");
    for (slug, c) in rows_of(manifest)?.iter().zip(&manifest.characters) {
        out.write_record([slug, &c.name, &c.asset_id])
            .expect("writing to memory succeeds");
    }
    Ok(out.into_inner().expect("writing to memory succeeds"))
}

/// The columns of Unreal's CSV.
const UNREAL: [&str; 3] = ["---", "DisplayName", "AssetId"];

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
pub fn row_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, ManifestError> {
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
            "---,DisplayName,AssetId\r\nZoë_the_Amber,\"Zoë, \"\"the Amber\"\"\",ta_0\r\nRen,Ren,ta_1\r\n"
        );
        let json = unreal_json(&manifest(&["Ren K"])).unwrap();
        assert_eq!(
            json,
            json!([{"Name": "Ren_K", "DisplayName": "Ren K", "AssetId": "ta_0"}])
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
            json!({"items": [{"name": "Ren", "assetId": "ta_0"}]})
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
