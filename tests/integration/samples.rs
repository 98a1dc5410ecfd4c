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

/// Runs a line of shell as cron does: with nothing of this environment.
fn as_cron(line: &str, folder: &std::path::Path, env: &[(String, String)]) -> std::process::Output {
    let mut shell = std::process::Command::new("/bin/sh");
    shell.env_clear().envs(env.iter().map(|(k, v)| (k, v)));
    shell.args(["-c", line]).current_dir(folder);
    shell.output().expect("a shell")
}

#[test]
fn the_line_for_cron_runs_with_crons_environment_and_tells_exit_codes_apart() {
    let server = crate::support::server::Server::start(&[]);
    let cast = sample_cast();
    let folder = cast.folder.path();
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy(sample.join("castline-job.sh"), bin.join("castline-job.sh")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_castline"), bin.join("castline")).unwrap();
    let secrets: String = server
        .settings()
        .iter()
        .map(|(k, v)| format!("{k}='{v}'\n"))
        .collect();
    // What a shell would run or take apart is a value.
    let secrets = format!("# secrets\n\n{secrets}UNRELATED=a b$c&d`e`\n");
    std::fs::write(folder.join("secrets.env"), secrets).unwrap();
    // What is a variable in the file, and the command of its one line.
    let table = std::fs::read_to_string(sample.join("castline.cron")).unwrap();
    let (mut env, mut command) = (
        vec![("HOME".to_owned(), "/nonexistent".to_owned())],
        String::new(),
    );
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once('=') {
            Some((name, value)) if !name.contains(' ') => env.push((name.to_owned(), value.to_owned())),
            _ => line.split_once("castline  ").unwrap().1.clone_into(&mut command),
        }
    }
    for (name, value) in &mut env {
        match name.as_str() {
            "PATH" => *value = format!("{}:{value}", bin.display()),
            "ENV_FILE" => *value = folder.join("secrets.env").display().to_string(),
            _ => {}
        }
    }
    assert!(command.contains("cd /srv/cast"), "{table}");
    let command = command.replace("/srv/cast", &folder.display().to_string());
    let command = command.replace("cast.csv", cast.csv.file_name().unwrap().to_str().unwrap());
    let run = as_cron(&command, folder, &env);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert_eq!(server.charges().len(), 13);
    assert!(
        folder.join("castline.ndjson").is_file()
            && cast.manifest()["characters"].as_array().unwrap().len() == 13
    );

    // Somebody must be looked at: the job is done all the same, and says so.
    let rows = std::fs::read_to_string(&cast.csv).unwrap();
    let twin = rows.lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned();
    let commas = ",".repeat(rows.lines().next().unwrap().matches(',').count() - 1);
    std::fs::write(&cast.csv, format!("{rows}Twin,{twin}{commas}\n")).unwrap();
    let run = as_cron(&command, folder, &env);
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("need a person"), "{stderr}");
    // A failure is one.
    std::fs::write(folder.join("secrets.env"), "").unwrap();
    let run = as_cron(&command, folder, &env);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
}

#[test]
fn the_workflow_for_ci_treats_exit_3_as_the_other_samples_do() {
    let cast = sample_cast();
    let folder = cast.folder.path();
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ci/github-actions.yml");
    let workflow = std::fs::read_to_string(sample).unwrap();
    let step = workflow.split("name: enroll\n").nth(1).unwrap();
    let script: String = step
        .split("run: |\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| line.starts_with("          "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    assert!(script.contains("castline run cast/cast.csv"), "{script}");
    // A castline that ends so.
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for (code, expected) in [(0, 0), (3, 0), (6, 6), (2, 2)] {
        let stand_in = bin.join("castline");
        std::fs::write(&stand_in, format!("#!/bin/sh\nexit {code}\n")).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut shell = std::process::Command::new("bash");
        // As GitHub's runner calls it.
        shell
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &script])
            .env_clear();
        shell
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("MAX_COST", "5")
            .current_dir(folder);
        assert_eq!(
            shell.output().unwrap().status.code(),
            Some(expected),
            "exit {code}"
        );
    }
}

#[test]
fn thresholds_are_suggested_from_labelled_images_and_what_was_judged_is_told() {
    let Cast { folder, .. } = sample_cast();
    let mut labels = "path,faces\nproblems/no_face.png,0\nproblems/two_faces.png,2\n".to_owned();
    let samples = std::fs::read_dir(folder.path().join("cast")).expect("the samples");
    let mut singles = 0;
    for file in samples {
        singles += 1;
        let file = file.expect("a file").file_name().into_string().expect("text");
        labels += &format!("cast/{file},1\n");
    }
    std::fs::write(folder.path().join("labels.csv"), labels).expect("labels");
    let labels = Cast::new(folder, "labels.csv");
    let eval = |args: &[&str]| Castline::on(&labels).run(&[&["eval"], args].concat());
    let told = eval(&["--suggest", "0.5%"]);
    told.exits_with(0);
    let text = &told.stdout;
    assert!(text.contains("[inspect]\naccept_score = 0."), "{text}");
    assert!(text.contains("suggested accepted with one face"), "{text}");
    let json = eval(&["--suggest", "0.5", "--json"]);
    let suggestion = &json.events("suggestion")[0]["suggestion"];
    assert!(suggestion["choice"]["sure"].as_f64().expect("a number") >= 0.3);
    assert_eq!(suggestion["now"]["accepted"]["of"].as_u64(), Some(singles));
    assert_eq!(suggestion["now"]["accepted_wrongly"]["part"], 0);

    let wrong = eval(&["--suggest", "many"]);
    wrong.exits_with(2);
    assert!(
        wrong.stderr.contains("a percentage such as 0.5"),
        "{}",
        wrong.stderr
    );
}
