//! `castline eval`: measures the inspection on labelled images.

use std::collections::HashSet;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rayon::prelude::*;
use serde::Serialize;

use crate::app::settings::settings;
use crate::app::stdout::println;
use crate::cli::{Common, EvalArgs};
use crate::exit::{ExitCode, UsageError};
use crate::inspect::confusion::{Confusion, Label};
use crate::inspect::suggest::{Choice, Outcome, Seen, Share, Suggestion, suggest};
use crate::inspect::{Inspection, Inspector, ReasonCode, Verdict};

/// One image, as `--json` and `--errors` report it.
#[derive(Serialize)]
struct Judged<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    path: &'a str,
    labelled: String,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

/// Judges every labelled image, and reports how often each kind received each verdict.
pub(super) fn eval(common: &Common, args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let (file, labels) = read(&args.labels)?;
    let root = file.parent().unwrap_or(Path::new("."));
    let settings = settings(common, Some(root), Vec::new())?;
    let today = Choice {
        sure: settings.inspect.thresholds.sure,
        second: settings.inspect.thresholds.second,
    };
    let inspector = Inspector::new(settings.inspect);
    let judge = |label: &Label| -> anyhow::Result<(Inspection, [f32; 2])> {
        let path = root.join(&label.path);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(inspector.measure(&bytes, args.check_size))
    };
    let judged: Vec<(Inspection, [f32; 2])> = labels.par_iter().map(judge).collect::<Result<_, _>>()?;
    let mut confusion = Confusion::default();
    for (label, (inspection, _)) in labels.iter().zip(&judged) {
        confusion.add(label, inspection.verdict);
        let right = if label.faces == 1 {
            Verdict::Suitable
        } else {
            Verdict::Unsuitable
        };
        if common.json {
            println(&serde_json::to_string(&Judged {
                kind: "judged",
                path: &label.path,
                labelled: label.kind(),
                inspection,
            })?)?;
        } else if args.errors && inspection.verdict != right {
            let reasons: Vec<String> = inspection.reasons.iter().map(|r| r.code.to_string()).collect();
            let (verdict, kind) = (inspection.verdict, label.kind());
            println(&format!(
                "{verdict}\t{}\t{kind}\t{}",
                label.path,
                reasons.join(",")
            ))?;
        }
    }
    if common.json {
        let counts = serde_json::json!({ "type": "confusion", "counts": confusion });
        println(&counts.to_string())?;
    } else {
        println(confusion.to_string().trim_end())?;
    }
    if let Some(percent) = args.suggest {
        let suggestion = suggest(&seen(&labels, &judged), percent / 100.0, today);
        match common.json {
            true => println(&suggestion_json(percent, &suggestion))?,
            false => println(&suggestion_text(percent, &suggestion))?,
        }
    }
    Ok(ExitCode::Done)
}

/// The images without what their thresholds made of them.
fn seen(labels: &[Label], judged: &[(Inspection, [f32; 2])]) -> Vec<Seen> {
    let hashed = |text: &str| {
        let mut hasher = std::hash::DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    };
    // A series of images: the same folder, and the same name but for its numbers.
    let series = |label: &Label| {
        let path = Path::new(&label.path).with_extension("");
        hashed(
            path.to_string_lossy()
                .trim_end_matches(|c: char| c != '/' && !c.is_alphabetic()),
        )
    };
    let groups: HashSet<u64> = labels.iter().map(series).collect();
    let has_series = groups.len() >= MIN_SERIES;
    let all = labels.iter().zip(judged);
    all.map(|(label, (inspection, [best, second]))| Seen {
        one: label.faces == 1,
        best: *best,
        second: *second,
        held: !inspection.reasons.iter().all(|reason| counts_faces(&reason.code)),
        group: match has_series {
            true => series(label),
            false => hashed(&label.path),
        },
    })
    .collect()
}

/// With fewer series than that, each image is one of its own.
const MIN_SERIES: usize = 20;

/// Whether a reason is about the number of faces, which the thresholds decide.
fn counts_faces(code: &ReasonCode) -> bool {
    matches!(code, ReasonCode::NoFace | ReasonCode::SeveralFaces)
}

fn suggestion_json(percent: f64, suggestion: &Suggestion) -> String {
    serde_json::json!({ "type": "suggestion", "percent": percent, "suggestion": suggestion }).to_string()
}

/// What is proposed, what to expect of it, and the settings to paste.
fn suggestion_text(percent: f64, suggestion: &Suggestion) -> String {
    let Suggestion {
        choice,
        expected,
        now,
    } = suggestion;
    let share = |share: Share| {
        let (least, most) = share.interval();
        format!(
            "{:5.1} % of {:5} [{:.1}–{:.1} %]",
            100.0 * share.rate(),
            share.of,
            100.0 * least,
            100.0 * most
        )
    };
    let line = |what: &str, outcome: &Outcome| {
        let (right, wrong) = (share(outcome.accepted), share(outcome.accepted_wrongly));
        format!("{what:9} accepted with one face {right:34} accepted without {wrong}\n")
    };
    let Some(Choice { sure, second }) = choice else {
        return format!(
            "\n{}no thresholds accept at most {percent} % of the images without exactly one face",
            line("today", now)
        );
    };
    format!(
        "\n{}{}(95 % intervals; the suggested thresholds are measured on images that they were not chosen on)\n\n\
         [inspect]\naccept_score = {sure:.2}\nsecond_face_review = {second:.2}",
        line("today", now),
        line("suggested", expected)
    )
}

/// The path of the label file (`given`, or `labels.csv` in that folder) and its labels.
fn read(given: &Path) -> anyhow::Result<(PathBuf, Vec<Label>)> {
    let file = if given.is_dir() {
        given.join("labels.csv")
    } else {
        given.to_owned()
    };
    let unusable = |error: csv::Error| {
        UsageError(format!(
            "{}: {error}; labels are a CSV with the columns path,faces and, optionally, style,note",
            file.display()
        ))
    };
    let mut reader = csv::Reader::from_path(&file).map_err(unusable)?;
    let labels: Vec<Label> = reader.deserialize().collect::<Result<_, _>>().map_err(unusable)?;
    Ok((file, labels))
}
