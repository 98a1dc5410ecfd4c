//! What people decide, and what becomes of it: overrides, renamed and removed characters, decisions of the sandbox, fixes.

use serde_json::Value;

use crate::support::server::{Server, small_cast};
use crate::support::{Castline, sample_cast};

/// A folder with an image that shows no face, and a cast of it.
fn faceless() -> crate::support::Cast {
    let cast = sample_cast();
    let folder = cast.folder.path();
    let plain = image::RgbImage::from_fn(400, 400, |x, y| image::Rgb([(x / 2) as u8, (y / 2) as u8, 90]));
    plain.save(folder.join("emblem.png")).expect("an image");
    let tiny = image::RgbImage::new(64, 64);
    tiny.save(folder.join("tiny.png")).expect("an image");
    cast
}

#[test]
fn a_wrong_verdict_is_overridden_for_one_character_and_the_limits_of_the_api_are_not() {
    let cast = faceless();
    let rows = |approve: &str| {
        let rows = format!("name,image,approve\nRobot,emblem.png,{approve}\nTiny,tiny.png,{approve}\n");
        std::fs::write(&cast.csv, rows).expect("a cast");
    };
    let castline = Castline::on(&cast);
    rows("yes");
    let check = castline.run(&["check", "--json"]);
    check.exits_with(3);
    let messages = |name: &str, run: &crate::support::Ended| -> String {
        let checked = run.events("checked");
        let of = checked
            .iter()
            .find(|e| e["name"] == name)
            .expect("it was checked");
        of["messages"].to_string()
    };
    assert!(
        messages("Robot", &check).contains("approve=override"),
        "{}",
        check.stdout
    );
    assert!(
        messages("Tiny", &check).contains("nobody can approve"),
        "{}",
        check.stdout
    );
    let run = castline.run(&["run", "--sandbox", "--json", "--approve", "Robot"]);
    run.exits_with(3);
    assert!(run.events("enrolled").is_empty() && messages("Robot", &run).contains("approve=override"));

    rows("override");
    assert_eq!(
        castline.run(&["check", "--json"]).summary()["standing"]["suitable"],
        1
    );
    let run = castline.run(&["run", "--sandbox", "--json"]);
    run.exits_with(3);
    let enrolled = run.events("enrolled");
    assert_eq!((enrolled.len(), &enrolled[0]["name"]), (1, &"Robot".into()));
    assert_eq!(run.summary()["standing"]["unsuitable"], 1);
    let status = castline.run(&["status", "--sandbox"]);
    assert!(status.stdout.contains("unsuitable     Tiny"), "{}", status.stdout);
    rows("perhaps");
    let wrong = castline.run(&["check"]);
    assert!(wrong.stderr.contains("override"), "{}", wrong.stderr);
}

