//! One vocabulary: whatever state a character is in, every display says the same word.

use std::collections::BTreeMap;
use std::path::Path;

use castline::cast::{Kind, Name};
use castline::inspect::Verdict;
use castline::ledger::{Budget, Ledger, OpenOptions, Transition};
use castline::plan::Standing;
use castline::util::money::Usd;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Cast, Castline, sample_cast};

/// What the ledger knows of a character, as transitions after it was seen.
fn history(standing: Standing) -> Vec<Transition> {
    let judge = |verdict, goes_on| Transition::Judge {
        verdict,
        goes_on,
        code: None,
        message: None,
    };
    let (code, message) = ("a_code".to_owned(), "a message".to_owned());
    let publish = Transition::Publish {
        object_key: "k".to_owned(),
        url: "https://x/k".to_owned(),
    };
    let intend = Transition::Intend {
        request_digest: String::new(),
        price: Usd::from_micros(10_000),
        budget: Budget::default(),
        payment: None,
        receipt: None,
    };
    let enrolled = Transition::Enrolled {
        asset_id: format!("ta_{}", standing.code()),
        price: Usd::from_micros(10_000),
        priced: false,
        settlement: None,
        ids: Default::default(),
        at: "2026-11-28T00:00:00Z".to_owned(),
    };
    let suitable = judge(Verdict::Suitable, true);
    match standing {
        Standing::Enrolled | Standing::Changed => vec![suitable, publish, intend, enrolled],
        Standing::ToEnroll | Standing::NeedsConsent | Standing::AwaitingLiveness => {
            vec![judge(Verdict::Suitable, false)]
        }
        Standing::ToReview | Standing::Rejected => vec![judge(Verdict::Review, false)],
        Standing::Unsuitable => vec![judge(Verdict::Unsuitable, false)],
        Standing::Failed => vec![suitable, Transition::Fail { code, message }],
        Standing::Refused => {
            let refuse = Transition::Refuse {
                code,
                message,
                valid: false,
            };
            vec![suitable, publish, intend, refuse]
        }
        Standing::InDoubt => vec![suitable, publish, intend, Transition::Doubt { code, message }],
        Standing::Suitable | Standing::NotSeen => Vec::new(),
    }
}

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(std::fs::read(path).expect("an image")))
}

