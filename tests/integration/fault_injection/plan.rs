//! A plan costs nothing, adds up, and a run that follows one does exactly that.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::server::{Server, SmallCast, small_cast};

fn castline(server: &Server, args: &[&str]) -> (Option<i32>, String, String) {
    let output = server.castline().args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

/// Replaces the image of all by another one with the same face.
fn repaint(cast: &SmallCast) {
    let file = cast.csv.with_file_name("face.jpg");
    let mut picture = image::open(&file).unwrap().to_rgb8();
    for pixel in picture.pixels_mut() {
        pixel.0[0] = pixel.0[0].saturating_add(6);
    }
    picture.save(&file).unwrap();
}

#[test]
fn a_plan_touches_no_server() {
    // Every connection counts, whatever it would ask.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let touched = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&touched);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let cast = small_cast(3, "plan");
    let output = Command::new(env!("CARGO_BIN_EXE_castline"))
        .args(["plan", "--json"])
        .arg(&cast.csv)
        .env("CASTLINE_API_BASE_URL", format!("https://localhost:{port}/v1"))
        .env("CASTLINE_API_KEY", "sk-test-0123456789")
        .env("CASTLINE_S3_ENDPOINT", format!("https://localhost:{port}"))
        .env("CASTLINE_S3_BUCKET", "bucket")
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(touched.load(Ordering::Relaxed), 0, "a plan connected to somebody");
    assert!(
        !cast.csv.with_file_name(".castline").exists(),
        "a plan leaves no ledger"
    );
}

#[test]
fn a_plan_adds_up_before_and_after() {
    let server = Server::start(&[]);
    let cast = small_cast(3, "sum");
    let plan = |more: &[&str]| {
        let (code, message, stderr) =
            castline(&server, &[&["plan", path(&cast.csv), "--json"], more].concat());
        let lines: Vec<Value> = message
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        let plan = lines.into_iter().find(|l| l["type"] == "plan").expect(&stderr);
        (code, plan)
    };
    let (code, before) = plan(&["--detailed-exitcode", "--rate", "3/min"]);
    assert_eq!(code, Some(10), "there is something to do");
    assert_eq!(before["standing"]["to_enroll"]["characters"], 3);
    assert_eq!(before["cost_usd"], 0.03);
    assert_eq!(
        (&before["uploads"]["put"], &before["uploads"]["get"]),
        (&3.into(), &3.into())
    );
    assert_eq!(before["seconds"], 40.0, "three calls, twenty seconds apart");
    let (code, ..) = castline(&server, &["run", path(&cast.csv), "--yes", "--rate", "1000/s"]);
    assert_eq!(code, Some(0));
    let (code, after) = plan(&["--detailed-exitcode"]);
    assert_eq!(code, Some(0), "nothing is left to do");
    assert_eq!(
        (&after["standing"]["enrolled"]["characters"], &after["cost_usd"]),
        (&3.into(), &0.0.into())
    );

    repaint(&cast);
    let (_, changed) = plan(&[]);
    assert_eq!(
        (
            &changed["standing"]["changed"]["characters"],
            &changed["cost_usd"]
        ),
        (&3.into(), &0.0.into())
    );
    let (_, again) = plan(&["--re-enroll-changed", "--max-cost", "0.02"]);
    assert_eq!(again["re_enrolled"], 3);
    assert_eq!(
        (&again["cost_usd"], &again["budget_usd"]),
        (&0.03.into(), &0.02.into())
    );
}

#[test]
fn a_saved_plan_is_done_exactly_or_not_at_all() {
    let server = Server::start(&[]);
    let cast = small_cast(3, "saved");
    let plan = cast.csv.with_file_name("plan.json");
    let (csv, file) = (path(&cast.csv), path(&plan));
    let make = || castline(&server, &["plan", csv, "--out", file]).0;
    let run = |more: &[&str]| castline(&server, &[&["run", file, "--rate", "1000/s"], more].concat());

    assert_eq!(make(), Some(0));
    let (code, _, stderr) = run(&["--set", "api.price_usd=0.02"]);
    assert_eq!(code, Some(8), "{stderr}");
    assert!(
        stderr.contains("the price was $0.01, it is $0.02 now"),
        "{stderr}"
    );

    repaint(&cast);
    let (code, _, stderr) = run(&[]);
    assert_eq!(code, Some(8), "{stderr}");
    assert!(stderr.contains("the image of saved 000 has changed"), "{stderr}");
    assert_eq!(server.charges().len(), 0, "a stale plan pays for nobody");

    assert_eq!(make(), Some(0));
    let (code, _, stderr) = run(&[]);
    assert_eq!(code, Some(0), "a plan needs no --yes: it is one\n{stderr}");
    assert_eq!(server.charges().len(), 3);
    let (code, _, stderr) = run(&[]);
    assert_eq!(code, Some(8), "the ledger has moved: {stderr}");
    assert!(
        stderr.contains("3 of the 3 that this plan enrolls are already enrolled"),
        "{stderr}"
    );
    assert_eq!(server.charges().len(), 3);
}

#[test]
fn a_saved_plan_holds_its_budget_whatever_is_allowed_beside_it() {
    let server = Server::start(&[]);
    let cast = small_cast(3, "capped");
    let plan = cast.csv.with_file_name("plan.json");
    let (csv, file) = (path(&cast.csv), path(&plan));
    let (code, message, _) = castline(&server, &["plan", csv, "--out", file, "--max-cost", "0.02"]);
    assert_eq!(code, Some(0));
    assert!(message.contains("1 of 3 exceed it"), "{message}");
    let (code, _, stderr) = castline(&server, &["run", file, "--rate", "1000/s", "--max-cost", "1"]);
    assert_eq!(code, Some(5), "{stderr}");
    assert_eq!(server.charges().len(), 2, "the plan said $0.02 at most");

    // A smaller one counts, too.
    let (code, ..) = castline(&server, &["plan", csv, "--out", file, "--max-cost", "1"]);
    assert_eq!(code, Some(0));
    let (code, _, stderr) = castline(&server, &["run", file, "--max-cost", "0"]);
    assert_eq!(code, Some(5), "{stderr}");
    assert_eq!(server.charges().len(), 2);
}

#[test]
fn a_saved_plan_holds_where_pictures_go_and_how_they_are_made_ready() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "moved");
    let plan = cast.csv.with_file_name("plan.json");
    let file = path(&plan);
    assert_eq!(
        castline(&server, &["plan", path(&cast.csv), "--out", file]).0,
        Some(0)
    );
    for (set, part) in [
        (
            "s3.prefix=other/",
            "s3.prefix was \"castline/\", it is \"other/\" now",
        ),
        ("s3.presign_expiry=1h", "s3.presign_expiry was"),
        ("inspect.quality=50", "inspect.quality was"),
        ("inspect.accept_score=0.5", "inspector was"),
    ] {
        let (code, _, stderr) = castline(&server, &["run", file, "--set", set]);
        assert_eq!(code, Some(8), "{set}: {stderr}");
        assert!(stderr.contains(part), "{set}: {stderr}");
    }
    assert_eq!(server.charges().len(), 0);
}

