//! Decodes untrusted images: the format is detected from the content, the size is checked in the header before
//! any pixel is decoded, and the result is upright sRGB with 8 bits per channel.

mod png_color;
mod scans;
mod tiff_pages;

use std::io::Cursor;

use self::png_color::PngColor;
use super::ground;
use super::truncated::is_truncated;
use image::codecs::png::PngDecoder;
use image::codecs::tga::TgaDecoder;
use image::codecs::tiff::TiffDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Memory limit, in bytes, for the chunks before the pixels of a PNG: a colour profile is compressed there, and is
/// unpacked as soon as it is read.
const PNG_EXTRAS: u64 = 64 << 20;

/// Limits of decoding: pixels of the image, and bytes of memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    pub(super) pixels: u64,
    pub(super) bytes: u64,
}

impl Caps {
    /// Checks the size that a header gives, before any pixel is decoded.
    fn check(self, (width, height): (u32, u32), bytes: u64) -> Result<(), DecodeError> {
        if u64::from(width) * u64::from(height) > self.pixels {
            return Err(DecodeError::TooManyPixels {
                width,
                height,
                most: self.pixels,
            });
        }
        match bytes > self.bytes {
            true => Err(DecodeError::TooManyBytes(self.bytes)),
            false => Ok(()),
        }
    }
}

/// The pixels of an image, with as many channels as its file has: to convert them all costs more time than to scale them.
#[derive(Debug)]
pub(super) enum Pixels {
    Rgb(RgbImage),
    Rgba(RgbaImage),
}

impl Pixels {
    pub(super) fn dimensions(&self) -> (u32, u32) {
        match self {
            Self::Rgb(picture) => picture.dimensions(),
            Self::Rgba(picture) => picture.dimensions(),
        }
    }

    /// Whether all pixels have that alpha.
    fn is_all(&self, alpha: u8) -> bool {
        match self {
            Self::Rgb(_) => alpha == 255,
            Self::Rgba(picture) => picture.as_chunks::<4>().0.iter().all(|pixel| pixel[3] == alpha),
        }
    }
}

/// Why an image can't be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("the file is empty")]
    Empty,
    #[error("the file is {what}: {fix}")]
    Other { what: &'static str, fix: &'static str },
    #[error(
        "unknown image format: save it as PNG, JPEG or WebP (TGA, BMP, TIFF, GIF and QOI are supported too)"
    )]
    Unknown,
    #[error(
        "the image has {width} × {height} pixels, more than the {most} that are decoded: save it smaller"
    )]
    TooManyPixels { width: u32, height: u32, most: u64 },
    #[error(
        "decoding the image would take more than the {0} bytes allowed: save it smaller or with 8 bits per channel"
    )]
    TooManyBytes(u64),
    #[error("the image is wholly transparent: save it without its alpha channel, or with its background")]
    Transparent,
    #[error("the file ends before its picture does: copy it again, or save it again")]
    Truncated,
    #[error("the image can't be decoded ({0}): save it again")]
    Broken(String),
}

impl DecodeError {
    /// With the words of a decoder. Decoders quote the file: the message is kept short and free of control characters.
    fn broken(words: &str) -> Self {
        Self::Broken(words.chars().filter(|c| !c.is_control()).take(160).collect())
    }
}

/// The memory that an image takes while it is decoded and scaled, in bytes, by its header: its pixels as red, green, blue
/// and alpha, and a copy of them, as by the conversion of their colours. 0 if there is no header.
pub fn decoded_bytes(bytes: &[u8]) -> u64 {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let size = reader.ok().and_then(|reader| reader.into_dimensions().ok());
    size.map_or(0, |(width, height)| u64::from(width) * u64::from(height) * 4 * 2)
}

/// Decodes an image; where it is transparent, `behind` shows.
///
/// # Errors
/// It can't be decoded within `caps`, or nothing of it can be seen.
pub(super) fn decode(bytes: &[u8], caps: Caps, behind: [u8; 3]) -> Result<Pixels, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut pixels = decode_any(bytes, caps)?;
    if pixels.is_all(0) {
        return Err(DecodeError::Transparent);
    }
    let transparent = !pixels.is_all(255);
    if let (Pixels::Rgba(picture), true) = (&mut pixels, transparent) {
        ground::lay(picture.as_chunks_mut::<4>().0, behind);
    }
    Ok(pixels)
}

/// Takes an image for opaque whose every pixel is transparent.
fn opaque_if_nowhere(mut pixels: Pixels) -> Pixels {
    if pixels.is_all(0)
        && let Pixels::Rgba(picture) = &mut pixels
    {
        picture.pixels_mut().for_each(|pixel| pixel[3] = 255);
    }
    pixels
}

