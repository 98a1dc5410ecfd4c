//! The manifest, name → asset id, for people and for game engines: a view of the ledger.

mod csv;
mod from_ledger;
mod import;
mod engines;
mod snippet;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::BufReader;
use std::path::Path;

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::cast::{Kind, Look, NameKey};
use crate::inspect::{ImageSignature, known_signature};
use crate::util::money::Usd;
use crate::util::spreadsheet::BYTE_ORDER_MARK;

pub use engines::check_row_names;
pub use from_ledger::{Stored, from_ledger, stored};
pub use import::{import_steps, names};
pub use write::{write_file, write_json, write_json_file};

/// The version of the full JSON form.
pub const SCHEMA: u32 = 1;

/// The asset ids by name, and the origin of each; in a list, or [in the ledger](Stored).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest<C = Vec<ManifestEntry>> {
    /// The version of the form, [`SCHEMA`].
    pub schema: u32,
    /// The version of castline that wrote it.
    pub castline: String,
    /// When it was written, RFC 3339 in UTC.
    pub generated_at: String,
    /// The last run of the ledger.
    pub run: i64,
    /// The provider whose API gave the ids.
    pub provider: String,
    /// The name of the cast's file or folder: another cast beside it has a manifest of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cast: Option<String>,
    /// Whether the ids are only the sandbox's.
    #[serde(default)]
    pub sandbox: bool,
    /// Whether the ids are those of a stand-in on the machine that wrote it, such as `castline sandbox` serves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
    /// The total price of all characters.
    #[serde(default)]
    pub cost_usd: Usd,
    /// The characters that have an id.
    pub characters: C,
    /// The ids of characters with several looks: by character, then by look; the plain look is "".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub looks: BTreeMap<String, BTreeMap<String, String>>,
}

/// One character that has an id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The name, as in the cast.
    pub name: String,
    /// The asset id.
    pub asset_id: String,
    /// How it was enrolled.
    #[serde(default)]
    pub kind: Kind,
    /// The image, as in the cast.
    #[serde(default)]
    pub source: String,
    /// SHA-256 of the image that was enrolled, in hex.
    #[serde(default)]
    pub source_sha256: Option<String>,
    /// How that image looks: with it, a re-saved copy under another name is recognized after an import.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "known_signature"
    )]
    pub signature: Option<ImageSignature>,
    /// The group that the provider put it into: other looks of the same person can join it where that is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The provider's id of the request, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The address where its image was published, without signature.
    #[serde(default)]
    pub published_url: Option<String>,
    /// The price.
    #[serde(default)]
    pub price_usd: Option<Usd>,
    /// When it was enrolled, RFC 3339 in UTC.
    #[serde(default)]
    pub enrolled_at: Option<String>,
    /// Whether it is archived, or no longer in the cast.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// The receipt, in wallet mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<String>,
    /// Extra columns of the cast.
    #[serde(default, with = "columns")]
    pub extra: Vec<(String, String)>,
}

/// How many characters a manifest has: each is read, and none kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of characters")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while list.next_element::<ManifestEntry>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        from.deserialize_seq(Counting)
    }
}

/// The format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ManifestFormat {
    /// Every field of every character
    #[default]
    Json,
    /// One row per character, safe for spreadsheets
    Csv,
    /// A flat object: {"name":"ta_…"}
    Map,
    /// Unreal DataTable as CSV
    UnrealCsv,
    /// Unreal DataTable as JSON
    UnrealJson,
    /// An object that Unity's JsonUtility reads
    UnityJson,
    /// The CSV with a byte-order mark, by which Excel knows that it is UTF-8
    CsvExcel,
    /// Ready requests for AI video: curl, Python, JSON
    Snippet,
}

/// An error of a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file can't be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// Two names would give the same row of a table.
    #[error("{one:?} and {other:?} would both be the row {row}: rename one of them")]
    SameRow {
        /// The row name.
        row: String,
        /// The first name.
        one: String,
        /// The second name.
        other: String,
    },
    /// The file is not a manifest.
    #[error("{path} is not a castline manifest: {problem}")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

