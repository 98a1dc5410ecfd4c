//! `castline plan`: what a run would do and cost. Inspects every image; uploads nothing.

use std::path::Path;
use std::sync::Arc;

use crate::app::command_hint::same_arguments;
use crate::app::context::Context;
use crate::app::ledger_guard::ledger_to_read;
use crate::app::output_kind::OutputKind;
use crate::app::planning::{PlanRequest, planner, use_reply_price};
use crate::app::settings::{cast_flags, pay_flags};
use crate::app::stdout::println;
use crate::cli::{CastArgs, Common, PayArgs};
use crate::enroll::PaymentMode;
use crate::event::Event;
use crate::exit::ExitCode;
use crate::inspect::ThumbnailSize;
use crate::ledger::Reader;
use crate::plan::{Planned, Policy};
use crate::report::sheet::Sheet;

/// Reports what a run would do and cost.
pub(super) async fn plan(
    common: &Common,
    args: CastArgs,
    pay: PayArgs,
    detailed: bool,
    out: Option<&Path>,
    report: Option<&Path>,
    quote: bool,
) -> anyhow::Result<ExitCode> {
    let mut flags = cast_flags(&args);
    flags.extend(pay_flags(&pay));
    let mut context = Context::new(common, "plan", Some(&args.cast), flags)?;
    for (flag, file, made) in [
        ("--out", out, OutputKind::Plan),
        ("--report", report, OutputKind::Report),
    ] {
        if let Some(file) = file {
            context.guard.reserve(flag, file, made)?;
        }
    }
    let (cast, names) = context.read_cast(&args, "plan")?;
    if quote {
        crate::app::quote::quote(&mut context, common.sandbox).await?;
    }
    let policy = Policy {
        re_enroll_changed: pay.re_enroll_changed,
        ..Policy::default()
    };
    let view = ledger_to_read(&context.settings, common.sandbox)?.map(Arc::new);
    if let Some(view) = view
        .as_ref()
        .filter(|_| context.settings.payment.mode == PaymentMode::Key)
    {
        use_reply_price(&mut context, view)?;
    }
    let spent = view.as_ref().map(|view| view.spend(None)).transpose()?;
    let ledger = view.map(|view| view as Arc<dyn Reader>);
    let mut sheet = report.map(|out| Sheet::new(out, "Plan", &cast).of_sandbox(common.sandbox));
    let request = PlanRequest {
        args: &args,
        names,
        policy,
        ledger,
        spent: spent.unwrap_or_default(),
        sandbox: common.sandbox,
        thumbnails: sheet
            .as_ref()
            .map(|_| ThumbnailSize::for_characters(cast.characters.len())),
    };
    let (planner, mut plan) = planner(&context, request)?;
    let price = context.settings.api.price;
    let totals = planner
        .survey(&cast.characters, |inspected, stage| {
            if out.is_some() {
                plan.characters.push(Planned::from(&inspected));
            }
            match &mut sheet {
                Some(sheet) => sheet.planned(inspected, stage, price),
                None => Ok(()),
            }
        })
        .await?;
    let report = match sheet {
        Some(mut sheet) => {
            sheet.amount("A run costs", totals.cost_usd);
            Some(sheet.write()?)
        }
        None => None,
    };
    if let Some(out) = out {
        plan.cost_usd = totals.cost_usd;
        plan.write(out)?;
    }
    context.reporters.emit(Event::Plan(Box::new(totals.clone())));
    let exit = context.end(None, None);
    if let Some(report) = report {
        super::report::print_report_path(common, &report);
    }
    if !common.json {
        println("")?;
        println(totals.to_string().trim_end())?;
        if let Some(out) = out {
            println(&format!(
                "plan      {}; run it with `{}`",
                out.display(),
                run_of(out, common, &pay)
            ))?;
        }
    } else if let Some(out) = out.filter(|_| !common.quiet) {
        eprintln!("plan: {}", out.display());
    }
    Ok(match (detailed, totals.to_enroll() > 0) {
        (true, true) => ExitCode::WorkToDo,
        (true, false) => ExitCode::Done,
        (false, _) => exit,
    })
}

/// The command that runs a saved plan, with the options that the plan doesn't contain.
fn run_of(out: &Path, common: &Common, pay: &PayArgs) -> String {
    let mut command = format!("castline run{}", same_arguments(common, Some(out)));
    if let Some(budget) = pay.max_cost {
        command += &format!(" --max-cost {}", budget.to_string().trim_start_matches('$'));
    }
    if let Some(rate) = pay.rate {
        command += &format!(" --rate {rate}");
    }
    command
}
