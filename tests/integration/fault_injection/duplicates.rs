//! The same image under a second name, while it is not known whether the first was charged.

use std::path::Path;

use crate::support::server::{Server, small_cast};

/// Runs the cast; the exit code, and what was to be done with each name.
fn run(server: &Server, csv: &Path) -> (Option<i32>, Vec<(String, String)>) {
    let mut castline = server.castline();
    let output = castline
        .args(["run", "--yes", "--json"])
        .arg(csv)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let planned = lines.filter(|l| l["type"] == "planned");
    let word = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
    let planned = planned.map(|l| (word(&l["name"]), word(&l["standing"])));
    (output.status.code(), planned.collect())
}

/// A first character meets `fault`; then a second one appears in the cast with the same file, before and behind it.
fn a_second_name_is_for_review(fault: &str, first_is: &str, charged: usize) {
    let server = Server::start(&["--fault", &format!("{fault}=100")]);
    let cast = small_cast(1, "Mira");
    let mira = cast.names.first().unwrap();
    run(&server, &cast.csv);
    assert_eq!(server.charges().len(), charged, "{fault}");
    for second_comes_first in [false, true] {
        let mut rows = [
            format!("{mira},face.jpg"),
            "Mira of Thornfield,face.jpg".to_owned(),
        ];
        if second_comes_first {
            rows.reverse();
        }
        std::fs::write(&cast.csv, format!("name,image\n{}\n", rows.join("\n"))).unwrap();
        let (_, mut planned) = run(&server, &cast.csv);
        planned.sort();
        let expected = [(mira.as_str(), first_is), ("Mira of Thornfield", "to_review")];
        let planned: Vec<_> = planned.iter().map(|(n, a)| (n.as_str(), a.as_str())).collect();
        assert_eq!(planned, expected, "{fault}, {second_comes_first}");
        assert_eq!(server.charges().len(), charged, "{fault}: nothing more was paid");
        if charged == 0 {
            // What the API refuses costs nothing: that the cast shows it twice is noticed in its order.
            break;
        }
    }
}

#[test]
fn the_picture_of_somebody_in_doubt_is_not_paid_for_under_a_second_name() {
    a_second_name_is_for_review("500-charged", "in_doubt", 1);
}

#[test]
fn the_picture_of_somebody_refused_is_not_sent_under_a_second_name() {
    a_second_name_is_for_review("422", "refused", 0);
}