impl Manifest {
    /// Creates a manifest of these characters, written now.
    pub fn new(provider: &str, sandbox: bool, run: i64, characters: Vec<ManifestEntry>) -> Self {
        let mut looks = Looks::default();
        for entry in &characters {
            looks.add(&entry.extra, &entry.asset_id);
        }
        Self {
            cost_usd: characters.iter().filter_map(|c| c.price_usd).sum(),
            looks: looks.by_character,
            ..Self::with_characters(provider, sandbox, run, characters)
        }
    }

    /// The same without characters that were removed, for engines.
    pub fn without_removed(mut self) -> Self {
        self.characters.retain(|character| !character.removed);
        self
    }
}

impl<C: DeserializeOwned> Manifest<C> {
    /// Reads a manifest in its full JSON form; unknown fields are ignored. Of its characters is kept what `C` keeps.
    ///
    /// # Errors
    /// The file can't be read, or is not a manifest.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let named = || path.display().to_string();
        let io = |error| ManifestError::Io { path: named(), error };
        let file = std::fs::File::open(path).map_err(io)?;
        serde_json::from_reader(BufReader::with_capacity(1 << 16, file)).map_err(|error| {
            match error.is_io() {
                true => io(error.into()),
                false => ManifestError::Invalid {
                    path: named(),
                    problem: error.to_string(),
                },
            }
        })
    }
}

impl<C> Manifest<C> {
    /// These characters, written now, without their total and their looks.
    fn with_characters(provider: &str, sandbox: bool, run: i64, characters: C) -> Self {
        Self {
            schema: SCHEMA,
            castline: env!("CARGO_PKG_VERSION").to_owned(),
            generated_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            run,
            provider: provider.to_owned(),
            cast: None,
            stand_in: false,
            sandbox,
            cost_usd: Usd::ZERO,
            looks: BTreeMap::new(),
            characters,
        }
    }

    /// The same with other characters.
    fn with<D>(self, characters: D) -> Manifest<D> {
        Manifest {
            schema: self.schema,
            castline: self.castline,
            generated_at: self.generated_at,
            run: self.run,
            provider: self.provider,
            cast: self.cast,
            stand_in: self.stand_in,
            sandbox: self.sandbox,
            cost_usd: self.cost_usd,
            looks: self.looks,
            characters,
        }
    }
}

/// The ids of the characters that have looks, each under the first spelling of its character.
#[derive(Default)]
struct Looks {
    by_character: BTreeMap<String, BTreeMap<String, String>>,
    spelled: HashMap<NameKey, String>,
}

impl Looks {
    /// Adds the id of a character with these columns.
    fn add(&mut self, columns: &[(String, String)], asset_id: &str) {
        if let Some(look) = Look::of(columns)
            && let Some(key) = look.character_key()
        {
            let spelled = self.spelled.entry(key);
            let character = spelled.or_insert_with(|| look.character.to_owned());
            let of_character = self.by_character.entry(character.clone()).or_default();
            of_character.insert(look.look.to_owned(), asset_id.to_owned());
        }
    }
}

/// Renders the manifest as the bytes of a file.
///
/// # Errors
/// The format can't represent it.
pub fn render(manifest: &Manifest, format: ManifestFormat) -> Result<Vec<u8>, ManifestError> {
    let json = match format {
        ManifestFormat::Csv => return Ok(csv::render(manifest)),
        ManifestFormat::CsvExcel => {
            return Ok([BYTE_ORDER_MARK, &csv::render(manifest)].concat());
        }
        ManifestFormat::Snippet => return Ok(snippet::render(manifest)),
        ManifestFormat::UnrealCsv => return engines::unreal_csv(manifest),
        ManifestFormat::Json => return Ok(pretty(manifest)),
        ManifestFormat::Map => engines::map(manifest),
        ManifestFormat::UnrealJson => engines::unreal_json(manifest)?,
        ManifestFormat::UnityJson => engines::unity_json(manifest),
    };
    Ok(pretty(&json))
}

