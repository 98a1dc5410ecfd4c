//! Inspects an image: bytes in; verdict, reasons and prepared bytes out. No files, no network.

mod as_is;
pub mod confusion;
mod crop;
mod decode;
mod faces;
mod ground;
mod jpeg;
mod measure;
mod near_duplicate;
mod prepare;
mod quality;
mod resize;
pub mod suggest;
mod thumbnail;
mod truncated;
mod verdict;

use std::fmt;
use std::str::FromStr;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::decode::{Caps, DecodeError, Pixels};
use self::faces::calibration::comparable;
use self::faces::{Detector, Found};
pub use crop::Crop;
pub use decode::decoded_bytes;
pub use faces::Evidence;
pub use near_duplicate::{ImageSignature, SignatureIndex, known_signature};
pub use thumbnail::{Thumbnail, ThumbnailSize};
pub use verdict::{Face, Inspection, Reason, ReasonCode, Verdict};

/// The API's minimum for each side, in pixels.
pub const MIN_SIDE: u32 = 300;
/// The API's maximum for each side, in pixels.
pub const MAX_SIDE: u32 = 6000;
/// The API's maximum size of an image, in bytes: a little less than its "10 MB", to be safe.
pub const MAX_BYTES: usize = 9_900_000;
/// The API's minimum and maximum of width over height.
pub const RATIOS: (f32, f32) = (0.4, 2.5);
/// Version of the inspection, increased whenever an image could be judged or prepared differently than before.
const VERSION: u32 = 14;

/// How images are judged and prepared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InspectSettings {
    /// Longest side of a prepared image, in pixels.
    pub long_side: u32,
    /// Format of prepared images.
    pub format: OutputFormat,
    /// JPEG quality, 1–100.
    pub quality: u8,
    /// Background of transparent images: red, green, blue.
    pub background: [u8; 3],
    /// Images with more pixels are refused from their header.
    pub max_pixels: u64,
    /// Maximum memory for decoding, in bytes.
    pub max_decode_bytes: u64,
    /// Whether a prepared image is cropped.
    pub crop: Crop,
    /// Margin around the face in a crop, in multiples of the face's size.
    pub margin: f32,
    /// A prepared image is kept large enough for its face to have this many pixels, if the source has them.
    pub face_px: u32,
    /// Thresholds for judging faces.
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
            crop: Crop::None,
            margin: 1.0,
            face_px: 0,
            thresholds: Thresholds::default(),
        }
    }
}

/// Thresholds for judging faces. Scores are likelihoods, 0–1, calibrated on labelled game art
/// (`models/README.md`); `castline eval` measures the effect of other thresholds on a studio's own images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// If the best face scores below this, the image has no face. Higher: fewer reviews, more faces missed.
    pub none: f32,
    /// A best face with at least this score is certain. Lower: fewer reviews, more money spent on images without a
    /// face.
    pub sure: f32,
    /// A second face with at least this score needs review; scores of much smaller faces are lowered first.
    pub second: f32,
    /// A second face with at least this score makes the image unsuitable.
    pub several: f32,
    /// Minimum fraction of the face's box that is inside the image.
    pub cut_off: f32,
    /// Minimum of the face's longer side over the image's; 1.5 times this where the face is not certain.
    pub least_size: f32,
    /// Minimum mean luma of the middle of the face, 0–255.
    pub dark: f32,
    /// Maximum mean luma of the middle of the face, 0–255.
    pub bright: f32,
    /// Minimum standard deviation of the face's luma, 0–255.
    pub contrast: f32,
    /// Minimum sharpness: what a 64² copy of the face loses when blurred by one pixel, where it loses most, over the
    /// contrast.
    pub sharp: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            none: 0.08,
            sure: 0.84,
            second: 0.25,
            several: 0.75,
            cut_off: 0.75,
            // Measured on 472 single faces of game art: the minima are .08 of the side, luma 27 (maximum 233),
            // contrast 18, sharpness .35 (.18 where few pixels were enlarged); blurred by 5 % of their size,
            // 98 % of them are under .17.
            least_size: 0.06,
            dark: 14.0,
            bright: 243.0,
            contrast: 8.0,
            sharp: 0.17,
        }
    }
}

/// Format of prepared images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// JPEG: small; the quality is a setting.
    Jpeg,
    /// PNG: lossless.
    Png,
    /// WebP: lossless, smaller than PNG.
    WebP,
}

impl OutputFormat {
    /// The media type, as in an HTTP header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }

    /// The file extension, without the dot.
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

/// The text is not an output format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a format that the API accepts: use jpeg, png or webp")]
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

/// An image prepared for publishing: within the API's limits, without metadata.
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

/// Judges and prepares images; shared by all threads.
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

