//! Files that end early: copies that broke off.

use castline::inspect::{ReasonCode, Verdict};
use rayon::prelude::*;

use super::jpeg::sample_as;
use super::{FORMATS, code, encoded, inspect, sample};

/// The picture of a real face in each format, with its JPEGs also as other programs write them.
fn faces() -> Vec<(String, Vec<u8>)> {
    let face = sample();
    let formats = FORMATS
        .into_iter()
        .map(|format| (format!("{format:?}"), encoded(&face, format)));
    let jpegs = [
        ("progressive", sample_as(|encoder| encoder.set_progressive(true))),
        (
            "with restarts",
            sample_as(|encoder| encoder.set_restart_interval(8)),
        ),
        (
            "a scan for each colour",
            sample_as(|encoder| encoder.set_optimized_huffman_tables(true)),
        ),
    ];
    let jpegs = jpegs.map(|(name, bytes)| (name.to_owned(), bytes));
    formats.chain(jpegs).collect()
}

/// Cut off anywhere in its second half, no file is suitable: a grey lower part would be paid for, and stay.
#[test]
fn a_file_that_is_cut_off_is_never_suitable_and_no_whole_one_is_turned_away() {
    let mut cuts = 0;
    for (name, whole) in faces() {
        let seen = inspect(&whole);
        assert_eq!(seen.verdict, Verdict::Suitable, "{name}: {:?}", seen.reasons);
        let is_jpeg = whole.starts_with(b"\xff\xd8");
        let promilles: Vec<usize> = (500..1000).step_by(7).collect();
        cuts += promilles.len();
        promilles.into_par_iter().for_each(|promille| {
            let length = whole.len() * promille / 1000;
            let seen = inspect(&whole[..length]);
            assert_eq!(
                seen.verdict,
                Verdict::Unsuitable,
                "{name} at {promille} per mille"
            );
            if is_jpeg {
                assert_eq!(code(&seen), Some(&ReasonCode::Truncated), "{name} at {promille}");
                // A copy that broke off, and was filled up.
                let mut filled = whole.clone();
                filled[length..].fill(0);
                if whole.len() - length >= 64 {
                    let seen = inspect(&filled);
                    assert_eq!(
                        code(&seen),
                        Some(&ReasonCode::Truncated),
                        "{name}, zeros from {promille}"
                    );
                }
            }
        });
        let several_scans = ["progressive", "a scan for each colour"].contains(&name.as_str());
        if is_jpeg && !several_scans {
            let seen = inspect(&whole[..whole.len() - 2]);
            assert_eq!(
                seen.verdict,
                Verdict::Suitable,
                "{name} without its end marker alone"
            );
        }
        // What cameras and phones put behind the end.
        let mut longer = whole.clone();
        longer.extend(b"trailer of a camera");
        longer.extend([0; 200]);
        if is_jpeg {
            assert_eq!(
                inspect(&longer).verdict,
                Verdict::Suitable,
                "{name} with a trailer"
            );
        }
    }
    assert!(cuts >= 500, "{cuts}");
}