#[test]
fn a_renamed_character_keeps_its_id_and_the_message_gives_the_command() {
    let server = Server::start(&[]);
    let cast = small_cast(2, "old");
    // Two people: each has a picture.
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/cast/nadia_volkova.jpg");
    std::fs::copy(sample, cast.csv.with_file_name("other.jpg")).unwrap();
    let rows = std::fs::read_to_string(&cast.csv).unwrap();
    std::fs::write(&cast.csv, rows.replace("old 001,face.jpg", "old 001,other.jpg")).unwrap();
    let castline = |args: &[&str]| {
        let mut command = server.castline();
        command.arg(args[0]).arg(&cast.csv).args(&args[1..]);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(castline(&["run", "--yes"]).0, Some(0));
    let ids = |cast: &crate::support::server::SmallCast| -> Vec<(String, String)> {
        let records = cast.records();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        records
            .iter()
            .map(|r| (text(&r["name"]), text(&r["asset_id"])))
            .collect()
    };
    let before = ids(&cast);
    let rows = std::fs::read_to_string(&cast.csv).unwrap();
    std::fs::write(
        &cast.csv,
        rows.replace("old 000", "Sir 'New'").replace(",yes", ","),
    )
    .unwrap();

    let (code, stdout, stderr) = castline(&["run", "--yes", "--json"]);
    assert_eq!(code, Some(3), "{stderr}");
    let command = "castline rename";
    assert!(
        stdout.contains(command) && stdout.contains("'old 000'"),
        "{stdout}"
    );
    let (code, _, stderr) = castline(&["rename", "old 000", "Sir 'New'"]);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stdout, stderr) = castline(&["run", "--yes", "--json"]);
    assert_eq!((code, server.charges().len()), (Some(0), 2), "{stdout}{stderr}");
    let after = ids(&cast);
    assert_eq!(after.len(), 2);
    assert!(
        after.contains(&("Sir 'New'".to_owned(), before[0].1.clone())),
        "{after:?}"
    );

    // Another machine with the same key finds it under its new name.
    std::fs::remove_dir_all(cast.csv.with_file_name(".castline")).unwrap();
    let manifest = cast.csv.with_file_name("manifest.json");
    std::fs::remove_file(manifest).unwrap();
    let (code, _, stderr) = castline(&["run", "--yes"]);
    assert_eq!(
        (code, server.charges().len()),
        (Some(0), 2),
        "nothing is paid again: {stderr}"
    );

    let (code, _, stderr) = castline(&["rename", "Nobody", "Somebody"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("not in the ledger"), "{stderr}");
    let (code, _, stderr) = castline(&["rename", "old 001", "Sir 'New'"]);
    assert_eq!(code, Some(2), "{stderr}");
}

#[test]
fn characters_that_left_the_cast_are_marked_and_engines_do_not_get_them() {
    let cast = sample_cast();
    let castline = Castline::on(&cast);
    castline.run(&["run", "--sandbox"]).exits_with(0);
    let rows = std::fs::read_to_string(&cast.csv).unwrap();
    let mut lines: Vec<&str> = rows.lines().collect();
    let gone = lines.pop().unwrap().split(',').next().unwrap().to_owned();
    let archived = lines[1].split(',').next().unwrap().to_owned();
    std::fs::write(&cast.csv, lines.join("\n")).unwrap();
    castline.run(&["archive", "--sandbox", &archived]).exits_with(0);

    let status = castline.run(&["status", "--sandbox"]);
    let line = |name: &str| {
        status
            .stdout
            .lines()
            .find(|l| l.contains(name))
            .unwrap()
            .to_owned()
    };
    assert!(
        line(&gone).contains("no longer in the cast") && line(&archived).contains("archived"),
        "{}",
        status.stdout
    );
    castline.run(&["run", "--sandbox"]).exits_with(0);
    let manifest = cast.manifest();
    let removed: Vec<&str> = (manifest["characters"].as_array().unwrap().iter())
        .filter(|c| c["removed"] == true)
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(removed, [archived.as_str(), gone.as_str()]);
    let names = |args: &[&str]| {
        let unity = castline.run(args).stdout;
        let unity: Value = serde_json::from_str(&unity).unwrap();
        unity["items"].as_array().unwrap().len()
    };
    let unity = ["manifest", "--sandbox", "--format", "unity-json"];
    assert_eq!(names(&unity), 11);
    assert_eq!(names(&[&unity[..], &["--include-removed"]].concat()), 13);
    castline
        .run(&["archive", "--sandbox", "--undo", &archived])
        .exits_with(0);
    assert_eq!(names(&unity), 12);
    // A row that can't be read is not gone.
    let broken = lines.join("\n").replacen("cast/", "nowhere/", 1);
    std::fs::write(&cast.csv, broken).unwrap();
    assert_eq!(names(&unity), 12);
}

#[test]
fn decisions_of_the_sandbox_are_taken_over() {
    let cast = sample_cast();
    let folder = cast.folder.path();
    std::fs::create_dir_all(folder.join(".castline")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let open = |file: &str, sandbox: bool| {
        let provider = if sandbox {
            "sandbox"
        } else {
            "https://api.jarvisclaw.ai/v1/marketplace"
        };
        let options = castline::ledger::OpenOptions::new(provider, sandbox, "test");
        castline::ledger::Ledger::open(&folder.join(".castline").join(file), options).unwrap()
    };
    let key = |name: &str| castline::cast::Name::new(name).unwrap().key();
    use castline::ledger::{Approval, Reader};
    runtime.block_on(async {
        let theirs = open("sandbox.db", true);
        theirs
            .set_decision(&key("Ada"), "aa", Approval::Overridden, "Ora")
            .await
            .unwrap();
        theirs
            .set_decision(&key("Bo"), "bb", Approval::Rejected, "Ora")
            .await
            .unwrap();
        let ours = open("ledger.db", false);
        ours.set_decision(&key("Bo"), "bb", Approval::Approved, "Me")
            .await
            .unwrap();
    });
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["ledger", "decisions"])
        .arg(&cast.csv)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && stderr.contains("1 decision"),
        "{stderr}"
    );
    let ours = open("ledger.db", false);
    assert_eq!(
        ours.view().approval(&key("Ada"), "aa").unwrap(),
        Approval::Overridden
    );
    assert_eq!(
        ours.view().approval(&key("Bo"), "bb").unwrap(),
        Approval::Approved,
        "ours stays"
    );
    let decided = ours.view().decided(&key("Ada"), "aa").unwrap().unwrap();
    assert_eq!(decided.by, "Ora");
}

