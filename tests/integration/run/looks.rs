//! Characters with several looks: each an asset of its own, shown together, alike without a review.

use image::ImageFormat;

use crate::support::{Castline, sample_cast};

#[test]
fn looks_of_a_character_may_resemble_each_other_and_stay_together() {
    let cast = sample_cast();
    let folder = cast.folder.path();
    let portrait = image::open(folder.join("cast/queen_isaura.jpg")).expect("a sample");
    for (file, by) in [("plain.png", 0), ("winter.png", 4), ("stranger.png", 8)] {
        let picture = portrait.brighten(by);
        picture
            .save_with_format(folder.join(file), ImageFormat::Png)
            .expect("an image");
    }
    std::fs::copy(folder.join("plain.png"), folder.join("copy.png")).expect("a copy");
    let rows = "Alice,,plain.png\nBo,,cast/tomas_reed.jpg\nalice,winter,winter.png\nCy,,stranger.png\nAlice,same,copy.png\n";
    std::fs::write(&cast.csv, format!("character,look,image\n{rows}")).expect("a cast");

    let plan = Castline::on(&cast).run(&["plan", "--sandbox", "--json"]);
    plan.exits_with(3);
    let run = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    run.exits_with(3);
    let names = |kind: &str| -> Vec<String> {
        let events = run.events(kind);
        let mut names: Vec<String> = events
            .iter()
            .map(|e| e["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("enrolled"), ["Alice", "Bo", "alice, winter"]);
    let reasons = |name: &str| {
        let checked = run.events("checked");
        let of = checked
            .iter()
            .find(|e| e["name"] == name)
            .expect("it was checked");
        of["reasons"][0].as_str().unwrap_or_default().to_owned()
    };
    assert!(
        reasons("Cy").to_lowercase().starts_with("duplicate_of:alice"),
        "somebody else: {}",
        reasons("Cy")
    );
    assert_eq!(reasons("Alice, same"), "duplicate_of:Alice", "the same file");

    let manifest = cast.manifest();
    let characters = manifest["characters"].as_array().expect("characters");
    let order: Vec<&str> = characters.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(order, ["Alice", "alice, winter", "Bo"]);
    assert_eq!(manifest["looks"]["Alice"][""], characters[0]["asset_id"]);
    assert_eq!(manifest["looks"]["Alice"]["winter"], characters[1]["asset_id"]);
    let status = Castline::on(&cast).run(&["status", "--sandbox"]);
    let rows: Vec<&str> = status.stdout.lines().collect();
    assert!(
        rows[0].contains("Alice") && rows[1].contains("alice, winter") && rows[2].contains("Alice, same"),
        "{rows:?}"
    );
    let unreal = Castline::on(&cast).run(&["manifest", "--sandbox", "--format", "unreal-csv"]);
    assert!(
        unreal.stdout.contains("\r\nalice_winter,\"alice, winter\",ta_"),
        "{}",
        unreal.stdout
    );

    // Only the new look: what the ledger knows of the others is enough.
    let only = Castline::on(&cast).run(&["run", "--sandbox", "--json", "--only", "Bo"]);
    only.exits_with(0);
    let later = portrait.brighten(12);
    later
        .save_with_format(folder.join("summer.png"), ImageFormat::Png)
        .expect("an image");
    let row = "Alice,summer,summer.png\n";
    std::fs::write(
        &cast.csv,
        format!("character,look,image\n{rows}{row}", rows = &RESTS),
    )
    .expect("a cast");
    let one = Castline::on(&cast).run(&["run", "--sandbox", "--json", "--only", "Alice, summer"]);
    one.exits_with(0);
    assert_eq!(one.events("enrolled").len(), 1);
}

/// The rows that were enrolled.
const RESTS: &str = "Alice,,plain.png\nalice,winter,winter.png\nBo,,cast/tomas_reed.jpg\n";
