//! Verdicts of the inspection, and their reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether an image may be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Exactly one clearly visible face, in an image that the API accepts.
    Suitable,
    /// A person must decide; enrolled only when approved.
    Review,
    /// The API would reject it, or it shows no face, or several.
    Unsuitable,
}

impl Verdict {
    /// The worse of two verdicts.
    pub fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unsuitable, _) | (_, Self::Unsuitable) => Self::Unsuitable,
            (Self::Review, _) | (_, Self::Review) => Self::Review,
            _ => Self::Suitable,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suitable => "suitable",
            Self::Review => "review",
            Self::Unsuitable => "unsuitable",
        })
    }
}

/// Why an image is not suitable, as fixed codes for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// No face, or none that is clearly visible.
    NoFace,
    /// More than one face.
    SeveralFaces,
    /// The face is a small part of the image.
    FaceTooSmall,
    /// The face reaches the image's edge.
    FaceCutOff,
    /// The face is covered. Not used yet: the network's scores of covered and of plain faces overlap too much
    /// (`models/README.md`); a covered face is suitable, or for review with `no_face`.
    FaceCovered,
    /// A side is under the API's 300 px.
    TooSmall,
    /// Width over height is outside the API's 0.4–2.5.
    BadRatio,
    /// The face is out of focus, or enlarged from too few pixels.
    Blurry,
    /// The face is too dark.
    TooDark,
    /// The face is too bright.
    TooBright,
    /// The face has little contrast.
    LowContrast,
    /// The image has a high dynamic range, which no format that is published has.
    Hdr,
    /// The file ends before its picture does.
    Truncated,
    /// The file can't be read as an image.
    Unreadable,
    /// The image has more pixels or bytes than are decoded.
    TooLarge,
    /// Another character has the same image, or a near-duplicate.
    DuplicateOf(String),
}

/// Formats as `no_face`, `duplicate_of:NAME`, …
impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self {
            Self::NoFace => "no_face",
            Self::SeveralFaces => "several_faces",
            Self::FaceTooSmall => "face_too_small",
            Self::FaceCutOff => "face_cut_off",
            Self::FaceCovered => "face_covered",
            Self::TooSmall => "too_small",
            Self::BadRatio => "bad_ratio",
            Self::Blurry => "blurry",
            Self::TooDark => "too_dark",
            Self::TooBright => "too_bright",
            Self::LowContrast => "low_contrast",
            Self::Hdr => "hdr",
            Self::Truncated => "truncated",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::DuplicateOf(name) => return write!(f, "duplicate_of:{name}"),
        };
        f.write_str(code)
    }
}

/// A reason why an image is not suitable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The code, for scripts.
    pub code: ReasonCode,
    /// The message for people, which says how to fix it.
    pub message: String,
}

/// A face, in pixels of the image as it is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
    /// How likely it is a face, 0–1.
    pub score: f32,
}

/// The result of inspecting an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Whether it may be enrolled.
    pub verdict: Verdict,
    /// Why the image is not suitable; empty if it is.
    pub reasons: Vec<Reason>,
    /// The faces that count, the most likely first.
    pub faces: Vec<Face>,
    /// Width in pixels, as displayed; 0 when unreadable.
    pub width: u32,
    /// Height in pixels, as displayed; 0 when unreadable.
    pub height: u32,
    /// Signature for finding near-duplicates; `None` when unreadable.
    pub signature: Option<super::ImageSignature>,
}

impl Inspection {
    /// What was seen of a face, in words that agree with the verdict: `one face, 97 % sure`; empty for an image that can't
    /// be read.
    pub fn seen(&self) -> String {
        let has = |code: &ReasonCode| self.reasons.iter().any(|reason| reason.code == *code);
        let Some(best) = self.faces.first() else {
            return match self.width {
                0 => String::new(),
                _ => "no face found".to_owned(),
            };
        };
        let sure = format!("{:.0}\u{a0}%", best.score * 100.0);
        match (has(&ReasonCode::NoFace), has(&ReasonCode::SeveralFaces)) {
            (true, _) => format!("perhaps a face, {sure}"),
            (false, false) => format!("one face, {sure} sure"),
            (false, true) if self.verdict == Verdict::Unsuitable => {
                format!("{} faces", self.faces.len().max(2))
            }
            (false, true) => "one face, perhaps a second".to_owned(),
        }
    }

    /// The inspection of a file that can't be read as an image.
    pub fn unreadable(code: ReasonCode, message: String) -> Self {
        let reasons = vec![Reason { code, message }];
        Self {
            verdict: Verdict::Unsuitable,
            reasons,
            faces: Vec::new(),
            width: 0,
            height: 0,
            signature: None,
        }
    }

    /// Adds a reason, and makes the verdict no better than `verdict`.
    pub(super) fn add_reason(&mut self, verdict: Verdict, code: ReasonCode, message: String) {
        self.verdict = self.verdict.worse(verdict);
        self.reasons.push(Reason { code, message });
    }

    /// Whether the image is marked as a duplicate.
    pub fn is_duplicate(&self) -> bool {
        let duplicate = |reason: &Reason| matches!(reason.code, ReasonCode::DuplicateOf(_));
        self.reasons.iter().any(duplicate)
    }

    /// Marks the image as a duplicate of that of `other`, for review; `message` says so, and what to do.
    pub fn mark_duplicate(&mut self, other: &str, message: String) {
        let code = ReasonCode::DuplicateOf(other.to_owned());
        // An inspection from the ledger may be marked already.
        if self.reasons.iter().any(|reason| reason.code == code) {
            return;
        }
        self.add_reason(Verdict::Review, code, message);
    }
}
