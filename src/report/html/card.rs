//! The card of one character on the contact sheet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use crate::inspect::{Face, Inspection, Thumbnail, Verdict};
use crate::plan::Standing;
use crate::util::money::Usd;

/// The card of one character. Texts must be printable (`cast::printable`).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Card {
    /// The name of the character.
    pub name: String,
    /// The character that it is a look of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub character: Option<String>,
    /// Its image, as the cast gives it; never a signed address.
    pub source: String,
    /// Its standing.
    pub standing: Standing,
    /// The verdict on its image, if inspected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// A thumbnail of the image.
    #[serde(serialize_with = "data_uri", skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Thumbnail>,
    /// Width and height of the image in pixels, the coordinates of `faces`; 0 when unreadable.
    pub size: [u32; 2],
    /// The faces, by descending score, each as x, y, width, height and score.
    #[serde(serialize_with = "boxes")]
    pub faces: Vec<Face>,
    /// What is wrong, and how to fix it; in sentences.
    pub reasons: Vec<String>,
    /// Its asset id, if enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_id: Option<String>,
    /// The past or future cost.
    #[serde(serialize_with = "amount", skip_serializing_if = "Option::is_none")]
    pub cost: Option<Usd>,
}

impl Card {
    /// Adds the results of an inspection.
    pub fn seen(mut self, inspection: &Inspection) -> Self {
        self.verdict = Some(inspection.verdict);
        self.size = [inspection.width, inspection.height];
        self.faces.clone_from(&inspection.faces);
        self.reasons = inspection
            .reasons
            .iter()
            .map(|r| crate::cast::printable(&r.message))
            .collect();
        self
    }
}

fn data_uri<S: Serializer>(thumbnail: &Option<Thumbnail>, serializer: S) -> Result<S::Ok, S::Error> {
    let jpeg = thumbnail.as_ref().map_or(&[][..], |t| &t.jpeg);
    serializer.collect_str(&format_args!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}

/// Serializes faces rounded to tenths of pixels and hundredths of scores: enough to draw, and a smaller file.
fn boxes<S: Serializer>(faces: &[Face], serializer: S) -> Result<S::Ok, S::Error> {
    let rounded = |value: f32, steps: f64| (f64::from(value) * steps).round() / steps;
    serializer.collect_seq(faces.iter().map(|f| {
        [
            rounded(f.x, 10.0),
            rounded(f.y, 10.0),
            rounded(f.width, 10.0),
            rounded(f.height, 10.0),
            rounded(f.score, 100.0),
        ]
    }))
}

fn amount<S: Serializer>(cost: &Option<Usd>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&cost.unwrap_or_default())
}
