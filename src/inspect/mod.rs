//! Looks at a picture: bytes in; verdict, reasons and prepared bytes out. No files, no network.

mod decode;
mod faces;
mod likeness;
mod prepare;
mod resize;
mod verdict;

use std::fmt;
use std::str::FromStr;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::decode::{Caps, DecodeError};
use self::faces::{Detector, Found};
pub use likeness::Likeness;
pub use verdict::{Face, Inspection, Reason, ReasonCode, Verdict};

/// The API's least side, in pixels.
pub const MIN_SIDE: u32 = 300;
/// The API's most bytes of a picture; a little less, to be on the safe side of "10 MB".
pub const MAX_BYTES: usize = 9_900_000;
/// The API's least and most width over height.
pub const RATIOS: (f32, f32) = (0.4, 2.5);
/// Raised whenever the same picture could be judged or prepared otherwise than before.
const VERSION: u32 = 1;

/// How pictures are judged and prepared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InspectSettings {
    /// Longest side of a prepared picture, in pixels.
    pub long_side: u32,
    /// Format of prepared pictures.
    pub format: OutputFormat,
    /// JPEG quality, 1–100.
    pub quality: u8,
    /// What transparent art is laid on: red, green, blue.
    pub background: [u8; 3],
    /// More pixels are refused from the header.
    pub max_pixels: u64,
    /// Decoding must not take more bytes.
    pub max_decode_bytes: u64,
    /// When a face is a face.
    pub thresholds: Thresholds,
}

impl Default for InspectSettings {
    fn default() -> Self {
        Self {
            long_side: 1024,
            format: OutputFormat::Jpeg,
            quality: 90,
            background: [128; 3],
            max_pixels: 100_000_000,
            max_decode_bytes: 1 << 30,
            thresholds: Thresholds::default(),
        }
    }
}

/// When a face is a face: scores of 0–1, chosen on labelled game art (see `models/README.md`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// A best face under this: there is none.
    pub none: f32,
    /// A best face from this on is sure.
    pub sure: f32,
    /// A second face from this on is a doubt.
    pub second: f32,
    /// A second face from this on is one.
    pub several: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            none: 0.12,
            sure: 0.5,
            second: 0.24,
            several: 0.32,
        }
    }
}

/// Format of prepared pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Small; the quality is a setting.
    Jpeg,
    /// Lossless.
    Png,
    /// Lossless, smaller than PNG.
    WebP,
}

impl OutputFormat {
    /// As an HTTP header says it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }

    /// As a file name ends, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
        })
    }
}

/// What was typed is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format that the API takes: write jpeg, png or webp")]
pub struct ParseFormatError(String);

impl FromStr for OutputFormat {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, ParseFormatError> {
        match text.to_ascii_lowercase().as_str() {
            "jpeg" | "jpg" => Ok(Self::Jpeg),
            "png" => Ok(Self::Png),
            "webp" => Ok(Self::WebP),
            _ => Err(ParseFormatError(text.to_owned())),
        }
    }
}

/// A picture as it is published: within the API's limits, without metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its format.
    pub format: OutputFormat,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

/// Judges and prepares pictures; shared by all threads.
#[derive(Debug)]
pub struct Inspector {
    settings: InspectSettings,
    fingerprint: String,
}

impl Inspector {
    /// An inspector with these settings.
    pub fn new(settings: InspectSettings) -> Self {
        let mut hash = Sha256::new();
        hash.update(VERSION.to_le_bytes());
        hash.update(serde_json::to_vec(&settings).expect("settings are plain data"));
        let fingerprint = hex::encode(&hash.finalize()[..8]);
        Self {
            settings,
            fingerprint,
        }
    }

    /// Changes whenever the same picture could be judged or prepared otherwise: the key of caches.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Judges a picture.
    pub fn inspect(&self, bytes: &[u8]) -> Inspection {
        match self.fitted(bytes) {
            Ok((picture, dimensions)) => self.judge(&picture, dimensions),
            Err(error) => unreadable(&error),
        }
    }

