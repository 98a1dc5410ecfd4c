//! What anonymous clients get is what was uploaded: a CDN that serves something else costs nothing.

use crate::support::server::{Server, small_cast};

/// Runs a cast of three behind a CDN that does this with images; returns the exit code, what was said, and how many were
/// charged.
fn behind_a_cdn(public_reads: &str) -> (Option<i32>, String, usize) {
    with_faults(&format!("public_reads = {public_reads:?}\n"), &[])
}

/// Runs a cast of three with these faults and settings.
fn with_faults(faults: &str, settings: &[&str]) -> (Option<i32>, String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, faults).unwrap();
    let server = Server::start(&["--faults", file.to_str().unwrap()]);
    let cast = small_cast(3, "cdn");
    let mut castline = server.castline();
    castline.args(["run", "--yes", "--rate", "1000/s"]).arg(&cast.csv);
    for setting in settings {
        castline.args(["--set", setting]);
    }
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

#[test]
fn a_provider_that_asks_with_head_refuses_signed_addresses_and_the_message_says_why() {
    let faults = "provider_fetches = \"head-first\"\n";
    let (code, message, charges) = with_faults(faults, &["s3.presign_expiry=1h"]);
    assert_eq!((code, charges), (Some(3), 0), "{message}");
    assert!(
        message.contains("answered 403") && message.contains("HEAD") && message.contains("s3.presign_expiry"),
        "{message}"
    );
    // Public addresses serve HEAD as well.
    let (code, message, charges) = with_faults(faults, &[]);
    assert_eq!((code, charges), (Some(0), 3), "{message}");
}

#[test]
fn a_provider_that_a_cdn_blocks_is_told_from_a_bucket_that_nobody_can_read() {
    let faults = "provider_fetches = \"as-bot\"\npublic_reads = \"refuses-bots\"\n";
    let (code, message, charges) = with_faults(faults, &[]);
    assert_eq!((code, charges), (Some(3), 0), "{message}");
    assert!(
        message.contains("answered 403") && message.contains("user agent"),
        "{message}"
    );
}

#[test]
fn a_bucket_that_is_not_public_is_found_with_the_first_image() {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.toml");
    std::fs::write(&faults, "public_reads = \"bad-request\"\n").unwrap();
    let server = Server::start(&["--faults", faults.to_str().unwrap()]);
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/cast");
    let mut castline = server.castline();
    castline.args(["run", "--yes", "--rate", "1000/s"]).arg(&samples);
    castline.args(["--set", "publish.concurrency=16", "--ledger"]);
    castline.arg(folder.path().join("ledger.db"));
    castline.args([
        "--set",
        &format!("manifest.path={}", folder.path().join("m.json").display()),
    ]);
    let output = castline.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), server.charges().len()),
        (Some(2), 0),
        "{message}"
    );
    assert!(
        message.contains("400 Bad Request") && message.contains("s3.public_base_url"),
        "{message}"
    );
    let uploads =
        |r: &&serde_json::Value| r["method"] == "PUT" && r["path"].as_str().unwrap().ends_with(".jpg");
    let uploads = server.requests().iter().filter(uploads).count();
    let objects = walkdir::WalkDir::new(server.folder()).into_iter().flatten();
    let images = objects
        .filter(|file| file.path().extension().is_some_and(|e| e == "jpg"))
        .count();
    assert!(
        images == 1,
        "the other images stay here: {images} objects, {uploads} uploads"
    );
}