#[test]
fn the_list_of_fixes_says_file_name_reason_and_what_to_do() {
    let cast = faceless();
    std::fs::write(
        &cast.csv,
        "name,image\nRobot,emblem.png\n=Tiny,tiny.png\nNobody,nowhere.png\n",
    )
    .unwrap();
    let fixes = cast.folder.path().join("fixes.csv");
    let check = Castline::on(&cast).run(&["check", "--skip-invalid", "--fixes", fixes.to_str().unwrap()]);
    check.exits_with(3);
    let bytes = std::fs::read(&fixes).unwrap();
    assert!(bytes.starts_with("\u{FEFF}file,name,standing,reason,what to do\r\n".as_bytes()));
    let mut rows = csv::ReaderBuilder::new().from_reader(&bytes[3..]);
    let rows: Vec<Vec<String>> = rows
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    let of = |name: &str| {
        rows.iter()
            .find(|row| row[1] == name)
            .unwrap_or_else(|| panic!("{rows:?}"))
    };
    assert!(
        of("Nobody")[0].contains("line 4") && of("Nobody")[2] == "invalid row",
        "{rows:?}"
    );
    assert_eq!(
        (of("Robot")[0].as_str(), of("Robot")[2].as_str()),
        ("emblem.png", "unsuitable")
    );
    assert!(
        !of("Robot")[3].is_empty() && of("Robot")[4].contains("front"),
        "{rows:?}"
    );
    let tiny: Vec<&Vec<String>> = rows.iter().filter(|row| row[1] == "'=Tiny").collect();
    assert!(tiny.iter().any(|row| row[4].contains("larger")), "{rows:?}");
    // An earlier list is replaced, nothing else.
    Castline::on(&cast)
        .run(&["check", "--skip-invalid", "--fixes", fixes.to_str().unwrap()])
        .exits_with(3);
    let taken = Castline::on(&cast).run(&[
        "check",
        "--fixes",
        cast.folder.path().join("emblem.png").to_str().unwrap(),
    ]);
    taken.exits_with(2);
}

