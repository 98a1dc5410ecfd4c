//! Images that are made to harm: bombs, and whatever mutation makes of good ones.

use super::*;

/// The most memory that this process ever had in use, where the system tells it.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<usize>()
        .ok()
        .map(|kib| kib << 10)
}

#[test]
fn what_unpacks_to_a_thousand_million_bytes_is_not_unpacked() {
    const BOMB: usize = 1_000_000_000;
    let image = stored(&lines(&drawing().to_rgb8()));
    let bomb = zeros(BOMB);
    let before = peak();
    for (kind, head) in [
        (b"zTXt", b"Comment\0\0".as_slice()),
        (b"iTXt", b"Comment\0\x01\0\0\0"),
        (b"iCCP", b"profile\0\0"),
    ] {
        let message = [head, &bomb].concat();
        let bytes = file(320, 360, [8, 2, 0], &[(kind, message), (b"IDAT", image.clone())]);
        let seen = inspect(&bytes);
        assert!(
            matches!(
                code(&seen),
                Some(ReasonCode::NoFace | ReasonCode::TooLarge | ReasonCode::Unreadable)
            ),
            "{kind:?}: {seen:?}"
        );
    }
    // More pixels than the header says.
    let bytes = file(320, 360, [8, 2, 0], &[(b"IDAT", bomb)]);
    assert!(!inspect(&bytes).reasons.is_empty());
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < BOMB / 2, "{} bytes more", after - before);
    }
}

/// Mutated images for as many minutes as `CASTLINE_SOAK_MINUTES` says: a fuzz run for a stable toolchain.
#[test]
#[ignore = "runs for minutes: CASTLINE_SOAK_MINUTES=10 cargo test --test integration -- --ignored mutated"]
fn mutated_pictures_never_panic() {
    let minutes: f64 = std::env::var("CASTLINE_SOAK_MINUTES").map_or(1.0, |m| m.parse().unwrap());
    let until = std::time::Instant::now() + std::time::Duration::from_secs_f64(minutes * 60.0);
    let scans = jpeg::sample_as(|encoder| encoder.set_optimized_huffman_tables(true));
    let formats = FORMATS.into_iter().map(|f| encoded(&drawing(), f));
    let seeds: Vec<Vec<u8>> = formats.chain([scans]).collect();
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
        let seen = inspector.inspect_and_prepare(&bytes, |_| true);
        assert!(seen.0.verdict == Verdict::Suitable || !seen.0.reasons.is_empty());
        rounds += 1;
    }
    println!("{rounds} mutated images");
}
