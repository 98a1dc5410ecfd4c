//! `castline eval`: measures the inspection on labelled images.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rayon::prelude::*;
use serde::Serialize;

use crate::app::settings::settings;
use crate::app::stdout::println;
use crate::cli::{Common, EvalArgs};
use crate::exit::{ExitCode, UsageError};
use crate::inspect::confusion::{Confusion, Label};
use crate::inspect::{Inspection, Inspector, Verdict};

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
    let inspector = Inspector::new(settings.inspect);
    let judge = |label: &Label| -> anyhow::Result<Inspection> {
        let path = root.join(&label.path);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(if args.check_size {
            inspector.inspect(&bytes)
        } else {
            inspector.inspect_faces(&bytes)
        })
    };
    let judged: Vec<Inspection> = labels.par_iter().map(judge).collect::<Result<_, _>>()?;
    let mut confusion = Confusion::default();
    for (label, inspection) in labels.iter().zip(&judged) {
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
    Ok(ExitCode::Done)
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