    /// Fingerprint of version and settings, a key for caches: it changes whenever an image could be judged or prepared
    /// differently.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Judges an image.
    pub fn inspect(&self, bytes: &[u8]) -> Inspection {
        self.inspect_and_prepare(bytes, |_| false).0
    }

    /// Judges an image, and prepares it where that is `wanted` of what was found: both take one decoding.
    pub fn inspect_and_prepare(
        &self,
        bytes: &[u8],
        wanted: impl FnOnce(&Inspection) -> bool,
    ) -> (Inspection, Option<Prepared>) {
        let pixels = match self.decode(bytes) {
            Ok(pixels) => pixels,
            Err(error) => return (unreadable(&error), None),
        };
        let picture = self.fitted(&pixels);
        let mut inspection = self.judge_file(bytes, &picture, pixels.dimensions());
        if !wanted(&inspection) {
            return (inspection, None);
        }
        let around_face = self.around_face(&pixels, &inspection);
        let as_is = match around_face {
            None => self.as_is(bytes, &pixels),
            Some(_) => None,
        };
        let encode = || {
            let picture = around_face.as_ref().unwrap_or(&picture);
            prepare::encode(picture, self.settings.format, self.settings.quality)
        };
        let prepared = as_is.or_else(encode);
        if prepared.is_none() {
            let message = format!(
                "as {} the image stays over 10 MB: choose another inspect.format",
                self.settings.format
            );
            inspection.add_reason(Verdict::Unsuitable, ReasonCode::TooLarge, message);
        }
        (inspection, prepared)
    }

    /// Prepares an image that was judged before; `None` when that fails.
    pub fn prepare(&self, bytes: &[u8], inspection: &Inspection) -> Option<Prepared> {
        let pixels = self.decode(bytes).ok()?;
        let picture = match self.around_face(&pixels, inspection) {
            Some(picture) => picture,
            None => match self.as_is(bytes, &pixels) {
                Some(prepared) => return Some(prepared),
                None => self.fitted(&pixels),
            },
        };
        prepare::encode(&picture, self.settings.format, self.settings.quality)
    }

    /// The file itself, without its metadata, if it satisfies every limit as it is: that keeps its quality.
    fn as_is(&self, bytes: &[u8], pixels: &Pixels) -> Option<Prepared> {
        let (width, height) = pixels.dimensions();
        let fits = width.max(height) <= self.settings.long_side;
        if !fits || self.settings.format != OutputFormat::Jpeg {
            return None;
        }
        let bytes = as_is::jpeg(bytes).filter(|bytes| bytes.len() <= MAX_BYTES)?;
        Some(Prepared {
            bytes,
            format: OutputFormat::Jpeg,
            width,
            height,
        })
    }

    /// Whether two files show the same picture, whatever their encoding and size.
    pub fn show_the_same(&self, one: &[u8], other: &[u8]) -> bool {
        let signature = |bytes| Some(ImageSignature::of(&self.fitted(&self.decode(bytes).ok()?)));
        match (signature(one), signature(other)) {
            (Some(one), Some(other)) => one.is_near(&other),
            _ => false,
        }
    }

    /// A thumbnail for people; `None` when the image can't be read.
    pub fn thumbnail(&self, bytes: &[u8], size: ThumbnailSize) -> Option<Thumbnail> {
        let pixels = self.decode(bytes).ok()?;
        thumbnail::of(&self.fitted(&pixels), size)
    }

    /// The uncropped image at its published size, as a JPEG for people; `None` when it can't be read.
    pub fn preview(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let pixels = self.decode(bytes).ok()?;
        prepare::jpeg(&self.fitted(&pixels), 88)
    }

