//! Cost of finding duplicate images in an all-new cast: each is compared with those before it. Compared with the
//! plain way, which compares every pair.

use std::hint::black_box;

use castline::inspect::{ImageSignature, SignatureIndex};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Busts of one series on one background: they differ in the colours of skin, hair and coat, and slightly in light.
fn cast(count: usize) -> Vec<ImageSignature> {
    let mut state = 7_u64;
    let mut any = move |below: u64| {
        // Knuth's MMIX; its high bits are good enough.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut picture = move || {
        let [skin, hair, coat] = [(); 3].map(|()| [(); 3].map(|()| any(256) as u8));
        let mut text = String::new();
        for (y, x) in (0..12).flat_map(|y| (0..12).map(move |x| (y, x))) {
            let colour = match (x, y) {
                (5..=6, 4..=6) => skin,
                (4..=7, 3..=6) => hair,
                (2..=9, 8..=11) => coat,
                _ => [128; 3],
            };
            for value in colour {
                text += &format!("{:02x}", value.saturating_add(any(5) as u8));
            }
        }
        text.parse().expect("a signature")
    };
    (0..count).map(|_| picture()).collect()
}

fn all_new(c: &mut Criterion) {
    let mut group = c.benchmark_group("signature");
    group.sample_size(10);
    for count in [10_000, 50_000] {
        let cast = cast(count);
        group.bench_with_input(BenchmarkId::new("castline", count), &cast, |b, cast| {
            b.iter(|| {
                let mut seen = SignatureIndex::default();
                for (n, signature) in cast.iter().enumerate() {
                    black_box(seen.find_first(signature, |_| true));
                    seen.push(*signature, n);
                }
            });
        });
        if count > 10_000 {
            continue;
        }
        group.bench_with_input(BenchmarkId::new("every pair", count), &cast, |b, cast| {
            b.iter(|| {
                for (n, signature) in cast.iter().enumerate() {
                    black_box(cast[..n].iter().find(|other| signature.is_near(other)));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, all_new);
criterion_main!(benches);