fn pretty(json: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(json).expect("plain data");
    bytes.push(b'\n');
    bytes
}

/// Whether these bytes are a manifest that castline wrote in this format.
pub fn is_one(bytes: &[u8], format: ManifestFormat) -> bool {
    let json = || serde_json::from_slice::<serde_json::Value>(bytes).ok();
    match format {
        ManifestFormat::Csv => csv::is_one(bytes),
        ManifestFormat::CsvExcel => bytes.strip_prefix(BYTE_ORDER_MARK).is_some_and(csv::is_one),
        ManifestFormat::Snippet => snippet::is_one(bytes),
        ManifestFormat::UnrealCsv => engines::is_csv(bytes),
        ManifestFormat::Json => serde_json::from_slice::<Manifest<Count>>(bytes).is_ok(),
        _ => json().is_some_and(|json| engines::is_json(&json, format)),
    }
}

/// Extra columns as a JSON object that keeps their order.
mod columns {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::{Map, Value};

    pub(super) fn serialize<S: Serializer>(columns: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
        let object: Map<String, Value> = columns
            .iter()
            .map(|(k, v)| (k.clone(), v.clone().into()))
            .collect();
        object.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
        let object: Map<String, Value> = Map::deserialize(from)?;
        let text = |v: Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        Ok(object.into_iter().map(|(k, v)| (k, text(v))).collect())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    /// A manifest of these names, with the ids `ta_0`, `ta_1`, …
    pub(super) fn manifest(names: &[&str]) -> Manifest {
        let entry = |(n, name): (usize, &&str)| ManifestEntry {
            name: (*name).to_owned(),
            asset_id: format!("ta_{n}"),
            kind: Kind::Portrait,
            source: "art/a.png".to_owned(),
            source_sha256: Some("ab".repeat(32)),
            signature: None,
            group_id: None,
            request_id: None,
            published_url: Some("https://x.example/k.jpg".to_owned()),
            price_usd: Some(Usd::from_micros(10_300)),
            enrolled_at: Some("2026-01-01T00:00:00Z".to_owned()),
            removed: false,
            settlement: None,
            extra: vec![("role".to_owned(), "scout".to_owned())],
        };
        Manifest::new(
            "https://api.example",
            false,
            1,
            names.iter().enumerate().map(entry).collect(),
        )
    }

    #[test]
    fn what_is_written_is_read_again_and_unknown_fields_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let written = manifest(&["Ren", "Zoë"]);
        write_file(&path, &written, ManifestFormat::Json).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), written);

        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replacen('{', "{\"later\": [1],", 1);
        std::fs::write(&path, text).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), written);
        std::fs::write(&path, "[]").unwrap();
        assert!(
            Manifest::<Count>::read(&path)
                .unwrap_err()
                .to_string()
                .contains("not a castline manifest")
        );
    }

    #[test]
    fn a_manifest_is_known_in_every_format_and_nothing_else_is_taken_for_one() {
        for names in [&["Ren", "Zoë"][..], &[]] {
            for format in ManifestFormat::value_variants() {
                let bytes = render(&manifest(names), *format).unwrap();
                assert!(is_one(&bytes, *format), "{format:?} of {names:?}");
            }
        }
        for other in [
            "name,image,role\nRen,ren.png,scout\n",
            "name,asset_id\nRen,ta_1\n",
            "buy milk\n",
            r#"{"name": "my site", "icons": []}"#,
            r#"{"castline_plan": 1}"#,
            r#"[{"Name": "Ren"}]"#,
            r#"{"items": [1]}"#,
            "7",
        ] {
            for format in ManifestFormat::value_variants() {
                assert!(!is_one(other.as_bytes(), *format), "{other}");
            }
        }
    }

    #[test]
    fn a_manifest_that_can_not_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, "old").unwrap();
        assert!(write_file(&path, &manifest(&["A b", "A-b"]), ManifestFormat::UnrealCsv).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
