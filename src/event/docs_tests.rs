//! The page about events says what the types are: each example is what castline writes, and the schema accepts it.

use serde_json::{Value, json};

use super::*;
use crate::inspect::Verdict;
use crate::plan::{Standing, Totals};
use crate::util::money::Usd;

const PAGE: &str = include_str!("../../docs/events.md");
const JSON_SCHEMA: &str = include_str!("../../docs/events.schema.json");

/// One event of each kind, with every field. A new kind doesn't compile until it has one.
fn samples() -> Vec<Event> {
    let cent = Usd::from_micros(10_000);
    let text = str::to_owned;
    let samples = vec![
        Event::Castline {
            schema: SCHEMA,
            version: "0.1.0",
            command: "run",
            characters: 13,
        },
        Event::BadRow {
            line: Some(4),
            field: text("image"),
            message: text("line 4 (Mira): image: art/mira.png does not exist"),
        },
        Event::Checked {
            name: text("Mira"),
            source: text("art/mira.png"),
            verdict: Verdict::Review,
            faces: 1,
            reasons: vec![text("duplicate_of:Mira Old")],
            messages: vec![text("the image is the same as that of Mira Old, or nearly")],
            width: 1024,
            height: 1280,
            approved: Some(true),
        },
        Event::Planned {
            name: text("Mira"),
            standing: Standing::ToEnroll,
            cost_usd: cent,
        },
        Event::Published {
            name: text("Mira"),
            url: text("https://my-cast.s3.eu-central-1.amazonaws.com/castline/3f9a.jpg"),
        },
        Event::LivenessLink {
            name: text("Mia Castellane"),
            number: 1,
            of: 3,
            group_id: text("grp_81c2"),
            link: text("https://verify.example/h5/grp_81c2"),
            expires_in: 120.0,
            left_this_hour: 9,
        },
        Event::Liveness {
            name: text("Mia Castellane"),
            group_id: text("grp_81c2"),
            state: LivenessState::Passed,
        },
        Event::Enrolled {
            name: text("Mira"),
            asset_id: text("ta_pt_8f3a91"),
            cost_usd: cent,
        },
        Event::Failed {
            name: text("Bram"),
            stage: Stage::Enroll,
            standing: Standing::Refused,
            code: text("image_rejected"),
            message: text("the image was rejected"),
        },
        Event::InDoubt {
            name: text("Vexa"),
            code: text("timeout"),
            message: text("no reply in time"),
            cost_usd: cent,
            asset_id: Some(text("ta_pt_8f3a92")),
        },
        Event::Paused {
            seconds: 30.0,
            reason: text("rate_limited"),
        },
        Event::Stopping {
            code: text("budget_reached"),
            message: text("the budget is reached: raise --max-cost to continue"),
        },
        Event::Error {
            code: text("no_bucket"),
            message: text("set s3.bucket"),
            exit_code: 2,
        },
        Event::WriteFailed {
            file: text("manifest.json"),
            message: text("the disk is full"),
        },
        Event::Plan(Box::new(Totals {
            budget_usd: Some(Usd::from_micros(25_000_000)),
            ..Totals::new(cent, text("default"), "1/s".parse().unwrap())
        })),
        Event::Summary(Summary {
            command: "run",
            characters: 13,
            manifest: Some(text("manifest.json")),
            seconds: 4.2,
            ..Summary::default()
        }),
    ];
    for sample in &samples {
        match sample {
            Event::Castline { .. }
            | Event::BadRow { .. }
            | Event::Checked { .. }
            | Event::Planned { .. }
            | Event::Published { .. }
            | Event::LivenessLink { .. }
            | Event::Liveness { .. }
            | Event::Enrolled { .. }
            | Event::Failed { .. }
            | Event::InDoubt { .. }
            | Event::Paused { .. }
            | Event::Stopping { .. }
            | Event::Error { .. }
            | Event::WriteFailed { .. }
            | Event::Plan(_)
            | Event::Summary(_) => {}
        }
    }
    samples
}

/// A number without the difference between 1 and 1.0.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn the_examples_of_the_page_are_what_is_written() {
    let examples: Vec<Value> = PAGE
        .split("```json\n")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("\n```").next().unwrap()).unwrap())
        .collect();
    let written: Vec<Value> = samples()
        .iter()
        .map(|event| serde_json::to_value(event).unwrap())
        .collect();
    assert_eq!(examples.len(), written.len());
    for (example, written) in examples.iter().zip(&written) {
        assert_eq!(plain(example), plain(written));
    }
}

#[test]
fn the_schema_has_the_fields_of_the_types_and_no_others() {
    let schema: Value = serde_json::from_str(JSON_SCHEMA).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    let samples = samples();
    assert_eq!(kinds.len(), samples.len());
    for (kind, sample) in kinds.iter().zip(samples) {
        let mut written = serde_json::to_value(&sample).unwrap();
        written["at"] = json!("2026-11-28T00:00:00Z");
        let fields = |value: &Value| -> Vec<String> {
            let mut fields: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            fields.sort();
            fields
        };
        assert_eq!(fields(&kind["properties"]), fields(&written), "{}", kind["title"]);
        assert_eq!(kind["title"], written["type"]);
        // What may be absent is not required.
        let required = kind["required"].as_array().unwrap();
        assert!(!required.contains(&json!("at")), "{kind}");
    }
}
