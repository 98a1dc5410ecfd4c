//! `castline realface`: guides real actors through their liveness check, and enrolls them.

use std::sync::Arc;

use futures_util::StreamExt;

use super::report::report_after;
use crate::app::cast_names::{CastNames, select};
use crate::app::context::Context;
use crate::app::output_kind::OutputKind;
use crate::app::prepared_run::PreparedRun;
use crate::app::prompt::{can_ask, consent};
use crate::app::settings::{Flags, cast_flags, manifest_flag, pay_flags, read};
use crate::cast::{Cast, Kind, printable};
use crate::cli::{Common, RealfaceArgs};
use crate::event::{Event, Stage};
use crate::exit::{ExitCode, UsageError};
use crate::liveness::{Files, LivenessFlow, LivenessOptions, Operator, Page, PollPace, TerminalQr};
use crate::pipeline::{Inspected, Pipeline, emit_inspected};
use crate::plan::{Policy, Standing};
use crate::util::user::user_name;

/// Guides the real actors of a cast through their liveness check, and enrolls them.
pub(super) async fn realface(common: &Common, typed: RealfaceArgs) -> anyhow::Result<ExitCode> {
    let args = &typed.cast;
    let mut flags: Flags = cast_flags(args);
    flags.extend(pay_flags(&typed.pay));
    if let Some(operator) = &typed.operator {
        let flag = ("realface.operator", operator, "--operator");
        flags.push((flag.0.to_owned(), flag.1.to_owned(), flag.2.to_owned()));
    }
    flags.extend(manifest_flag(typed.manifest.as_deref()));
    let mut context = Context::new(common, "realface", Some(&args.cast), flags)?;
    if let Some(out) = &typed.report {
        context.guard.reserve("--report", out, OutputKind::Report)?;
    }
    if !common.sandbox {
        consent(typed.yes)?;
    }
    let options = liveness_options(&context, common.sandbox)?;
    let (page, countdown) = show(&context, common, &typed).await?;

    let mut cast = read(&args.cast, &context.settings)?;
    let names = CastNames::of(&cast, args)?;
    let only = !args.select.only.is_empty();
    select(&mut cast, &args.select)?;
    if only && let Some(portrait) = cast.characters.iter().find(|c| c.kind != Kind::RealFace) {
        let name = printable(portrait.name.as_str());
        return Err(UsageError(format!(
            "--only {name:?} is a portrait: `castline run` enrolls it"
        ))
        .into());
    }
    cast.characters
        .retain(|character| character.kind == Kind::RealFace);
    context.open_cast(&cast, args, "realface")?;
    let agreed = agreed(&context, &mut cast);
    if cast.characters.is_empty() {
        let portraits = format!(
            "no real actors to enroll: rows with kind=realface are real actors; `castline run{}` enrolls the others",
            context.same_arguments
        );
        if agreed {
            eprintln!("castline: {portraits}");
        }
        return Ok(context.end(None, None));
    }
    let policy = Policy {
        re_enroll_changed: typed.pay.re_enroll_changed,
        // A character named with --only is retried.
        retry_refused: only,
        realface: true,
    };
    let run = PreparedRun::open(&mut context, "realface", (&args.cast, &names), common.sandbox).await?;
    let (pipeline, finalizer) = run.start(&context, names, policy).await?;
    pipeline.enroll.resume().await;
    let actors = inspect(&pipeline, cast).await?;
    let flow = LivenessFlow {
        publish: Arc::clone(&pipeline.publish),
        enroll: Arc::clone(&pipeline.enroll),
        pace: PollPace::new(options.max_polls_per_hour),
        options,
        // At a terminal, the operator confirms that each actor is present.
        operator: (!typed.yes && !common.quiet && !common.json && can_ask()).then(Operator::at_terminal),
    };
    flow.run(actors).await;
    countdown.abort();
    let exit = finalizer.end(&context).await?;
    drop(page);
    report_after(common, &context, args, typed.report.as_deref(), exit)
}