fn decode_any(bytes: &[u8], caps: Caps) -> Result<Pixels, DecodeError> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => {
            let first = Caps {
                bytes: caps.bytes.min(PNG_EXTRAS),
                ..caps
            };
            let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits(first));
            let decoder = decoder.map_err(|e| broken(e, first))?;
            let (declared, overriding) = match png_color::of(bytes, first.bytes) {
                PngColor::Srgb | PngColor::Hdr(_) => (None, None),
                PngColor::Declared(profile) => (Some(*profile), None),
                PngColor::Overriding(profile) => (None, Some(*profile)),
            };
            read_with(decoder, caps, |own| overriding.or(own).or(declared))
        }
        Ok(ImageFormat::Jpeg) if within(bytes, caps) && is_truncated(bytes) => Err(DecodeError::Truncated),
        Ok(ImageFormat::Jpeg) if scans::has_one_for_each_colour(bytes) => scans::decode(bytes, caps),
        // BigTIFF has a mark that `image` does not guess.
        _ if tiff_pages::is_tiff(bytes) => {
            let (file, palette) = tiff_pages::largest_page(bytes);
            let decoder = TiffDecoder::new(Cursor::new(&*file)).map_err(|e| broken(e, caps))?;
            let mut pixels = read(decoder, caps)?;
            if let Some(palette) = palette {
                palette.apply(&mut pixels);
            }
            Ok(pixels)
        }
        Ok(format) if known(format) => {
            let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
            reader.limits(limits(caps));
            let pixels = read(reader.into_decoder().map_err(|e| broken(e, caps))?, caps)?;
            match format {
                // Programs that know no alpha channel leave the fourth byte of these formats zero.
                ImageFormat::Bmp | ImageFormat::Tga => Ok(opaque_if_nowhere(pixels)),
                _ => Ok(pixels),
            }
        }
        Err(_) if looks_like_tga(bytes) => {
            let decoder = TgaDecoder::new(Cursor::new(bytes)).map_err(|e| broken(e, caps))?;
            read(decoder, caps).map(opaque_if_nowhere)
        }
        _ => Err(what_else(bytes)),
    }
}

/// What a file without pixels that can be read seems to be, by its first bytes, and what to do about it.
fn what_else(bytes: &[u8]) -> DecodeError {
    const EXPORT: &str = "export it as PNG, JPEG or WebP";
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(256)])
        .trim_start()
        .to_lowercase();
    let brand = || match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => brand.get(..4),
        _ => None,
    };
    let (what, fix) = match bytes {
        _ if bytes.iter().all(|byte| *byte == 0) => ("empty, all zeros", "save it again"),
        _ if text.starts_with("version https://git-lfs") => {
            ("a Git LFS pointer, not the image itself", "run `git lfs pull`")
        }
        _ if text.starts_with("<!doctype html") || text.starts_with("<html") => {
            ("a web page", "download the image itself")
        }
        _ if text.starts_with("<svg") || text.starts_with("<?xml") => ("an SVG drawing or other XML", EXPORT),
        [b'P', b'K', 3, 4, ..]
        | [b'R', b'a', b'r', b'!', ..]
        | [b'7', b'z', 0xBC, 0xAF, ..]
        | [0x1F, 0x8B, ..] => ("an archive", "unpack it"),
        [b'%', b'P', b'D', b'F', ..] => ("a PDF", EXPORT),
        [b'8', b'B', b'P', b'S', ..] => ("a Photoshop document", EXPORT),
        [0x76, 0x2F, 0x31, 0x01, ..] => ("an OpenEXR image", EXPORT),
        [b'D', b'D', b'S', b' ', ..] => ("a DDS texture", EXPORT),
        [0xFF, 0x0A, ..] | [0, 0, 0, 0x0C, b'J', b'X', b'L', b' ', ..] => ("a JPEG XL image", EXPORT),
        _ => match brand() {
            Some(b"avif" | b"avis") => ("an AVIF image", EXPORT),
            Some(b"heic" | b"heix" | b"mif1" | b"hevc") => ("a HEIC image", EXPORT),
            Some(_) => ("a video", "save one frame of it as PNG"),
            None => return DecodeError::Unknown,
        },
    };
    DecodeError::Other { what, fix }
}

