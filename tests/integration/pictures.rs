//! Untrusted images: whatever bytes come in, the eye answers with a reason, and within its limits.

mod hostile;
mod jpeg;
mod png;
mod tiff;
mod truncated;

use std::io::Cursor;

use castline::inspect::{InspectSettings, Inspection, Inspector, ReasonCode, Verdict};
use image::{DynamicImage, ImageFormat, Rgb, Rgb32FImage, RgbImage};
use rayon::prelude::*;

use self::png::{Adam7, adler, chunk, file, png_header, stored, zeros};

fn inspector() -> Inspector {
    Inspector::new(InspectSettings::default())
}

fn inspect(bytes: &[u8]) -> Inspection {
    inspector().inspect(bytes)
}

fn code(inspection: &Inspection) -> Option<&ReasonCode> {
    inspection.reasons.first().map(|r| &r.code)
}

/// An image of slopes and edges, so that every decoder has something to do.
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

const FORMATS: [ImageFormat; 8] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Tga,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Gif,
    ImageFormat::Qoi,
];

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
fn an_image_is_prepared_where_it_is_wanted_whatever_its_verdict() {
    let two_faces = include_bytes!("../../samples/problems/two_faces.png");
    let (seen, prepared) =
        inspector().inspect_and_prepare(two_faces, |seen| seen.verdict == Verdict::Unsuitable);
    assert_eq!(seen.verdict, Verdict::Unsuitable);
    assert!(prepared.is_some(), "as for one that is overridden");
    let queen = include_bytes!("../../samples/cast/queen_isaura.jpg");
    let (seen, prepared) = inspector().inspect_and_prepare(queen, |_| false);
    assert_eq!((seen.verdict, prepared), (Verdict::Suitable, None));
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
        ("CMYK", jpeg::jpeg(jpeg_encoder::ColorType::Cmyk, 4, false)),
        ("progressive", jpeg::jpeg(jpeg_encoder::ColorType::Rgb, 3, true)),
    ] {
        let seen = inspect(&bytes);
        assert_eq!((seen.width, seen.height), (320, 360), "{name}: {seen:?}");
    }
}

/// The lines of an image as PNG filters them: a byte for the filter, then the values.
fn lines(picture: &RgbImage) -> Vec<u8> {
    let row = picture.width() as usize * 3;
    picture
        .chunks_exact(row)
        .flat_map(|line| [&[0], line].concat())
        .collect()
}

fn dimensions(bytes: &[u8]) -> (u32, u32) {
    let seen = inspect(bytes);
    (seen.width, seen.height)
}

#[test]
fn an_interlaced_png_is_the_same_picture() {
    let picture = drawing().to_rgb8();
    let interlaced = file(320, 360, [8, 2, 1], &[(b"IDAT", stored(&Adam7::lines(&picture)))]);
    let plain = file(320, 360, [8, 2, 0], &[(b"IDAT", stored(&lines(&picture)))]);
    let (interlaced, plain) = (inspect(&interlaced), inspect(&plain));
    assert_eq!(
        (interlaced.width, interlaced.height),
        (320, 360),
        "{interlaced:?}"
    );
    assert_eq!(interlaced, plain);
}

#[test]
fn a_palette_is_read_whatever_its_depth_and_refused_when_it_is_too_short() {
    for depth in [1_usize, 2, 4, 8] {
        let row = [vec![0], vec![0b0101_0101; 320 * depth / 8]].concat();
        let palette: Vec<u8> = (0..3 << depth).map(|v| (v * 40) as u8).collect();
        let image = stored(&row.repeat(360));
        let with = |palette: &[u8]| {
            let chunks = [
                (b"PLTE", palette.to_vec()),
                (b"tRNS", vec![0, 128]),
                (b"IDAT", image.clone()),
            ];
            file(320, 360, [depth as u8, 3, 0], &chunks)
        };
        assert_eq!(dimensions(&with(&palette)), (320, 360), "{depth} bits");
        // Indices beyond the palette: some decoders read past its end.
        assert!(!inspect(&with(&palette[..3])).reasons.is_empty(), "{depth} bits");
    }
}

