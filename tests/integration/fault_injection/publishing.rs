//! What anonymous clients get is what was uploaded: a CDN that serves something else costs nothing.

use crate::support::server::{Server, small_cast};

/// Runs a cast of three behind a CDN that does this with images; returns the exit code, what was said, and how many were
/// charged.
fn behind_a_cdn(public_reads: &str) -> (Option<i32>, String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.toml");
    std::fs::write(&faults, format!("public_reads = {public_reads:?}\n")).unwrap();
    let server = Server::start(&["--faults", faults.to_str().unwrap()]);
    let cast = small_cast(3, "cdn");
    let mut castline = server.castline();
    castline.args(["run", "--yes", "--rate", "1000/s"]).arg(&cast.csv);
    let output = castline.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), message, server.charges().len())
}

#[test]
fn a_placeholder_for_everything_stops_the_run_before_anything_is_paid() {
    let (code, message, charges) = behind_a_cdn("placeholder");
    assert_eq!((code, charges), (Some(2), 0), "{message}");
    assert!(message.contains("nothing was ever uploaded"), "{message}");
}

#[test]
fn a_placeholder_in_place_of_an_image_is_not_enrolled() {
    let (code, message, charges) = behind_a_cdn("placeholder-for-objects");
    assert_eq!((code, charges), (Some(3), 0), "{message}");
    assert!(message.contains("another picture"), "{message}");
}

#[test]
fn a_cdn_that_encodes_images_anew_is_no_obstacle() {
    let (code, message, charges) = behind_a_cdn("recompressed");
    assert_eq!((code, charges), (Some(0), 3), "{message}");
}
