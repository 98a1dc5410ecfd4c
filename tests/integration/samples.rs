//! The samples are what they say: everybody in `cast.csv` is suitable, and every image of `problems.csv` has the
//! reason that its row expects.

use crate::support::{Cast, Castline, sample_cast};

#[test]
fn everybody_in_the_sample_cast_is_suitable() {
    let cast = sample_cast();
    let check = Castline::on(&cast).run(&["check", "--json"]);
    check.exits_with(0);
    let checked = check.events("checked");
    assert_eq!(checked.len(), cast.names.len());
    for event in checked {
        assert_eq!(event["verdict"], "suitable", "{event}");
    }
}

#[test]
fn every_problem_has_the_reason_that_its_row_expects() {
    let Cast { folder, .. } = sample_cast();
    let problems = Cast::new(folder, "problems.csv");
    let mut csv = csv::Reader::from_path(&problems.csv).expect("problems.csv");
    let expected = csv.records().map(|row| row.expect("a row")[2].to_owned());
    let expected: Vec<String> = expected.collect();
    let check = Castline::on(&problems).run(&["check", "--json"]);
    check.exits_with(3);
    let checked = check.events("checked");
    assert_eq!(checked.len(), expected.len());
    for (event, expected) in checked.iter().zip(&expected) {
        let reasons: Vec<&str> = event["reasons"]
            .as_array()
            .expect("reasons")
            .iter()
            .filter_map(|r| r.as_str())
            .collect();
        if expected.is_empty() {
            assert_eq!(event["verdict"], "suitable", "{event}");
        } else {
            assert_ne!(event["verdict"], "suitable", "{event}");
            assert!(reasons.contains(&expected.as_str()), "{expected}: {event}");
        }
    }
}

#[test]
fn a_picture_that_an_earlier_run_enrolled_is_not_paid_for_under_another_name() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    // The same image, smaller and in another format, stands first in the next cast.
    let picture = cast.folder.path().join("cast/mira_thornfield.jpg");
    let picture = image::open(picture).expect("an image");
    let smaller = picture.resize(600, 600, image::imageops::FilterType::CatmullRom);
    smaller
        .save(cast.folder.path().join("twin.png"))
        .expect("an image");
    let row = cast
        .names
        .iter()
        .position(|n| n.starts_with("Mira"))
        .expect("her row");
    let rows = std::fs::read_to_string(&cast.csv).expect("the cast");
    let (head, rest) = rows.split_once('\n').expect("rows");
    std::fs::write(&cast.csv, format!("{head}\nTwin,twin.png,,\n{rest}")).expect("the cast");

    for _ in 0..2 {
        let again = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
        again.exits_with(3);
        assert!(again.events("enrolled").is_empty());
        let twin = &again.events("checked")[0];
        let code = format!("duplicate_of:{}", cast.names[row]);
        assert_eq!(
            twin["reasons"],
            serde_json::json!([code]),
            "once, in every run: {twin}"
        );
    }
}

#[test]
fn a_wrong_extension_does_not_matter() {
    let cast = sample_cast();
    let rows = std::fs::read_to_string(&cast.csv).expect("the cast");
    std::fs::rename(
        cast.folder.path().join("cast/mira_thornfield.jpg"),
        cast.folder.path().join("cast/mira_thornfield.png"),
    )
    .expect("another name");
    std::fs::write(
        &cast.csv,
        rows.replace("mira_thornfield.jpg", "mira_thornfield.png"),
    )
    .expect("the cast");
    let check = Castline::on(&cast).run(&["check", "--json"]);
    check.exits_with(0);
    assert!(check.events("checked").iter().all(|e| e["verdict"] == "suitable"));
}
