//! Many machines look at a cast, one pays.

use super::*;
use crate::support::postgres::shared;

/// A cast with pictures of its own: each row has another file.
pub(super) fn looked_at(server: &Server, count: usize) -> SmallCast {
    let cast = small_cast(count, "shard").kept_as(server);
    let rows: Vec<String> = std::fs::read_to_string(&cast.csv)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let face = image::open(cast.csv.with_file_name("face.jpg"))
        .unwrap()
        .to_rgb8();
    let mut text = format!("{}\n", rows[0]);
    for (number, row) in rows[1..].iter().enumerate() {
        let mut picture = face.clone();
        // Two colours, so that no two are the same.
        let shades = [number % 20, number / 20].map(|shade| (shade * 3) as u8);
        for pixel in picture.pixels_mut() {
            pixel.0[1] = pixel.0[1].saturating_add(shades[0]);
            pixel.0[2] = pixel.0[2].saturating_add(shades[1]);
        }
        picture
            .save(cast.csv.with_file_name(format!("{number}.png")))
            .unwrap();
        text += &format!("{}\n", row.replace("face.jpg", &format!("{number}.png")));
    }
    std::fs::write(&cast.csv, text).unwrap();
    cast
}

fn shard(server: &Server, cast: &SmallCast, shard: &str) -> Command {
    let mut check = server.castline();
    check.env_remove("CASTLINE_API_KEY");
    check.args(["check", "--shard", shard]).arg(&cast.csv);
    check.stdout(Stdio::piped()).stderr(Stdio::piped());
    check
}

#[test]
fn shards_look_at_a_cast_once_without_a_key_and_one_run_pays_for_it() {
    let Some(postgres) = shared() else { return };
    let mut server = Server::start(&[]);
    let schema = server.keep_ledger_in(postgres);
    let cast = looked_at(&server, 24);
    let seen = || -> usize {
        let count = format!("SELECT count(*) FROM {schema}.inspections");
        postgres.sql(&count).parse().unwrap()
    };
    // All at once, and one of them twice.
    let parts = ["0/3", "1/3", "2/3", "1/3"];
    let running: Vec<Child> = parts
        .iter()
        .map(|part| shard(&server, &cast, part).spawn().unwrap())
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        println!("{}", stderr(&output));
        assert_eq!(output.status.code(), Some(0));
    }
    assert_eq!(seen(), 24, "each picture in one shard");
    // What is known is not looked at again.
    let again = shard(&server, &cast, "0/1").output().unwrap();
    assert!(stderr(&again).contains(" 0 new"), "{}", stderr(&again));
    // An engine tells its part.
    let mut by_engine = shard(&server, &cast, "auto");
    by_engine.envs([("SLURM_ARRAY_TASK_ID", "2"), ("SLURM_ARRAY_TASK_COUNT", "3")]);
    let by_engine = by_engine.output().unwrap();
    assert!(stderr(&by_engine).contains("shard 2/3"), "{}", stderr(&by_engine));
    assert!(server.charges().is_empty());

    let run = run_when_free(&server, &cast);
    cast.assert_promises(&server, run.status.code());
    assert_eq!((server.charges().len(), seen()), (24, 24));
}

#[test]
fn a_shard_that_is_told_to_stop_keeps_what_it_saw_and_ends_with_75() {
    let Some(postgres) = shared() else { return };
    let mut server = Server::start(&[]);
    let schema = server.keep_ledger_in(postgres);
    let cast = looked_at(&server, 400);
    let mut check = shard(&server, &cast, "0/1");
    let mut child = check.args(["--jobs", "1", "--json"]).spawn().unwrap();
    // It is at work once it reports an image.
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut checked = lines
        .map(Result::unwrap)
        .filter(|line| line.contains(r#""checked""#));
    checked.next().unwrap();
    let told = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    let before = checked.count() + 1;
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    let kept: usize = postgres
        .sql(&format!("SELECT count(*) FROM {schema}.inspections"))
        .parse()
        .unwrap();
    assert!(
        kept >= before && kept < 400,
        "{kept} kept of {before} that were reported"
    );
    let rest = shard(&server, &cast, "0/1").output().unwrap();
    assert_eq!(rest.status.code(), Some(0));
    assert!(
        stderr(&rest).contains(&format!(" {} new", 400 - kept)),
        "{}",
        stderr(&rest)
    );
}

#[test]
fn a_shard_needs_a_ledger_that_machines_share() {
    let server = Server::start(&[]);
    let cast = small_cast(2, "alone");
    let output = shard(&server, &cast, "0/2").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("ledger.url"), "{}", stderr(&output));
}