#[test]
fn of_an_animation_the_first_picture_is_seen() {
    let first = drawing().to_rgb8();
    let frame = |number: u32| {
        let [width, height] = [320_u32, 360].map(u32::to_be_bytes);
        let place = [0; 8];
        let timing = [0, 1, 0, 10, 0, 0];
        [&number.to_be_bytes()[..], &width, &height, &place, &timing].concat()
    };
    let second = [
        2_u32.to_be_bytes().to_vec(),
        stored(&lines(&RgbImage::new(320, 360))),
    ]
    .concat();
    let apng = file(
        320,
        360,
        [8, 2, 0],
        &[
            (b"acTL", [2_u32.to_be_bytes(), [0; 4]].concat()),
            (b"fcTL", frame(0)),
            (b"IDAT", stored(&lines(&first))),
            (b"fcTL", frame(1)),
            (b"fdAT", second),
        ],
    );
    let still = file(320, 360, [8, 2, 0], &[(b"IDAT", stored(&lines(&first)))]);
    assert_eq!(inspect(&apng), inspect(&still));

    let gif = |pictures: &[RgbImage]| {
        let frames = pictures.iter().map(|picture| {
            let picture = DynamicImage::ImageRgb8(picture.clone()).to_rgba8();
            image::Frame::new(picture)
        });
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        encoder.encode_frames(frames).unwrap();
        drop(encoder);
        bytes
    };
    let still = gif(std::slice::from_ref(&first));
    let moving = gif(&[first, RgbImage::new(320, 360)]);
    assert!(moving.len() > still.len());
    assert_eq!(inspect(&moving), inspect(&still));

    let webp = |frames: &[&DynamicImage]| {
        let riff = |kind: &[u8], data: &[u8]| {
            let pad = vec![0; data.len() % 2];
            [kind, &(data.len() as u32).to_le_bytes(), data, &pad].concat()
        };
        let size = [63, 1, 0, 103, 1, 0]; // 320 − 1 and 360 − 1, three bytes each
        let mut body = riff(b"VP8X", &[&[0b10, 0, 0, 0][..], &size].concat());
        body.extend(riff(b"ANIM", &[0; 6]));
        for frame in frames {
            let file = encoded(frame, ImageFormat::WebP);
            let place_size_time_flags = [&[0; 6][..], &size, &[100, 0, 0, 0]].concat();
            body.extend(riff(b"ANMF", &[&place_size_time_flags, &file[12..]].concat()));
        }
        riff(b"RIFF", &[b"WEBP".as_slice(), &body].concat())
    };
    let black = DynamicImage::ImageRgb8(RgbImage::new(320, 360));
    let animated = inspect(&webp(&[&drawing(), &black]));
    assert_eq!((animated.width, animated.height), (320, 360), "{animated:?}");
    let signature = |seen: &Inspection| seen.signature.expect("a signature");
    let still = inspect(&encoded(&drawing(), ImageFormat::WebP));
    assert!(
        signature(&animated).is_near(&signature(&still)),
        "the first image"
    );
    assert!(!signature(&animated).is_near(&signature(&inspect(&webp(&[&black, &drawing()])))));
}

fn sample() -> DynamicImage {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/cast/queen_isaura.jpg");
    image::open(sample).unwrap().thumbnail(400, 400)
}

#[test]
fn an_alpha_channel_that_is_zero_everywhere_is_none_where_the_format_means_that() {
    let mut face = sample().to_rgba8();
    face.pixels_mut().for_each(|pixel| pixel[3] = 0);
    let face = DynamicImage::ImageRgba8(face);
    for format in [ImageFormat::Tga, ImageFormat::Bmp] {
        let seen = inspect(&encoded(&face, format));
        assert_eq!(seen.verdict, Verdict::Suitable, "{format:?}: {:?}", seen.reasons);
    }
    for format in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Qoi,
    ] {
        let seen = inspect(&encoded(&face, format));
        assert_eq!(seen.verdict, Verdict::Unsuitable, "{format:?}");
        assert!(
            seen.reasons[0].message.contains("wholly transparent"),
            "{:?}",
            seen.reasons
        );
    }
}

#[test]
fn colour_profiles_are_followed_and_broken_ones_left_alone() {
    let red = RgbImage::from_pixel(320, 360, Rgb([200, 40, 40]));
    let pixels = stored(&lines(&red));
    let with = |profile: &[u8]| {
        let iccp = [b"profile\0\0".as_slice(), &stored(profile)].concat();
        file(320, 360, [8, 2, 0], &[(b"iCCP", iccp), (b"IDAT", pixels.clone())])
    };
    let inspector = Inspector::new(InspectSettings {
        format: castline::inspect::OutputFormat::Png,
        ..InspectSettings::default()
    });
    let signature = |bytes: &[u8]| inspector.inspect(bytes).signature.expect("it is read");
    let plain = signature(&file(320, 360, [8, 2, 0], &[(b"IDAT", pixels.clone())]));
    let wide = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    assert_ne!(signature(&with(&wide)), plain, "the same numbers are another red");
    let srgb = moxcms::ColorProfile::new_srgb().encode().unwrap();
    assert!(signature(&with(&srgb)).is_near(&plain));
    for broken in [
        &wide[..100],
        &wide[..wide.len() - 40],
        &[0xFF; 4096],
        b"no profile",
    ] {
        assert_eq!(signature(&with(broken)), plain);
    }
    // Every byte of the header and the table of tags, broken once.
    (0..wide.len().min(400)).into_par_iter().for_each(|at| {
        let mut broken = wide.clone();
        broken[at] ^= 0xFF;
        assert_eq!(dimensions(&with(&broken)), (320, 360), "byte {at}");
    });
}