#[test]
fn characters_are_chosen_by_name_and_a_cast_may_be_one_image_or_come_from_a_pipe() {
    use std::io::Write as _;
    let cast = sample_cast();
    let castline = Castline::on(&cast);
    let name = cast.names[2].clone();
    for args in [
        &["check", "--json"][..],
        &["plan", "--sandbox", "--json"],
        &["run", "--sandbox", "--json"],
    ] {
        let run = castline.run(&[args, &["--only", &name]].concat());
        run.exits_with(0);
        let checked = run.events("checked");
        assert_eq!(
            (checked.len(), &checked[0]["name"]),
            (1, &name.clone().into()),
            "{args:?}"
        );
    }
    let status = castline.run(&["status", "--sandbox", "--only", &name]);
    assert_eq!(status.stdout.lines().count(), 1, "{}", status.stdout);
    let skipped = castline.run(&["check", "--json", "--skip", &name]);
    assert_eq!(skipped.events("checked").len(), 12);
    let slip = castline.run(&["check", "--only", &format!("{name}x")]);
    slip.exits_with(2);
    assert!(
        slip.stderr.contains(&format!("did you mean {name:?}")),
        "{}",
        slip.stderr
    );
    // A saved plan keeps to whom it is about.
    let plan = cast.folder.path().join("part.json");
    castline
        .run(&[
            "plan",
            "--sandbox",
            "--skip",
            &name,
            "--out",
            plan.to_str().unwrap(),
        ])
        .exits_with(0);
    let binary = env!("CARGO_BIN_EXE_castline");
    let run = std::process::Command::new(binary)
        .arg("run")
        .arg(&plan)
        .args(["--sandbox", "--json"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    assert_eq!(
        String::from_utf8_lossy(&run.stdout)
            .matches("\"type\":\"enrolled\"")
            .count(),
        12
    );

    let image = cast.folder.path().join("cast/nadia_volkova.jpg");
    let one = std::process::Command::new(binary)
        .arg("check")
        .arg(&image)
        .arg("--json")
        .output()
        .unwrap();
    assert!(
        one.status.success() && String::from_utf8_lossy(&one.stdout).contains("Nadia Volkova"),
        "{one:?}"
    );

    let mut piped = std::process::Command::new(binary)
        .args(["plan", "-", "--sandbox", "--json"])
        .current_dir(cast.folder.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    piped
        .stdin
        .take()
        .unwrap()
        .write_all(b"name,image\nPiped,cast/nadia_volkova.jpg\n")
        .unwrap();
    let output = piped.wait_with_output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("\"name\":\"Piped\""),
        "{output:?}"
    );
}

#[test]
fn history_tells_what_was_paid_by_run_and_by_character() {
    let cast = sample_cast();
    let castline = Castline::on(&cast);
    castline
        .run(&["run", "--sandbox", "--max-cost", "0.05"])
        .exits_with(5);
    castline.run(&["run", "--sandbox"]).exits_with(0);
    let history = castline.run(&["history", "--sandbox"]);
    history.exits_with(0);
    let lines: Vec<&str> = history.stdout.lines().collect();
    assert!(
        lines[0].contains("5 enrolled, $0.05") && lines[0].contains("budget was reached"),
        "{}",
        history.stdout
    );
    assert!(lines[1].contains("8 enrolled, $0.08"), "{}", history.stdout);
    assert!(history.stderr.contains("paid $0.13 in all"), "{}", history.stderr);
    let json = castline.run(&["history", "--sandbox", "--json"]);
    let run: Value = serde_json::from_str(json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&run["enrolled"], &run["cost_usd"], &run["type"]),
        (&5.into(), &0.05.into(), &"run".into())
    );
    let manifest = cast.manifest();
    let first = &manifest["characters"][0];
    let (name, id) = (
        first["name"].as_str().unwrap(),
        first["asset_id"].as_str().unwrap(),
    );
    let of = castline.run(&["history", "--sandbox", name]);
    assert!(
        of.stdout.contains(id) && of.stdout.contains("(now)"),
        "{}",
        of.stdout
    );
}

#[test]
fn castlines_files_lie_beside_a_folder_of_art_and_where_they_lie_already() {
    let cast = sample_cast();
    let outer = cast.folder.path();
    let binary = env!("CARGO_BIN_EXE_castline");
    let run = |folder: &std::path::Path, cast: &str| {
        let mut command = std::process::Command::new(binary);
        command
            .args(["run", cast, "--sandbox", "--only", "Nadia Volkova"])
            .current_dir(folder);
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, stderr) = run(outer, "cast");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("ledger: ./.castline/sandbox.db (new"),
        "told at the first run: {stderr}"
    );
    assert!(outer.join(".castline/sandbox.db").is_file() && outer.join("manifest.json").is_file());
    assert!(!outer.join("cast/.castline").exists() && !outer.join("cast/manifest.json").exists());
    // The same cast, named from inside.
    let (code, stderr) = run(&outer.join("cast"), ".");
    assert!(
        code == Some(0) && stderr.contains("nothing to do") && !stderr.contains("(new"),
        "{stderr}"
    );
    // A folder that has a ledger keeps it.
    std::fs::rename(outer.join(".castline"), outer.join("cast/.castline")).unwrap();
    let (code, stderr) = run(outer, "cast");
    assert!(code == Some(0) && stderr.contains("nothing to do"), "{stderr}");
    assert!(!outer.join(".castline").exists());
}
