//! The card of one character on the contact sheet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use crate::inspect::{Face, Inspection, ReasonCode, Thumbnail, Verdict};
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
    /// What was seen of a face, in words that agree with the verdict.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub seen: String,
    /// What is wrong, and how to fix it; in sentences.
    pub reasons: Vec<String>,
    /// The cast's other columns, with their headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
    /// Where the original image is, from the report's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
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
        self.faces = counted(inspection);
        self.seen = inspection.seen();
        self.reasons = inspection
            .reasons
            .iter()
            .map(|r| crate::cast::printable(&r.message))
            .collect();
        self
    }
}

/// The faces that the verdict is about: of a suitable image the one that is enrolled, not what else might be one.
fn counted(inspection: &Inspection) -> Vec<Face> {
    let several = inspection
        .reasons
        .iter()
        .any(|r| r.code == ReasonCode::SeveralFaces);
    let count = if several { inspection.faces.len() } else { 1 };
    inspection.faces.iter().take(count).copied().collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Reason;

    fn inspection(verdict: Verdict, codes: &[ReasonCode], scores: &[f32]) -> Inspection {
        let face = |score: &f32| Face {
            x: 0.0,
            y: 0.0,
            width: 9.0,
            height: 9.0,
            score: *score,
        };
        let reason = |code: &ReasonCode| Reason {
            code: code.clone(),
            message: String::new(),
        };
        Inspection {
            verdict,
            reasons: codes.iter().map(reason).collect(),
            faces: scores.iter().map(face).collect(),
            width: 9,
            height: 9,
            signature: None,
        }
    }

    #[test]
    fn what_was_seen_agrees_with_the_verdict() {
        use ReasonCode::{NoFace, SeveralFaces, TooSmall};
        for (verdict, codes, scores, words, boxes) in [
            (
                Verdict::Suitable,
                &[][..],
                &[0.97, 0.2][..],
                "one face, 97\u{a0}% sure",
                1,
            ),
            (Verdict::Review, &[NoFace], &[0.6], "perhaps a face, 60\u{a0}%", 1),
            (Verdict::Unsuitable, &[NoFace], &[], "no face found", 0),
            (
                Verdict::Review,
                &[SeveralFaces],
                &[0.9, 0.4],
                "one face, perhaps a second",
                2,
            ),
            (
                Verdict::Unsuitable,
                &[SeveralFaces],
                &[0.9, 0.8, 0.7],
                "3 faces",
                3,
            ),
            (
                Verdict::Unsuitable,
                &[TooSmall],
                &[0.9],
                "one face, 90\u{a0}% sure",
                1,
            ),
        ] {
            let card = Card::default().seen(&inspection(verdict, codes, scores));
            assert_eq!((card.seen.as_str(), card.faces.len()), (words, boxes));
        }
    }
}
