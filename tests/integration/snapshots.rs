//! What people read, as it is: help, errors, plans. A change here is a change of the interface; look at it, then
//! accept it with `INSTA_UPDATE=always cargo test --test snapshots`.

use std::process::Command;

use crate::support::{Cast, Castline, Ended, sample_cast};

fn castline(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("COLUMNS")
        .output()
        .expect("castline starts");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Both streams of a command on a cast, without what differs from run to run.
fn message(cast: &Cast, ended: &Ended) -> String {
    let folder = cast.folder.path().to_str().expect("UTF-8");
    let both = format!("{}--- stderr\n{}", ended.stdout, ended.stderr).replace(folder, "CAST");
    let lines = both.lines().map(|line| match line.rfind(", in ") {
        Some(at) if line.ends_with(" s") => format!("{}, in … s", &line[..at]),
        _ => line.to_owned(),
    });
    // Plain lines of progress come every few seconds.
    let steady = lines.filter(|line| !line.contains(" s: checked "));
    steady.map(|line| line + "\n").collect()
}

#[test]
fn help() {
    insta::assert_snapshot!("help", castline(&["--help"]));
    for command in [
        "check", "plan", "run", "retry", "resolve", "realface", "review", "report", "status", "manifest",
        "ledger", "doctor", "eval", "sandbox",
    ] {
        insta::assert_snapshot!(format!("help-{command}"), castline(&[command, "--help"]));
    }
}

#[test]
fn a_plan() {
    let cast = sample_cast();
    let plan = Castline::on(&cast).run(&["plan", "--max-cost", "0.10"]);
    insta::assert_snapshot!("plan", message(&cast, &plan));
}

#[test]
fn what_needs_a_person() {
    let cast = sample_cast();
    let problems = Cast::new(cast.folder, "problems.csv");
    let check = Castline::on(&problems).run(&["check"]);
    insta::assert_snapshot!("problems", message(&problems, &check));
}

#[test]
fn errors_name_the_row_the_field_and_the_mend() {
    let cast = sample_cast();
    let rows = "name,image,kind,approve\n\
        Ada,cast/queen_isaura.jpg,,\n\
        ADA,cast/queen_isaura.jpg,,\n\
        ,cast/queen_isaura.jpg,,\n\
        Bo,../secret.png,,\n\
        Cy,nowhere.png,,\n\
        Di,cast/queen_isaura.jpg,actor,\n\
        Ed,cast/queen_isaura.jpg,,perhaps\n\
        Flo,http://example.com/flo.png,,\n";
    std::fs::write(cast.folder.path().join("bad.csv"), rows).expect("a cast");
    let bad = Cast::new(cast.folder, "bad.csv");
    let check = Castline::on(&bad).run(&["check"]);
    check.exits_with(3);
    Castline::on(&bad).run(&["plan", "--sandbox"]).exits_with(2);
    insta::assert_snapshot!("bad-rows", message(&bad, &check));
}

#[test]
fn errors_of_settings() {
    let cast = sample_cast();
    for (name, args) in [
        ("unknown-setting", ["--set", "api.base_ulr=https://x.example"]),
        ("wrong-value", ["--set", "api.rate=fast"]),
        ("wrong-provider", ["--set", "api.provider=jarvis"]),
    ] {
        let check = Castline::on(&cast).run(&[&["check"], &args[..]].concat());
        check.exits_with(2);
        insta::assert_snapshot!(name, message(&cast, &check));
    }
}

#[test]
fn no_colour_off_a_terminal() {
    let cast = sample_cast();
    // A warning, too: a sandbox's manifest does not take the place of a real one.
    let real = r#"{"schema":1,"castline":"0","generated_at":"","run":1,"provider":"x","characters":[{"name":"A","asset_id":"ta_1"}]}"#;
    std::fs::write(cast.folder.path().join("manifest.json"), real).expect("a manifest");
    let run = Castline::on(&cast).run(&["run", "--sandbox"]);
    run.exits_with(0);
    assert!(run.stderr.contains("WARN"), "{}", run.stderr);
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
}

#[test]
fn no_colour_where_none_is_wanted() {
    let cast = sample_cast();
    let problems = Cast::new(cast.folder, "problems.csv");
    let check = Castline::on(&problems).env("NO_COLOR", "1").run(&["check"]);
    assert!(!check.stderr.contains('\u{1b}'), "{}", check.stderr);
}

#[test]
fn completions_for_each_shell_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = castline(&["completions", shell]);
        assert!(
            script.contains("reconcile") && script.contains("doctor"),
            "{shell}"
        );
    }
    let page = castline(&["man"]);
    assert!(
        page.starts_with(".ie") || page.starts_with(".TH"),
        "it is a man page"
    );
}