    /// Judges a picture, and prepares it unless it is unsuitable.
    pub fn inspect_and_prepare(&self, bytes: &[u8]) -> (Inspection, Option<Prepared>) {
        let (picture, dimensions) = match self.fitted(bytes) {
            Ok(fitted) => fitted,
            Err(error) => return (unreadable(&error), None),
        };
        let mut inspection = self.judge(&picture, dimensions);
        if inspection.verdict == Verdict::Unsuitable {
            return (inspection, None);
        }
        let prepared = prepare::encode(&picture, self.settings.format, self.settings.quality);
        if prepared.is_none() {
            let message = format!(
                "as {} it stays over 10 MB; choose another inspect.format",
                self.settings.format
            );
            inspection.object(Verdict::Unsuitable, ReasonCode::TooLarge, message);
        }
        (inspection, prepared)
    }

    /// The picture at the size it is published, and the size it has.
    fn fitted(&self, bytes: &[u8]) -> Result<(RgbImage, (u32, u32)), DecodeError> {
        let caps = Caps {
            pixels: self.settings.max_pixels,
            bytes: self.settings.max_decode_bytes,
        };
        let pixels = decode::decode(bytes, caps)?;
        let fitted = prepare::fit(&pixels, self.settings.long_side, self.settings.background);
        Ok((fitted, pixels.dimensions()))
    }

    fn judge(&self, picture: &RgbImage, (width, height): (u32, u32)) -> Inspection {
        let found = Detector::shared().find(picture);
        let scale = width as f32 / picture.width() as f32;
        let counted = found.iter().filter(|f| f.score >= self.settings.thresholds.none);
        let mut inspection = Inspection {
            verdict: Verdict::Suitable,
            reasons: Vec::new(),
            faces: counted.map(|f| face(*f, scale)).collect(),
            width,
            height,
            likeness: Some(Likeness::of(picture)),
        };
        size(&mut inspection);
        count(&mut inspection, &found, &self.settings.thresholds);
        inspection
    }
}

/// The API's limits of size.
fn size(inspection: &mut Inspection) {
    let (width, height) = (inspection.width, inspection.height);
    if width.min(height) < MIN_SIDE {
        let message =
            format!("{width} × {height} px; each side needs at least {MIN_SIDE} px: export it larger");
        inspection.object(Verdict::Unsuitable, ReasonCode::TooSmall, message);
    }
    let ratio = width as f32 / height as f32;
    if !(RATIOS.0..=RATIOS.1).contains(&ratio) {
        let (least, most) = RATIOS;
        let message = format!("width is {ratio:.2} times the height; {least} to {most} is allowed: crop it");
        inspection.object(Verdict::Unsuitable, ReasonCode::BadRatio, message);
    }
}

/// Exactly one clearly visible face?
fn count(inspection: &mut Inspection, found: &[Found], thresholds: &Thresholds) {
    let best = found.first().map_or(0.0, |f| f.score);
    let second = found.get(1).map_or(0.0, |f| f.score);
    if best < thresholds.none {
        let message = "no face was found: use a front or three-quarter view, eyes open".to_owned();
        inspection.object(Verdict::Unsuitable, ReasonCode::NoFace, message);
    } else if best < thresholds.sure {
        let message = "no face is clearly visible: look at it, and approve it if it shows one".to_owned();
        inspection.object(Verdict::Review, ReasonCode::NoFace, message);
    }
    if second >= thresholds.several {
        let message = "more than one face was found: crop to one".to_owned();
        inspection.object(Verdict::Unsuitable, ReasonCode::SeveralFaces, message);
    } else if second >= thresholds.second {
        let message = "there may be a second face: look at it, and approve it if there is none".to_owned();
        inspection.object(Verdict::Review, ReasonCode::SeveralFaces, message);
    }
}

fn face(found: Found, scale: f32) -> Face {
    let area = found.area.scaled(scale);
    Face {
        x: area.left,
        y: area.top,
        width: area.width(),
        height: area.height(),
        score: found.score,
    }
}

fn unreadable(error: &DecodeError) -> Inspection {
    let code = match error {
        DecodeError::TooManyPixels { .. } | DecodeError::TooManyBytes(_) => ReasonCode::TooLarge,
        _ => ReasonCode::Unreadable,
    };
    Inspection::unreadable(code, error.to_string())
}
