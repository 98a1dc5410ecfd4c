//! The whole way, with the real binary: the sandbox's real servers, the real face models, a real ledger.

mod looks;
mod names;
mod stamps;

use crate::support::{Castline, sample_cast};

#[test]
fn a_saved_plan_says_which_command_does_it() {
    let cast = sample_cast();
    let plan = Castline::on(&cast).run(&["plan", "--sandbox", "--out", "a plan.json", "--max-cost", "0.02"]);
    plan.exits_with(0);
    let message = "castline run 'a plan.json' --sandbox --max-cost 0.02";
    assert!(
        plan.stdout.contains(&format!("run it with `{message}`")),
        "{}",
        plan.stdout
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["run", "a plan.json", "--sandbox", "--max-cost", "0.02"])
        .current_dir(cast.folder.path())
        .output()
        .expect("castline starts");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert_eq!(cast.manifest()["characters"].as_array().map(Vec::len), Some(2));
}

#[test]
fn secrets_in_settings_are_shown_nowhere() {
    let cast = sample_cast();
    let hook = ("CASTLINE_NOTIFY_URL", "https://hooks.example/T0/HUSH");
    let plan = Castline::on(&cast)
        .env(hook.0, hook.1)
        .run(&["plan", "--sandbox", "--out", "plan.json"]);
    plan.exits_with(0);
    let config = std::process::Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["config", "show"])
        .envs([
            hook,
            ("CASTLINE_REALFACE_WEBHOOK_URL", "https://studio.example/HUSH"),
        ])
        .env("CASTLINE_WALLET_KEY", "HUSH")
        .env_remove("CASTLINE_NOTIFY_SECRET")
        .current_dir(cast.folder.path())
        .output()
        .expect("castline starts");
    let shown = String::from_utf8_lossy(&config.stdout).into_owned();
    for part in [
        "url = \"https://hooks.example/***\"",
        "webhook_url = \"https://studio.example/***\"",
        "# CASTLINE_WALLET_KEY is ***",
        "# CASTLINE_NOTIFY_SECRET is not set",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let saved = std::fs::read_to_string(cast.folder.path().join("plan.json")).expect("a plan");
    for text in [plan.stdout, plan.stderr, shown, saved] {
        assert!(!text.contains("HUSH"), "{text}");
    }
}

#[test]
fn a_cast_goes_in_and_a_manifest_comes_out() {
    let cast = sample_cast();
    let run = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    run.exits_with(0);
    let enrolled = run.events("enrolled");
    assert_eq!(
        enrolled.len(),
        cast.names.len(),
        "every character is enrolled: {}",
        run.stderr
    );

    let manifest = cast.manifest();
    assert_eq!(manifest["sandbox"], true);
    for event in &enrolled {
        let entry = manifest["characters"]
            .as_array()
            .expect("characters")
            .iter()
            .find(|c| c["name"] == event["name"])
            .unwrap_or_else(|| panic!("{} is in the manifest", event["name"]));
        assert_eq!(entry["asset_id"], event["asset_id"]);
        assert!(entry["asset_id"].as_str().expect("an id").contains("sandbox"));
        assert!(
            !entry["published_url"].as_str().expect("a URL").contains('?'),
            "no signature: {entry}"
        );
    }
}

#[test]
fn a_second_run_does_nothing_and_pays_nothing() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let before = cast.manifest();
    let second = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    second.exits_with(0);
    assert!(second.events("enrolled").is_empty());
    assert!(
        second
            .events("planned")
            .iter()
            .all(|e| e["standing"] == "enrolled")
    );
    let summary = second.summary();
    assert_eq!(summary["cost_usd"], 0.0);
    assert_eq!(summary["standing"]["enrolled"], cast.names.len());
    assert_eq!(cast.manifest()["characters"], before["characters"]);
}

#[test]
fn a_copy_of_the_ledgers_one_file_pays_for_nothing_again() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let elsewhere = sample_cast();
    std::fs::create_dir(elsewhere.folder.path().join(".castline")).expect("a folder");
    let ledger = ".castline/sandbox.db";
    std::fs::copy(
        cast.folder.path().join(ledger),
        elsewhere.folder.path().join(ledger),
    )
    .expect("a copy");
    let again = Castline::on(&elsewhere).run(&["run", "--sandbox", "--json"]);
    again.exits_with(0);
    assert_eq!(again.summary()["standing"]["enrolled"], cast.names.len());
    assert_eq!(again.summary()["cost_usd"], 0.0);
}

#[test]
fn the_first_line_tells_the_schema_and_the_last_the_exit_code() {
    let cast = sample_cast();
    let run = Castline::on(&cast).run(&["check", "--json"]);
    run.exits_with(0);
    let lines = run.lines();
    assert_eq!(lines[0]["type"], "castline");
    assert_eq!(lines[0]["schema"], 1);
    let last = lines.last().expect("a last line");
    assert_eq!(
        (&last["type"], &last["exit_code"]),
        (&"summary".into(), &0.into())
    );
    assert_eq!(run.events("checked").len(), cast.names.len());
}

#[test]
fn a_dry_run_tells_what_a_run_would_cost_and_leaves_no_trace() {
    let cast = sample_cast();
    let plan = Castline::on(&cast).run(&["run", "--dry-run", "--sandbox", "--json"]);
    plan.exits_with(0);
    let planned = plan.events("planned");
    assert!(
        planned
            .iter()
            .all(|e| e["standing"] == "to_enroll" && e["cost_usd"] == 0.01)
    );
    let count = cast.names.len() as f64;
    assert!((plan.summary()["planned_usd"].as_f64().expect("a cost") - 0.01 * count).abs() < 1e-9);
    assert!(
        !cast.folder.path().join(".castline").exists(),
        "a plan writes no ledger"
    );
    assert!(!cast.folder.path().join("manifest.json").exists());
}

