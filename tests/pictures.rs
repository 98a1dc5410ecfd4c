//! Untrusted pictures: whatever bytes come in, the eye answers with a reason, and within its limits.

use std::io::Cursor;

use castline::inspect::{InspectSettings, Inspection, Inspector, ReasonCode, Verdict};
use image::{DynamicImage, ImageFormat, Rgb, Rgb32FImage, RgbImage};
use rayon::prelude::*;

fn inspector() -> Inspector {
    Inspector::new(InspectSettings::default())
}

fn inspect(bytes: &[u8]) -> Inspection {
    inspector().inspect(bytes)
}

fn code(inspection: &Inspection) -> Option<&ReasonCode> {
    inspection.reasons.first().map(|r| &r.code)
}

/// A picture of slopes and edges, so that every decoder has something to do.
fn drawing() -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(320, 360, |x, y| {
        let edge = if (x / 40 + y / 40).is_multiple_of(2) {
            80
        } else {
            0
        };
        Rgb([
            (x * 175 / 320) as u8 + edge,
            (y * 175 / 360) as u8 + edge,
            90 + edge,
        ])
    }))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Tga,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
];

/// The check sum of PNG chunks.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            if c & 1 == 1 {
                0xEDB8_8320 ^ (c >> 1)
            } else {
                c >> 1
            }
        })
    })
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [kind.as_slice(), data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [length.as_slice(), &named, &crc(&named).to_be_bytes()].concat()
}

/// A PNG that says it has that size, and has no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &[]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn every_format_is_known_by_its_content() {
    for format in FORMATS {
        let seen = inspect(&encoded(&drawing(), format));
        assert_eq!((seen.width, seen.height), (320, 360), "{format:?}: {seen:?}");
        assert_eq!(code(&seen), Some(&ReasonCode::NoFace), "{format:?}");
    }
}

#[test]
fn a_file_that_ends_early_is_unreadable_or_judged_but_never_a_panic() {
    for format in FORMATS {
        let whole = encoded(&drawing(), format);
        (0..100).into_par_iter().for_each(|percent| {
            let seen = inspect(&whole[..whole.len() * percent / 100]);
            assert_eq!(
                seen.verdict,
                Verdict::Unsuitable,
                "{format:?} at {percent} %: {seen:?}"
            );
            assert!(!seen.reasons[0].message.is_empty());
        });
    }
}

#[test]
fn a_pixel_bomb_is_refused_from_its_header() {
    let mut bmp = encoded(&drawing(), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0x60, 0xEA, 0, 0, 0x60, 0xEA, 0, 0]);
    let mut tga = encoded(&drawing(), ImageFormat::Tga);
    tga[12..16].copy_from_slice(&[0xFF; 4]);
    for bomb in [png_header(60_000, 60_000), bmp, tga] {
        let started = std::time::Instant::now();
        let seen = inspect(&bomb);
        assert_eq!(code(&seen), Some(&ReasonCode::TooLarge), "{seen:?}");
        assert!(seen.reasons[0].message.contains("pixels"), "{seen:?}");
        assert!(started.elapsed().as_secs() < 5, "it was decoded");
    }
}

#[test]
fn decoding_takes_no_more_memory_than_allowed() {
    let settings = InspectSettings {
        max_decode_bytes: 100_000,
        ..InspectSettings::default()
    };
    let seen = Inspector::new(settings).inspect(&encoded(&drawing(), ImageFormat::Png));
    assert_eq!(code(&seen), Some(&ReasonCode::TooLarge), "{seen:?}");
}

