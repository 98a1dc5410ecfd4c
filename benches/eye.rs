//! Cost of the inspection, stage by stage: decoding, the decision from decoded pixels, all of `inspect`, and with the
//! preparation for the upload.
//!
//! `benches/eye_peer.py` measures the reference's three passes on onnxruntime, on the same machine. With `CASTLINE_ART`,
//! a folder of pictures, the decision is also measured over all of them.

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
    for (format, name) in [
        (ImageFormat::Jpeg, "JPEG"),
        (ImageFormat::Png, "PNG"),
        (ImageFormat::WebP, "WebP, lossless"),
    ] {
        let mut file = Cursor::new(Vec::new());
        sample(2048).write_to(&mut file, format).unwrap();
        let bytes = file.get_ref();
        criterion.bench_function(&format!("decode alone, {name} 2048 px"), |b| {
            b.iter(|| image::load_from_memory(black_box(bytes)).unwrap());
        });
        criterion.bench_function(&format!("decode, scale and decide, {name} 2048 px"), |b| {
            b.iter(|| inspector.inspect(black_box(bytes)));
        });
        criterion.bench_function(
            &format!("decode, scale, decide and encode, {name} 2048 px"),
            |b| {
                b.iter(|| inspector.inspect_and_prepare(black_box(bytes), |_| true));
            },
        );
    }
    if let Some(folder) = std::env::var_os("CASTLINE_ART") {
        let pictures = art(folder.as_ref());
        let name = format!("decision, all of {} pictures", pictures.len());
        criterion.bench_function(&name, |b| {
            b.iter(|| {
                for picture in &pictures {
                    inspector.judge(black_box(picture), picture.dimensions());
                }
            });
        });
    }
}

/// The pictures of a folder on grey, at most 1024 px wide and high.
fn art(folder: &std::path::Path) -> Vec<RgbImage> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let opened = files.iter().filter_map(|file| image::open(file).ok());
    opened
        .map(|picture| {
            let mut ground =
                image::RgbaImage::from_pixel(picture.width(), picture.height(), [128, 128, 128, 255].into());
            imageops::overlay(&mut ground, &picture.to_rgba8(), 0, 0);
            let side = picture.width().max(picture.height()).min(1024);
            image::DynamicImage::ImageRgba8(ground)
                .thumbnail(side, side)
                .to_rgb8()
        })
        .collect()
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20); targets = eye }
criterion_main!(benches);
