//! What is in doubt, settled by the provider's own list of assets.

use crate::support::server::{Server, small_cast};

/// A third provider, known by its profile alone.
const PROFILE: &str = "name = \"third\"\nbase_url = \"https://third.example/api/v1\"\npayments = [\"key\"]\n\
                       uncharged = []\nlisting = \"wallet/{address}/portraits\"\n";

#[test]
fn what_the_provider_lists_is_adopted_and_the_rest_stays_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.toml");
    let mixed = "seed = 9\n[percent]\n\"reset-charged\" = 40\n\"reset-before-read\" = 30\n";
    std::fs::write(&faults, mixed).unwrap();
    let server = Server::start(&["--faults", faults.to_str().unwrap()]);
    let cast = small_cast(30, "listed");
    std::fs::write(cast.csv.with_file_name("third.toml"), PROFILE).unwrap();
    let settings = "[api]\nprovider = \"third.toml\"\nmax_consecutive_in_doubt = 100\n";
    std::fs::write(cast.csv.with_file_name("castline.toml"), settings).unwrap();
    let castline = |args: &[&str]| {
        let mut castline = server.castline();
        castline.arg(args[0]).arg(&cast.csv).args(&args[1..]);
        castline
            .arg("--config")
            .arg(cast.csv.with_file_name("castline.toml"));
        let output = castline.output().unwrap();
        let message = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            message,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let count = |state: &str| cast.records().iter().filter(|r| r["state"] == state).count();

    assert_eq!(castline(&["trust"]).0, Some(0), "the profile names an address");
    castline(&["run", "--yes", "--rate", "1000/s"]);
    let (charged, in_doubt) = (server.charges().len(), count("in_doubt"));
    let lost = charged - count("enrolled");
    assert!(
        lost > 0 && in_doubt > lost,
        "{lost} of {in_doubt} doubts were charged"
    );

    let (code, _, stderr) = castline(&["resolve", "--reconcile"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("payment.address"), "{stderr}");

    let address = "payment.address=0x00000000000000000000000000000000000000aa";
    let (code, message, stderr) = castline(&["resolve", "--reconcile", "--set", address]);
    assert_eq!(code, Some(6), "some were never charged: {stderr}");
    assert_eq!(message.matches("found\t").count(), lost, "{message}");
    assert_eq!(
        message.matches("not listed\t").count(),
        in_doubt - lost,
        "{message}"
    );
    assert_eq!(count("enrolled"), charged);
    assert_eq!(
        count("in_doubt"),
        in_doubt - lost,
        "that nothing is listed proves nothing"
    );

    // Asked again, nothing more is found, and nobody gets what somebody has.
    let (_, message, _) = castline(&["resolve", "--reconcile", "--set", address]);
    assert_eq!(message.matches("found\t").count(), 0, "{message}");
    assert_eq!(server.charges().len(), charged, "asking costs nothing");

    // Each id went to the character that it was charged for.
    for record in cast.records().iter().filter(|r| r["state"] == "enrolled") {
        let of = |c: &castline::sandbox::Charge| c.name == record["name"].as_str().unwrap();
        let charge = server.charges().into_iter().find(of).unwrap();
        assert_eq!(record["asset_id"], charge.asset_id);
    }
}

#[test]
fn a_provider_without_a_list_says_so() {
    let server = Server::start(&[]);
    let cast = small_cast(1, "unlisted");
    let mut run = server.castline();
    run.args(["run", "--yes", "--quiet"]).arg(&cast.csv);
    assert!(run.status().unwrap().success());
    let address = "payment.address=0x00000000000000000000000000000000000000aa";
    // Before it asks for an address that would not help.
    for set in [&["--set", address][..], &[]] {
        let mut resolve = server.castline();
        resolve.args(["resolve", "--reconcile"]).arg(&cast.csv).args(set);
        let output = resolve.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("jarvisclaw offers no list"), "{stderr}");
    }
}
