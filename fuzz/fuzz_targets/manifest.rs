//! Fuzzes reading a manifest: any bytes must never panic; a valid manifest can be written in every format, and is
//! the same when read back.
#![no_main]

use castline::manifest::{self, Manifest, ManifestFormat};
use std::path::Path;

fn read(bytes: &[u8]) -> Option<Manifest> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("a file");
    Manifest::read(Path::new(file.path())).ok()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(manifest) = read(bytes) else { return };
    for format in [
        ManifestFormat::Csv,
        ManifestFormat::Map,
        ManifestFormat::UnrealCsv,
        ManifestFormat::UnrealJson,
        ManifestFormat::UnityJson,
    ] {
        let _ = manifest::render(&manifest, format);
    }
    let json = manifest::render(&manifest, ManifestFormat::Json).expect("JSON of any manifest");
    assert_eq!(read(&json), Some(manifest));
});