/// Words of the report, by name.
fn report(html: &str) -> BTreeMap<String, String> {
    let data = html.split("type=\"application/json\">").nth(1).expect("its data");
    let data: Value = serde_json::from_str(data.split("</script>").next().expect("an end")).expect("JSON");
    let cards = data["cards"].as_array().expect("cards");
    let word = |card: &Value, key: &str| card[key].as_str().expect("a text").to_owned();
    cards
        .iter()
        .map(|card| (word(card, "name"), word(card, "standing")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_display_says_the_same_word_of_the_same_character() {
    let cast = sample_cast();
    let folder = cast.folder.path();
    let suitable = |n: usize| cast.images()[n].clone();
    let problems = Cast {
        csv: folder.join("problems.csv"),
        ..sample_cast()
    };
    let checked = Castline::on(&problems)
        .run(&["check", "--json"])
        .events("checked");
    let of_verdict = |verdict: &str| -> Vec<String> {
        let alone =
            |e: &&Value| e["verdict"] == verdict && !e["reasons"].to_string().contains("duplicate_of");
        let sources = checked
            .iter()
            .filter(alone)
            .map(|e| e["source"].as_str().expect("a path"));
        sources.map(str::to_owned).collect()
    };
    let (review, unsuitable) = (of_verdict("review"), of_verdict("unsuitable"));

    let rows: Vec<(Standing, String, Kind, bool)> = vec![
        (Standing::Enrolled, suitable(0), Kind::Portrait, false),
        (Standing::ToEnroll, suitable(1), Kind::Portrait, false),
        (Standing::Changed, suitable(2), Kind::Portrait, false),
        (Standing::ToReview, review[0].clone(), Kind::Portrait, false),
        (Standing::Rejected, review[1].clone(), Kind::Portrait, false),
        (Standing::Unsuitable, unsuitable[0].clone(), Kind::Portrait, false),
        (Standing::NeedsConsent, suitable(3), Kind::RealFace, false),
        (Standing::AwaitingLiveness, suitable(4), Kind::RealFace, true),
        (Standing::Refused, suitable(5), Kind::Portrait, false),
        (Standing::Failed, suitable(6), Kind::Portrait, false),
        (Standing::InDoubt, suitable(7), Kind::Portrait, false),
    ];
    let mut csv = "name,image,kind,consent\n".to_owned();
    let ledger = folder.join(".castline/sandbox.db");
    let ledger = Ledger::open(&ledger, OpenOptions::new("sandbox", true, "test")).expect("a ledger");
    for (standing, image, kind, consent) in &rows {
        let word = if *consent { "yes" } else { "" };
        csv += &format!("{},{image},{},{word}\n", standing.code(), kind.as_str());
        let name = Name::new(standing.code()).expect("a name");
        let now = sha256(&folder.join(image));
        let see = |sha256: String| Transition::See {
            kind: *kind,
            source: image.clone(),
            sha256,
            extra: Vec::new(),
        };
        // What was enrolled was another image.
        let then = match standing {
            Standing::Changed => "aa".repeat(32),
            _ => now.clone(),
        };
        ledger.write(&name, [see(then)]).await.expect("seen");
        ledger
            .write(&name, history(*standing))
            .await
            .expect("its history");
        if *standing != Standing::InDoubt {
            ledger
                .write(&name, [see(now.clone())])
                .await
                .expect("seen as it is now");
        }
        if *standing == Standing::Rejected {
            ledger
                .set_decision(&name.key(), &now, castline::ledger::Approval::Rejected, "test")
                .await
                .expect("a decision");
        }
    }
    drop(ledger);
    std::fs::write(&cast.csv, csv).expect("a cast");

    let castline = Castline::on(&cast);
    let status = castline.run(&["status", "--sandbox", "--json"]);
    let plan = castline.run(&["plan", "--sandbox", "--json"]);
    let html = folder.join("report.html");
    castline
        .run(&["report", "--sandbox", "--out", html.to_str().expect("a path")])
        .exits_with(0);
    let html = report(&std::fs::read_to_string(html).expect("a report"));
    let by_name = |events: Vec<Value>| -> BTreeMap<String, String> {
        let word = |event: &Value, key: &str| event[key].as_str().expect("a text").to_owned();
        events
            .iter()
            .map(|e| (word(e, "name"), word(e, "standing")))
            .collect()
    };
    let (status_words, plan_words) = (by_name(status.events("status")), by_name(plan.events("planned")));
    let status_rows = castline.run(&["status", "--sandbox"]).stdout;
    let counted = plan.summary()["standing"].clone();
    let table = castline.run(&["plan", "--sandbox"]);
    for (standing, ..) in &rows {
        let code = standing.code();
        assert_eq!(status_words[code], code, "status --json");
        assert_eq!(plan_words[code], code, "plan --json: {}", plan.stdout);
        assert_eq!(html[code], code, "report");
        assert_eq!(counted[code], 1, "the summary of plan");
        let row = status_rows
            .lines()
            .find(|row| row.contains(&format!(" {code}\t")))
            .expect("its row");
        assert!(row.starts_with(standing.label()), "status: {row}");
        let row = table
            .stdout
            .lines()
            .find(|row| row.starts_with(&format!("{standing} ")))
            .expect("its group");
        assert!(row.contains(" 1 "), "the table of plan: {row}");
        assert!(
            table.stderr.contains(standing.label()),
            "the last line of plan: {}",
            table.stderr
        );
    }
}