/// Whether an error is that the file has ended: by its kind, and by the words of the decoders that have none.
fn ends_early(error: &ImageError) -> bool {
    if let ImageError::IoError(error) = error {
        return error.kind() == std::io::ErrorKind::UnexpectedEof;
    }
    let text = error.to_string().to_lowercase();
    [
        "unexpected end",
        "unexpected eof",
        "fill whole buffer",
        "premature end",
        "not enough bytes",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// Whether a JPEG's size is one that is decoded: that is checked before any pixel is.
fn within(bytes: &[u8], caps: Caps) -> bool {
    let reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
    reader
        .into_dimensions()
        .is_ok_and(|(width, height)| u64::from(width) * u64::from(height) <= caps.pixels)
}

fn known(format: ImageFormat) -> bool {
    use ImageFormat::{Bmp, Gif, Jpeg, Qoi, Tga, WebP};
    matches!(format, Jpeg | WebP | Bmp | Tga | Gif | Qoi)
}

fn limits(caps: Caps) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(caps.bytes);
    limits
}

/// Whether `bytes` has a valid TGA header: TGA has no magic number.
fn looks_like_tga(bytes: &[u8]) -> bool {
    let [_, map, kind, _, _, _, _, _, _, _, _, _, w0, w1, h0, h1, depth, ..] = *bytes else {
        return false;
    };
    let mapped = matches!(kind, 1 | 9);
    let plain = matches!(kind, 2 | 3 | 10 | 11);
    (mapped && map == 1 || plain && map <= 1)
        && matches!(depth, 8 | 15 | 16 | 24 | 32)
        && (w0, w1) != (0, 0)
        && (h0, h1) != (0, 0)
}

/// The curve of a PNG whose brightness goes beyond sRGB: it can't be converted without a choice that belongs to its
/// maker.
pub(super) fn hdr(bytes: &[u8]) -> Option<&'static str> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => match png_color::of(bytes, PNG_EXTRAS) {
            PngColor::Hdr(curve) => Some(curve),
            _ => None,
        },
        _ => None,
    }
}

fn read(decoder: impl ImageDecoder, caps: Caps) -> Result<Pixels, DecodeError> {
    read_with(decoder, caps, |own| own)
}

/// Reads the pixels; `choose` gets the file's own colour profile, and returns the one that counts.
fn read_with(
    mut decoder: impl ImageDecoder,
    caps: Caps,
    choose: impl FnOnce(Option<ColorProfile>) -> Option<ColorProfile>,
) -> Result<Pixels, DecodeError> {
    caps.check(decoder.dimensions(), decoder.total_bytes())?;
    decoder.set_limits(limits(caps)).map_err(|e| broken(e, caps))?;
    // Orientation and profile are optional: errors in them are ignored.
    let orientation = decoder.orientation().ok();
    let own = decoder.icc_profile().ok().flatten();
    let profile = choose(own.and_then(|own| parsed(&own)));
    let picture = DynamicImage::from_decoder(decoder).map_err(|e| broken(e, caps))?;
    Ok(upright_srgb(picture, orientation, profile))
}

/// The pixels of a decoded image, upright and in sRGB.
fn upright_srgb(
    mut picture: DynamicImage,
    orientation: Option<Orientation>,
    profile: Option<ColorProfile>,
) -> Pixels {
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    let mut pixels = eight_bits(picture);
    if let Some(profile) = profile {
        to_srgb(&mut pixels, &profile);
    }
    pixels
}

fn eight_bits(picture: DynamicImage) -> Pixels {
    match picture.color().has_alpha() {
        true => Pixels::Rgba(picture.into_rgba8()),
        false => Pixels::Rgb(picture.into_rgb8()),
    }
}

/// A colour profile of RGB; an invalid one is ignored.
fn parsed(profile: &[u8]) -> Option<ColorProfile> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    (profile.color_space == DataColorSpace::Rgb).then_some(profile)
}

/// Converts colours of an RGB profile to sRGB.
fn to_srgb(pixels: &mut Pixels, profile: &ColorProfile) {
    let (layout, data) = match pixels {
        Pixels::Rgb(picture) => (Layout::Rgb, &mut **picture),
        Pixels::Rgba(picture) => (Layout::Rgba, &mut **picture),
    };
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = profile.create_transform_8bit(layout, &srgb, layout, TransformOptions::default())
    else {
        return;
    };
    let source = data.to_vec();
    if transform.transform(&source, data).is_err() {
        data.copy_from_slice(&source);
    }
}

fn broken(error: ImageError, caps: Caps) -> DecodeError {
    match error {
        ImageError::Limits(_) => DecodeError::TooManyBytes(caps.bytes),
        error if ends_early(&error) => DecodeError::Truncated,
        other => DecodeError::broken(&other.to_string()),
    }
}