    /// The image cropped to its face, or kept larger for it; `None` unless the settings ask for either.
    fn around_face(&self, pixels: &Pixels, inspection: &Inspection) -> Option<RgbImage> {
        let face = inspection.faces.first()?;
        let settings = &self.settings;
        let area = match settings.crop {
            Crop::Portrait => crop::portrait(face, pixels.dimensions(), settings.margin),
            Crop::None => crop::whole(pixels.dimensions()),
        };
        let longer = area.width.max(area.height) as f32;
        let for_face = settings.face_px as f32 * longer / face.width.max(face.height).max(1.0);
        let long_side = settings
            .long_side
            .max(for_face.ceil().min(MAX_SIDE as f32) as u32);
        let same = settings.crop == Crop::None && long_side == settings.long_side;
        (!same).then(|| prepare::fit(&crop::cut(pixels, area), long_side))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Pixels, DecodeError> {
        let caps = Caps {
            pixels: self.settings.max_pixels,
            bytes: self.settings.max_decode_bytes,
        };
        decode::decode(bytes, caps, self.settings.background)
    }

    /// The image at its published size.
    fn fitted(&self, pixels: &Pixels) -> RgbImage {
        prepare::fit(pixels, self.settings.long_side)
    }

    /// As [`Inspector::judge`], with what only the file says.
    fn judge_file(&self, bytes: &[u8], picture: &RgbImage, dimensions: (u32, u32)) -> Inspection {
        let mut inspection = self.judge(picture, dimensions);
        hdr(&mut inspection, bytes);
        inspection
    }

    /// Judges a decoded image at its published size; `dimensions` are those of the source.
    pub fn judge(&self, picture: &RgbImage, dimensions: (u32, u32)) -> Inspection {
        let (mut inspection, _) = self.judge_faces(picture, dimensions);
        size(&mut inspection);
        inspection
    }

    /// Judges the faces; also returns the likelihoods of the clearest one, and of a comparable second one.
    fn judge_faces(&self, picture: &RgbImage, (width, height): (u32, u32)) -> (Inspection, [f32; 2]) {
        let thresholds = &self.settings.thresholds;
        let found = Detector::shared().find(picture);
        let scale = width as f32 / picture.width() as f32;
        let mut inspection = Inspection {
            verdict: Verdict::Suitable,
            reasons: Vec::new(),
            faces: counted(&found, thresholds).map(|f| face(*f, scale)).collect(),
            width,
            height,
            signature: Some(ImageSignature::of(picture)),
        };
        count(&mut inspection, &found, thresholds);
        if inspection.verdict != Verdict::Unsuitable
            && let Some(face) = found.first()
        {
            quality::judge(&mut inspection, picture, face, thresholds);
        }
        let best = found.first().map_or(0.0, |f| f.score);
        (inspection, [best, second(&found)])
    }
}

/// Checks that the image shows on every screen what its maker sees.
fn hdr(inspection: &mut Inspection, bytes: &[u8]) {
    if let Some(curve) = decode::hdr(bytes) {
        let message = format!(
            "the image has a high dynamic range ({curve}), and would be published pale: export it as sRGB, or \
             approve it as it is"
        );
        inspection.add_reason(Verdict::Review, ReasonCode::Hdr, message);
    }
}

/// Checks the API's limits of size and proportions.
fn size(inspection: &mut Inspection) {
    let (width, height) = (inspection.width, inspection.height);
    if width.min(height) < MIN_SIDE {
        let message =
            format!("{width} × {height} px; each side needs at least {MIN_SIDE} px: export it larger");
        inspection.add_reason(Verdict::Unsuitable, ReasonCode::TooSmall, message);
    }
    let ratio = width as f32 / height as f32;
    if !(RATIOS.0..=RATIOS.1).contains(&ratio) {
        let (least, most) = RATIOS;
        let message = format!("width is {ratio:.2} times the height; {least} to {most} is allowed: crop it");
        inspection.add_reason(Verdict::Unsuitable, ReasonCode::BadRatio, message);
    }
}

/// Checks that there is exactly one clearly visible face.
fn count(inspection: &mut Inspection, found: &[Found], thresholds: &Thresholds) {
    let best = found.first().map_or(0.0, |f| f.score);
    let second = second(found);
    if best < thresholds.none {
        let message = "no face was found: use a front or three-quarter view, eyes open".to_owned();
        inspection.add_reason(Verdict::Unsuitable, ReasonCode::NoFace, message);
    } else if best < thresholds.sure {
        let message =
            "no face is clearly visible: review the image, and approve it if it shows one".to_owned();
        inspection.add_reason(Verdict::Review, ReasonCode::NoFace, message);
    }
    if second >= thresholds.several {
        let message = "more than one face was found: crop to one".to_owned();
        inspection.add_reason(Verdict::Unsuitable, ReasonCode::SeveralFaces, message);
    } else if second >= thresholds.second {
        let message =
            "there may be a second face: review the image, and approve it if there is none".to_owned();
        inspection.add_reason(Verdict::Review, ReasonCode::SeveralFaces, message);
    }
}

/// The likelihood of the likeliest second face; smaller ones than the first count less.
fn second(found: &[Found]) -> f32 {
    let others = found.iter().skip(1);
    others.map(|f| beside(found, f)).fold(0.0, f32::max)
}

/// The likelihood of another face than the first, lowered where it is smaller.
fn beside(found: &[Found], other: &Found) -> f32 {
    let size = |f: &Found| f.area.longer_side();
    found
        .first()
        .map_or(0.0, |first| other.score * comparable(size(first), size(other)))
}

/// The faces that the verdict speaks of: the clearest, and those that make a second.
fn counted<'a>(found: &'a [Found], thresholds: &'a Thresholds) -> impl Iterator<Item = &'a Found> {
    let first = found.iter().take(1).filter(|f| f.score >= thresholds.none);
    let others = found.iter().skip(1);
    first.chain(others.filter(|f| beside(found, f) >= thresholds.second))
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
        DecodeError::Truncated => ReasonCode::Truncated,
        _ => ReasonCode::Unreadable,
    };
    Inspection::unreadable(code, error.to_string())
}