#[test]
fn a_wrong_check_sum_is_told() {
    let mut png = encoded(&drawing(), ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0x55;
    assert_eq!(code(&inspect(&png)), Some(&ReasonCode::Unreadable));
}

#[test]
fn a_huge_text_chunk_is_skipped() {
    let png = encoded(&drawing(), ImageFormat::Png);
    let text = [b"Comment\0".to_vec(), vec![b'a'; 20_000_000]].concat();
    let with = [&png[..33], &chunk(b"tEXt", &text), &png[33..]].concat();
    let seen = inspect(&with);
    assert!(
        matches!(code(&seen), Some(ReasonCode::NoFace | ReasonCode::TooLarge)),
        "{seen:?}"
    );
}

#[test]
fn what_studios_keep_is_read() {
    let picture = drawing();
    let deep = DynamicImage::ImageRgb16(picture.to_rgb16());
    let grey = DynamicImage::ImageLuma8(picture.to_luma8());
    let clear = DynamicImage::ImageRgba16(picture.to_rgba16());
    for (name, bytes) in [
        ("16 bits", encoded(&deep, ImageFormat::Png)),
        ("16 bits TIFF", encoded(&deep, ImageFormat::Tiff)),
        ("grey", encoded(&grey, ImageFormat::Jpeg)),
        ("16 bits with alpha", encoded(&clear, ImageFormat::Png)),
        (
            "floats",
            encoded(
                &DynamicImage::ImageRgb32F(Rgb32FImage::new(320, 360)),
                ImageFormat::Tiff,
            ),
        ),
        ("CMYK", jpeg(jpeg_encoder::ColorType::Cmyk, 4, false)),
        ("progressive", jpeg(jpeg_encoder::ColorType::Rgb, 3, true)),
    ] {
        let seen = inspect(&bytes);
        assert_eq!((seen.width, seen.height), (320, 360), "{name}: {seen:?}");
    }
}

fn jpeg(colour: jpeg_encoder::ColorType, channels: usize, progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.set_progressive(progressive);
    encoder
        .encode(&vec![90; 320 * 360 * channels], 320, 360, colour)
        .unwrap();
    bytes
}

#[test]
fn a_picture_is_seen_as_it_is_displayed() {
    let jpeg = encoded(&drawing(), ImageFormat::Jpeg);
    // An Exif segment with one entry: orientation 6, a quarter turn.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let exif = [b"Exif\0\0".as_slice(), tiff].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat();
    let seen = inspect(&turned);
    assert_eq!((seen.width, seen.height), (360, 320));
}

#[test]
fn what_is_no_picture_is_told_in_words() {
    for bytes in [
        b"".as_slice(),
        b"name,image\n",
        b"%PDF-1.7",
        b"GIF89a\x01\0\x01\0",
        &[0; 4096],
    ] {
        let seen = inspect(bytes);
        assert_eq!(code(&seen), Some(&ReasonCode::Unreadable), "{seen:?}");
    }
}

/// Mutated pictures for as many minutes as `CASTLINE_SOAK_MINUTES` says: a fuzz run for a stable toolchain.
#[test]
#[ignore = "runs for minutes: CASTLINE_SOAK_MINUTES=10 cargo test --test pictures -- --ignored"]
fn mutated_pictures_never_panic() {
    let minutes: f64 = std::env::var("CASTLINE_SOAK_MINUTES").map_or(1.0, |m| m.parse().unwrap());
    let until = std::time::Instant::now() + std::time::Duration::from_secs_f64(minutes * 60.0);
    let seeds: Vec<Vec<u8>> = FORMATS.into_iter().map(|f| encoded(&drawing(), f)).collect();
    let inspector = Inspector::new(InspectSettings {
        max_decode_bytes: 64 << 20,
        ..InspectSettings::default()
    });
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % most as u64) as usize
    };
    let mut rounds = 0;
    while std::time::Instant::now() < until {
        let mut bytes = seeds[random(seeds.len())].clone();
        // Half of the changes hit the first bytes: that is where sizes and counts stand.
        for _ in 0..=random(12) {
            let reach = if random(2) == 0 {
                bytes.len().min(200)
            } else {
                bytes.len()
            };
            let at = random(reach);
            bytes[at] = match random(4) {
                0 => 0,
                1 => 0xFF,
                2 => bytes[at] ^ (1 << random(8)),
                _ => random(256) as u8,
            };
        }
        if random(4) == 0 {
            bytes.truncate(random(bytes.len()) + 1);
        }
        let seen = inspector.inspect_and_prepare(&bytes);
        assert!(seen.0.verdict == Verdict::Suitable || !seen.0.reasons.is_empty());
        rounds += 1;
    }
    println!("{rounds} mutated pictures");
}
