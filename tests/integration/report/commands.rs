//! What the commands put into a report.

use super::*;

/// What a report embeds for its script.
fn data(path: &Path) -> serde_json::Value {
    let html = std::fs::read_to_string(path).expect("a report");
    let json = html
        .split("type=\"application/json\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next());
    serde_json::from_str(json.expect("data")).expect("JSON")
}

#[test]
fn check_writes_what_it_saw() {
    let cast = sample_cast();
    Castline::on(&cast)
        .run(&["check", "--report", "look.html"])
        .exits_with(0);
    let data = data(&cast.folder.path().join("look.html"));
    let cards = data["cards"].as_array().expect("cards");
    let names: Vec<_> = cards
        .iter()
        .map(|c| c["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, cast.names, "in the order of the cast");
    for card in cards {
        assert_eq!(card["standing"], "suitable", "{card}");
        assert_eq!(card["faces"].as_array().expect("faces").len(), 1);
        let picture = card["thumbnail"].as_str().expect("a thumbnail");
        assert!(picture.starts_with("data:image/jpeg;base64,"));
    }
}

#[test]
fn a_report_tells_ids_and_costs_and_notices_a_changed_picture() {
    let cast = sample_cast();
    let castline = Castline::on(&cast);
    castline.run(&["run", "--sandbox"]).exits_with(0);
    cast.repaint(0);
    castline
        .run(&["report", "--sandbox", "--out", "report.html"])
        .exits_with(0);
    let report = cast.folder.path().join("report.html");
    let data = data(&report);
    let cards = data["cards"].as_array().expect("cards");
    assert_eq!(cards[0]["standing"], "changed");
    assert_eq!(cards[1]["standing"], "enrolled");
    for card in cards {
        assert!(card["asset_id"].as_str().expect("an id").contains("sandbox"));
        assert_eq!(card["cost"], "$0.01");
        assert!(card["thumbnail"].is_string());
    }
    let html = std::fs::read_to_string(report).expect("a report");
    assert!(html.contains("Sandbox: ids mean nothing outside"));
}

#[test]
fn a_run_leaves_its_report() {
    let cast = sample_cast();
    Castline::on(&cast)
        .run(&["run", "--sandbox", "--report", "run.html"])
        .exits_with(0);
    let cards = &data(&cast.folder.path().join("run.html"))["cards"];
    for card in cards.as_array().expect("cards") {
        assert_eq!(card["standing"], "enrolled");
        assert!(
            card["asset_id"].is_string() && card["thumbnail"].is_string(),
            "{card}"
        );
    }
}

#[test]
fn a_plan_tells_what_each_character_would_cost() {
    let cast = sample_cast();
    Castline::on(&cast)
        .run(&["plan", "--sandbox", "--report", "plan.html"])
        .exits_with(0);
    let data = data(&cast.folder.path().join("plan.html"));
    let cards = data["cards"].as_array().expect("cards");
    assert!(
        cards
            .iter()
            .all(|c| c["standing"] == "to_enroll" && c["cost"] == "$0.01")
    );
}

#[test]
fn without_a_ledger_there_is_nothing_to_report() {
    let cast = sample_cast();
    let ended = Castline::on(&cast).run(&["report", "--sandbox"]);
    ended.exits_with(2);
    assert!(
        ended.stderr.contains("--report FILE"),
        "it tells the way: {}",
        ended.stderr
    );
}
