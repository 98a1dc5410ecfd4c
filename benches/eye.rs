//! Cost of the inspection: of the decision from decoded pixels, and of all of `inspect`.
//!
//! `benches/eye_peer.py` measures the reference's three passes on onnxruntime, on the same machine.

use std::hint::black_box;
use std::io::Cursor;

use castline::inspect::{InspectSettings, Inspector};
use criterion::{Criterion, criterion_group, criterion_main};
use image::{ImageFormat, RgbImage, imageops};

/// An image of the sample cast with one certain face.
fn sample(side: u32) -> RgbImage {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/cast/nadia_volkova.jpg");
    let sample = image::open(path).unwrap().to_rgb8();
    imageops::resize(&sample, side, side, imageops::FilterType::Triangle)
}

fn eye(criterion: &mut Criterion) {
    let inspector = Inspector::new(InspectSettings::default());
    // From decoded pixels: the small copies, the networks, the verdict.
    let plain = sample(1024);
    criterion.bench_function("decision, 1024 px, nothing in doubt", |b| {
        b.iter(|| inspector.judge(black_box(&plain), plain.dimensions()))
    });
    let mut jpeg = Cursor::new(Vec::new());
    sample(2048).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    criterion.bench_function("decode, decide and fit, JPEG 2048 px", |b| {
        b.iter(|| inspector.inspect(black_box(jpeg.get_ref())));
    });
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20); targets = eye }
criterion_main!(benches);
