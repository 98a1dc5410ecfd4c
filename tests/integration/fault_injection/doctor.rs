//! What would fail is said before a run does.

use crate::support::server::{Server, SmallCast, small_cast};

fn doctor(server: &Server, cast: &SmallCast, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut doctor = server.castline();
    doctor.arg("doctor").arg(&cast.csv).envs(env.iter().copied());
    let output = doctor.output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// The line about `what`.
fn line<'a>(message: &'a str, what: &str) -> &'a str {
    let about = |line: &&str| line.get(6..).is_some_and(|rest| rest.starts_with(what));
    message
        .lines()
        .find(about)
        .unwrap_or_else(|| panic!("nothing about {what}:\n{message}"))
}

#[test]
fn a_healthy_setting_is_told_and_nothing_is_left_behind() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "healthy");
    let (code, message) = doctor(&server, &cast, &[]);
    assert_eq!(code, Some(0), "{message}");
    for what in [
        "settings",
        "ledger",
        "disk",
        "api",
        "clock",
        "s3 write",
        "s3 read",
        "s3 delete",
    ] {
        assert!(line(&message, what).starts_with("ok"), "{message}");
    }
    assert_eq!(server.charges().len(), 0);
    assert!(
        !cast.csv.with_file_name(".castline").exists(),
        "a doctor makes no ledger"
    );
}

#[test]
fn each_ailment_is_named_and_the_rest_is_still_tried() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "ill");
    for (name, value, what, part) in [
        (
            "CASTLINE_API_KEY",
            "sk-wrong-0123456789",
            "api",
            "refuses the key",
        ),
        (
            "CASTLINE_API_BASE_URL",
            "https://localhost:9/v1",
            "api",
            "can't be reached",
        ),
        (
            "CASTLINE_S3_BUCKET",
            "no-such-bucket",
            "s3 write",
            "no-such-bucket",
        ),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "s3 write", ""),
        (
            "CASTLINE_LEDGER_PATH",
            "/dev/null/ledger.db",
            "disk",
            "is not a folder",
        ),
    ] {
        let (code, message) = doctor(&server, &cast, &[(name, value)]);
        assert_eq!(code, Some(2), "{name}: {message}");
        let found = line(&message, what);
        assert!(
            found.starts_with("FAIL") && found.contains(part),
            "{name}: {message}"
        );
        let ailing = message.lines().filter(|line| line.starts_with("FAIL")).count();
        assert!(ailing <= 2, "{name}: one ailment is not all of them:\n{message}");
    }
}