/// The options of the liveness checks, from the settings.
fn liveness_options(context: &Context, sandbox: bool) -> Result<LivenessOptions, UsageError> {
    let of = &context.settings.realface;
    let nobody = || {
        if sandbox {
            "sandbox".to_owned()
        } else {
            String::new()
        }
    };
    let operator = of.operator.clone().or_else(user_name).unwrap_or_else(nobody);
    let operator = printable(operator.trim());
    if operator.is_empty() {
        let message = "the operator who records consent is unknown; name them with --operator NAME";
        return Err(UsageError(message.to_owned()));
    }
    Ok(LivenessOptions {
        operator,
        redirect_url: of.redirect_url.clone(),
        webhook_url: of.webhook_url.clone(),
        poll_interval: of.poll_interval,
        max_polls_per_hour: of.max_polls_per_hour,
        max_checks_per_hour: of.max_checks_per_hour,
        max_links_per_actor: of.max_links_per_actor,
    })
}

/// Starts the displays of the QR codes: the terminal, `--qr-dir` and `--serve`.
async fn show(
    context: &Context,
    common: &Common,
    typed: &RealfaceArgs,
) -> anyhow::Result<(Option<Page>, tokio::task::JoinHandle<()>)> {
    let reporters = &context.reporters;
    let screen = TerminalQr::new();
    let countdown = if common.quiet {
        tokio::spawn(async {})
    } else {
        reporters.add(Box::new(screen.clone()));
        tokio::spawn(screen.count_down())
    };
    if let Some(folder) = &typed.qr_dir {
        let files =
            Files::new(folder).map_err(|e| UsageError(format!("--qr-dir {}: {e}", folder.display())))?;
        reporters.add(Box::new(files));
    }
    let page = match typed.serve {
        None => None,
        Some(port) => {
            let page = Page::serve(port).await;
            let page = page.map_err(|e| UsageError(format!("--serve={port}: {e}; choose another port")))?;
            reporters.add(page.reporter());
            eprintln!("the page for a tablet, opened once: {}", page.address());
            Some(page)
        }
    };
    Ok((page, countdown))
}

/// Removes characters without consent from the cast, and reports each; returns whether all have consented.
fn agreed(context: &Context, cast: &mut Cast) -> bool {
    let mut others = Vec::new();
    cast.characters.retain(|character| {
        if !character.consent {
            others.push(character.clone());
        }
        character.consent
    });
    for character in &others {
        let name = character.name.as_str();
        let line = character
            .line
            .map(|line| format!("line {line}: "))
            .unwrap_or_default();
        let message = format!(
            "{line}consent is not \"yes\"; an asset is permanent, so a real person is enrolled only with their \
             consent. Once they have agreed, write yes in the column consent"
        );
        context.reporters.emit(Event::Failed {
            name: name.to_owned(),
            stage: Stage::Consent,
            standing: Standing::NeedsConsent,
            code: "consent_missing".to_owned(),
            message,
        });
    }
    others.is_empty()
}

/// Inspects all images first, so that no actor attends for an image that can't be used.
async fn inspect(pipeline: &Pipeline, cast: Cast) -> anyhow::Result<Vec<Inspected>> {
    let mut duplicates = pipeline.duplicates(&cast.characters).await?;
    let mut all = std::pin::pin!(Arc::clone(&pipeline.inspect).all(cast.characters));
    let mut actors = Vec::new();
    while let Some(inspected) = all.next().await {
        let mut inspected = inspected?;
        duplicates.judge(&mut inspected)?;
        let mut inspected = pipeline.record(Ok(inspected)).await?;
        emit_inspected(&pipeline.reporters, &inspected, pipeline.price);
        if !pipeline.report_blocked(&mut inspected) && inspected.standing.is_paid_next() {
            actors.push(inspected);
        }
    }
    Ok(actors)
}