/// A PNG of one colour with these chunks, and what becomes of it: the colour in the middle of the prepared image.
fn shown(chunks: &[(&[u8; 4], Vec<u8>)]) -> (Inspection, [u8; 3]) {
    let grey = RgbImage::from_pixel(320, 360, Rgb([120, 60, 60]));
    let pixels = (b"IDAT", stored(&lines(&grey)));
    let bytes = file(320, 360, [8, 2, 0], &[chunks, &[pixels]].concat());
    let inspector = Inspector::new(InspectSettings {
        format: castline::inspect::OutputFormat::Png,
        ..InspectSettings::default()
    });
    let inspection = inspector.inspect(&bytes);
    let prepared = inspector.prepare(&bytes, &inspection).expect("it is prepared");
    let shown = image::load_from_memory(&prepared.bytes).unwrap().into_rgb8();
    (inspection, shown.get_pixel(160, 180).0)
}

#[test]
fn the_colours_that_a_png_declares_without_a_profile_are_followed() {
    let plain = [120, 60, 60];
    let gamma = |value: u32| (b"gAMA", value.to_be_bytes().to_vec());
    let cicp = |primaries: u8, curve: u8| (b"cICP", vec![primaries, curve, 0, 1]);
    assert_eq!(shown(&[]).1, plain);
    assert_eq!(
        shown(&[gamma(45_455)]).1,
        plain,
        "what nearly every encoder writes for sRGB"
    );
    assert_eq!(
        shown(&[(b"sRGB", vec![0]), gamma(100_000)]).1,
        plain,
        "sRGB goes before gAMA"
    );
    assert_eq!(shown(&[cicp(1, 13)]).1, plain, "sRGB by cICP");
    assert_eq!(shown(&[gamma(0)]).1, plain, "a mistake");
    // Linear: 120/255 and 60/255 of the light are sRGB's 182 and 133.
    let (_, linear) = shown(&[gamma(100_000)]);
    let close = |one: [u8; 3], other: [u8; 3]| one.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 1);
    assert!(close(linear, [182, 133, 133]), "{linear:?}");
    // Display P3's red is a stronger one in sRGB.
    let (_, p3) = shown(&[cicp(12, 13)]);
    assert!(p3[0] > 122 && p3[1] < 60, "{p3:?}");
    let chromaticities = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000_u32];
    let chrm = chromaticities
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect();
    let (_, by_chrm) = shown(&[gamma(45_455), (b"cHRM", chrm)]);
    assert!(close(by_chrm, p3), "{by_chrm:?} and {p3:?}");
    for (curve, name) in [(16, "PQ"), (18, "HLG")] {
        let (inspection, _) = shown(&[cicp(9, curve)]);
        let hdr = inspection
            .reasons
            .iter()
            .find(|reason| reason.code == ReasonCode::Hdr);
        assert!(
            hdr.is_some_and(|reason| reason.message.contains(name)),
            "{inspection:?}"
        );
    }
    assert!(
        shown(&[cicp(12, 13)])
            .0
            .reasons
            .iter()
            .all(|reason| reason.code != ReasonCode::Hdr)
    );
}

#[test]
fn a_wrong_check_sum_of_any_chunk_is_no_panic() {
    let picture = drawing().to_rgb8();
    let whole = file(
        320,
        360,
        [8, 2, 0],
        &[
            (b"gAMA", 45_455_u32.to_be_bytes().to_vec()),
            (b"tEXt", b"Comment\0a".to_vec()),
            (b"IDAT", stored(&lines(&picture))),
        ],
    );
    let mut at = 8;
    while at < whole.len() {
        let length = u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
        let critical = whole[at + 4].is_ascii_uppercase();
        let mut broken = whole.clone();
        broken[at + 8 + length] ^= 1;
        let seen = inspect(&broken);
        let kind = String::from_utf8_lossy(&whole[at + 4..at + 8]).into_owned();
        // What is not needed to show the image may be skipped; the end carries nothing.
        if critical && kind != "IEND" {
            assert_eq!(code(&seen), Some(&ReasonCode::Unreadable), "{kind}: {seen:?}");
        } else {
            assert!(!seen.reasons.is_empty(), "{kind}");
        }
        at += length + 12;
    }
    // The check sum of the pixels themselves.
    let mut data = stored(&lines(&picture));
    let end = data.len() - 1;
    data[end] ^= 1;
    assert_ne!(data[end - 3..], adler(&lines(&picture)).to_be_bytes());
    assert!(
        !inspect(&file(320, 360, [8, 2, 0], &[(b"IDAT", data)]))
            .reasons
            .is_empty()
    );
}

#[test]
fn what_is_no_picture_is_told_in_words() {
    for bytes in [
        b"".as_slice(),
        b"name,image\n",
        b"%PDF-1.7",
        b"DDS \x7c\0\0\0",
        &[0; 4096],
    ] {
        let seen = inspect(bytes);
        assert_eq!(code(&seen), Some(&ReasonCode::Unreadable), "{seen:?}");
    }
}