#[test]
fn a_changed_picture_is_held_until_it_is_asked_for() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    cast.repaint(0);
    let held = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    held.exits_with(3);
    assert!(held.events("enrolled").is_empty());
    assert_eq!(held.summary()["standing"]["changed"], 1);

    let paid = Castline::on(&cast).run(&["run", "--sandbox", "--json", "--re-enroll-changed"]);
    paid.exits_with(0);
    assert_eq!(paid.events("enrolled").len(), 1);
}

#[test]
fn a_budget_stops_the_run_cleanly_and_a_larger_one_finishes_it() {
    let cast = sample_cast();
    let first = Castline::on(&cast).run(&["run", "--sandbox", "--json", "--max-cost", "0.03"]);
    first.exits_with(5);
    assert_eq!(first.events("enrolled").len(), 3);
    let rest = Castline::on(&cast).run(&["run", "--sandbox", "--json"]);
    rest.exits_with(0);
    assert_eq!(rest.events("enrolled").len(), cast.names.len() - 3);
}

#[test]
fn a_manifest_that_can_not_be_written_takes_nothing_of_the_end_with_it() {
    use std::io::{BufRead, BufReader};

    let cast = sample_cast();
    let out = cast.folder.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    // On its way the manifest is not written; at its end the folder is gone.
    let args = [
        "run",
        "--sandbox",
        "--json",
        "--manifest",
        "out/manifest.json",
        "--set",
        "manifest.checkpoint_interval=1h",
        "--set",
        "ledger.backup=out/copy.db",
        "--rate",
        "2/s",
        "--max-cost",
        "0.02",
    ];
    let mut run = Castline::on(&cast)
        .command(&args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("castline starts");
    let mut events: Vec<serde_json::Value> = Vec::new();
    for line in BufReader::new(run.stdout.take().expect("a pipe")).lines() {
        let event: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        if event["type"] == "enrolled" && out.is_dir() {
            std::fs::remove_dir(&out).expect("an empty folder");
        }
        events.push(event);
    }
    assert_eq!(run.wait().expect("an end").code(), Some(1));
    let text: Vec<&str> = events
        .iter()
        .filter(|event| event["type"] == "write_failed")
        .filter_map(|event| event["message"].as_str())
        .collect();
    assert_eq!(text.len(), 2, "{text:?}");
    assert!(
        text[0].contains("manifest") && text[1].contains("ledger.backup"),
        "{text:?}"
    );
    let summary = events.last().expect("a last line");
    assert_eq!(
        (&summary["type"], &summary["enrolled"]),
        (&"summary".into(), &2.into())
    );
    assert_eq!(summary["exit_code"], 1);
    assert!(summary.get("manifest").is_none(), "{summary}");
}

#[test]
fn a_retry_leaves_those_alone_with_whom_nothing_went_wrong() {
    let cast = sample_cast();
    let first = Castline::on(&cast).run(&["run", "--sandbox", "--json", "--max-cost", "0.03"]);
    first.exits_with(5);
    let retry = Castline::on(&cast).run(&["retry", "--sandbox", "--json"]);
    retry.exits_with(0);
    assert!(
        retry.events("enrolled").is_empty(),
        "{:?}",
        retry.events("enrolled")
    );
    assert_eq!(cast.manifest()["characters"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_run_that_pays_needs_consent() {
    let cast = sample_cast();
    let run = Castline::on(&cast).run(&["run"]);
    run.exits_with(2);
    assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    assert!(!cast.folder.path().join(".castline").exists());
}

#[test]
fn status_and_manifest_speak_from_the_ledger() {
    let cast = sample_cast();
    Castline::on(&cast).run(&["run", "--sandbox"]).exits_with(0);
    let status = Castline::on(&cast).run(&["status", "--sandbox", "--json"]);
    status.exits_with(0);
    let lines = status.events("status");
    assert_eq!(lines.len(), cast.names.len());
    assert!(
        lines
            .iter()
            .all(|l| l["standing"] == "enrolled" && l["asset_id"].is_string())
    );

    // A row that no run has seen stands there, too, in its place.
    let csv = std::fs::read_to_string(&cast.csv).expect("the cast");
    let (header, rows) = csv.split_once('\n').expect("rows");
    let first = rows.lines().next().expect("a row");
    let newcomer = first.replacen(&cast.names[0], "A Newcomer", 1);
    std::fs::write(&cast.csv, format!("{header}\n{newcomer}\n{rows}")).expect("a cast");
    let lines = Castline::on(&cast)
        .run(&["status", "--sandbox", "--json"])
        .events("status");
    assert_eq!(lines.len(), cast.names.len() + 1);
    assert_eq!(
        (&lines[0]["name"], &lines[0]["standing"]),
        (&"A Newcomer".into(), &"not_seen".into())
    );

    let map = Castline::on(&cast).run(&["manifest", "--sandbox", "--format", "map"]);
    map.exits_with(0);
    let map: serde_json::Value = serde_json::from_str(&map.stdout).expect("a JSON map");
    assert_eq!(map.as_object().expect("a map").len(), cast.names.len());
}
