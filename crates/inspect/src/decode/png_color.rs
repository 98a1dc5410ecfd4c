//! The colour space that a PNG declares in chunks other than a profile: `cICP`, `sRGB`, `gAMA` and `cHRM`.

use std::io::Cursor;

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, MatrixCoefficients,
    ToneReprCurve, TransferCharacteristics,
};
use png::{Decoder, Limits};

/// The exponent that nearly every encoder writes for sRGB, 1 / 2.2, and how far others round it.
const SRGB_GAMMA: f32 = 0.454_55;
const NEAR: f32 = 0.01;
/// Exponents outside are mistakes.
const GAMMAS: std::ops::RangeInclusive<f32> = 0.1..=4.0;

/// What a PNG says of its colours.
#[derive(Debug)]
pub(super) enum PngColor {
    /// sRGB, or nothing: then a colour profile decides, if there is one.
    Srgb,
    /// Another space, where there is no colour profile.
    Declared(Box<ColorProfile>),
    /// Another space by `cICP`, which comes before a colour profile (PNG, third edition, 4.3).
    Overriding(Box<ColorProfile>),
    /// Brightness beyond what a display of sRGB shows: the name of its curve.
    Hdr(&'static str),
}

/// Reads the chunks before the pixels.
pub(super) fn of(bytes: &[u8], most_bytes: u64) -> PngColor {
    read(bytes, most_bytes).unwrap_or(PngColor::Srgb)
}

fn read(bytes: &[u8], most_bytes: u64) -> Option<PngColor> {
    let limits = Limits {
        bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let reader = decoder.read_info().ok()?;
    let info = reader.info();
    if let Some(cicp) = info.coding_independent_code_points {
        let curve = TransferCharacteristics::try_from(cicp.transfer_function).ok()?;
        let hdr = match curve {
            TransferCharacteristics::Smpte2084 => Some("PQ"),
            TransferCharacteristics::Hlg => Some("HLG"),
            _ => None,
        };
        if let Some(hdr) = hdr {
            return Some(PngColor::Hdr(hdr));
        }
        let profile = CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(cicp.color_primaries).ok()?,
            transfer_characteristics: curve,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        let declared = ColorProfile::new_from_cicp(profile);
        // It has curves only if primaries and curve are known ones.
        let known = declared.red_trc.is_some();
        return known.then(|| PngColor::Overriding(Box::new(declared)));
    }
    if info.srgb.is_some() {
        return None;
    }
    let gamma = info.gama_chunk?.into_value();
    let point = |(x, y): (png::ScaledFloat, png::ScaledFloat)| Chromaticity {
        x: x.into_value(),
        y: y.into_value(),
    };
    let primaries = info
        .chrm_chunk
        .map(|c| (point(c.white), point(c.red), point(c.green), point(c.blue)));
    let primaries = primaries.filter(|(white, red, green, blue)| {
        let valid = |c: &Chromaticity| (0.0..=1.0).contains(&c.x) && (0.001..=1.0).contains(&c.y);
        let differs =
            |one: &Chromaticity, x: f32, y: f32| (one.x - x).abs() > NEAR || (one.y - y).abs() > NEAR;
        // BT.709, the primaries of sRGB, and its white.
        let is_srgb = !(differs(white, 0.3127, 0.329)
            || differs(red, 0.64, 0.33)
            || differs(green, 0.3, 0.6)
            || differs(blue, 0.15, 0.06));
        [white, red, green, blue].into_iter().all(valid) && !is_srgb
    });
    let is_srgb_curve = (gamma - SRGB_GAMMA).abs() <= NEAR;
    if !GAMMAS.contains(&gamma) || (is_srgb_curve && primaries.is_none()) {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if !is_srgb_curve {
        let curve = Some(ToneReprCurve::Parametric(vec![1.0 / gamma]));
        (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
    }
    if let Some((white, red, green, blue)) = primaries {
        profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    }
    Some(PngColor::Declared(Box::new(profile)))
}
