//! What the eye costs: the whole decision from decoded pixels on is most of `inspect` on a small picture.
//!
//! `benches/eye_peer.py` measures the reference's three passes on onnxruntime, on the same machine.

use std::hint::black_box;
use std::io::Cursor;

use castline::inspect::{InspectSettings, Inspector};
use criterion::{Criterion, criterion_group, criterion_main};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

fn picture(side: u32, format: ImageFormat) -> Vec<u8> {
    let drawing = RgbImage::from_fn(side, side, |x, y| {
        Rgb([
            (x * 255 / side) as u8,
            (y * 255 / side) as u8,
            ((x ^ y) & 0xFF) as u8,
        ])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(drawing)
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

fn eye(criterion: &mut Criterion) {
    let inspector = Inspector::new(InspectSettings::default());
    // BMP costs next to nothing to decode: what remains is the small copies, the networks and the verdict.
    let plain = picture(1024, ImageFormat::Bmp);
    criterion.bench_function("decision, 1024 px", |b| {
        b.iter(|| inspector.inspect(black_box(&plain)))
    });
    let jpeg = picture(2048, ImageFormat::Jpeg);
    criterion.bench_function("decode, decide and fit, JPEG 2048 px", |b| {
        b.iter(|| inspector.inspect(black_box(&jpeg)));
    });
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20); targets = eye }
criterion_main!(benches);