#[test]
fn what_a_plan_has_decided_is_not_asked_for_again() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "decided");
    let plan = cast.csv.with_file_name("plan.json");
    let file = path(&plan);
    assert_eq!(
        castline(&server, &["plan", path(&cast.csv), "--out", file]).0,
        Some(0)
    );
    for typed in [
        &["--approve", "decided 000"][..],
        &["--approvals", "names.txt"],
        &["--include", "*.png"],
        &["--exclude", "*.png"],
        &["--skip-invalid"],
        &["--allow-outside"],
        &["--re-enroll-changed"],
    ] {
        let (code, _, stderr) = castline(&server, &[&["run", file], typed].concat());
        assert_eq!(code, Some(2), "{typed:?}: {stderr}");
        assert!(stderr.contains(typed[0]), "{typed:?}: {stderr}");
    }
    assert_eq!(server.charges().len(), 0);
}

/// What a person at a terminal sees who types `early` at once, and `answer` when asked.
#[cfg(target_os = "linux")]
fn at_a_terminal(server: &Server, cast: &SmallCast, early: &str, answer: &str) -> (Option<i32>, String) {
    let command = format!(
        "{} run {} --rate 1000/s",
        env!("CARGO_BIN_EXE_castline"),
        path(&cast.csv)
    );
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).env("COLUMNS", "100");
    for (name, value) in server.settings() {
        script.env(name, value);
    }
    let mut script = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = script.stdin.take().unwrap();
    input.write_all(early.as_bytes()).unwrap();
    let mut output = script.stdout.take().unwrap();
    let (mut screen, mut some) = (String::new(), [0; 4096]);
    while !screen.contains("[y/N]") {
        let read = output.read(&mut some).unwrap();
        assert_ne!(read, 0, "never asked: {screen}");
        screen += &String::from_utf8_lossy(&some[..read]);
    }
    input.write_all(answer.as_bytes()).unwrap();
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    screen += &String::from_utf8_lossy(&rest);
    // Held open until now: a terminal does not end because somebody typed.
    drop(input);
    (script.wait().unwrap().code(), screen)
}

#[cfg(target_os = "linux")]
#[test]
fn at_a_terminal_a_run_shows_its_plan_and_asks() {
    let server = Server::start(&[]);
    let cast = small_cast(2, "asked");
    let (code, screen) = at_a_terminal(&server, &cast, "yes\n", "n\n");
    assert_eq!(
        code,
        Some(0),
        "typed before the question is no answer, and no is one: {screen}"
    );
    assert!(screen.contains("Enroll 2 for $0.02?"), "{screen}");
    assert_eq!(screen.matches("nothing was paid").count(), 1, "{screen}");
    assert_eq!(server.charges().len(), 0);
    let (code, screen) = at_a_terminal(&server, &cast, "", "yes\n");
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(server.charges().len(), 2);
}

#[test]
fn off_a_terminal_a_run_needs_yes() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "unasked");
    let (code, _, stderr) = castline(&server, &["run", path(&cast.csv)]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("--yes") && stderr.contains("castline plan"),
        "{stderr}"
    );
    assert_eq!(server.charges().len(), 0);
}
