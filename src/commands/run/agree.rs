//! The agreement before a run pays: a saved plan, or the answer of the user at the terminal.

use std::sync::Arc;

use anyhow::Context as _;

use crate::app::cast_names::CastNames;
use crate::app::context::Context;
use crate::app::ledger_guard::open_view;
use crate::app::planning::{PlanRequest, planner};
use crate::app::prompt::ask_person;
use crate::cast::Cast;
use crate::cli::{CastArgs, Common, PayArgs, SelectArgs};
use crate::exit::UsageError;
use crate::ledger::Ledger;
use crate::plan::{Agreed, PlanFile, Planned, Policy};
use crate::settings::Settings;
use crate::util::duration::format_duration;
use crate::util::shell::quote;

/// Reads the saved plan that was given instead of a cast, and restores the options it was made with.
///
/// # Errors
/// The file is not a plan, or an option was given that the plan has already fixed.
pub(super) fn as_planned(args: &mut CastArgs, pay: &mut PayArgs, sandbox: bool) -> anyhow::Result<PlanFile> {
    let plan = PlanFile::read(&args.cast)?;
    refuse_planned_options(args, pay, &plan)?;
    if plan.sandbox != sandbox {
        let message = match plan.sandbox {
            true => "this plan was made with --sandbox; run it with --sandbox",
            false => "this plan was made for the real API; run it without --sandbox",
        };
        return Err(UsageError(message.to_owned()).into());
    }
    *args = CastArgs {
        cast: plan.cast.clone(),
        skip_invalid: plan.read.skip_invalid,
        select: SelectArgs {
            only: plan.read.only.clone(),
            skip: plan.read.skip.clone(),
            include: plan.read.include.clone(),
            exclude: plan.read.exclude.clone(),
            allow_outside: plan.read.allow_outside,
            map: plan.read.map.clone(),
        },
        approve: plan.read.approve.clone(),
        approvals: None,
        jobs: args.jobs,
    };
    pay.re_enroll_changed = plan.re_enroll_changed;
    Ok(plan)
}

/// Refuses options that a saved plan has already fixed.
fn refuse_planned_options(args: &CastArgs, pay: &PayArgs, plan: &PlanFile) -> Result<(), UsageError> {
    let typed = [
        ("--skip-invalid", args.skip_invalid),
        ("--allow-outside", args.select.allow_outside),
        ("--only", !args.select.only.is_empty()),
        ("--skip", !args.select.skip.is_empty()),
        ("--map", !args.select.map.is_empty()),
        ("--include", !args.select.include.is_empty()),
        ("--exclude", !args.select.exclude.is_empty()),
        ("--approve", !args.approve.is_empty()),
        ("--approvals", args.approvals.is_some()),
        ("--re-enroll-changed", pay.re_enroll_changed),
    ];
    match typed.into_iter().find(|(_, typed)| *typed) {
        None => Ok(()),
        Some((flag, _)) => Err(UsageError(format!(
            "{flag} can't be combined with a saved plan; leave it out, or make a new plan with \
             `castline plan {} {flag} … --out {}`",
            quote(&plan.cast.display().to_string()),
            quote(&args.cast.display().to_string())
        ))),
    }
}

/// Limits a run to the lower of the plan's budget and the current one.
pub(super) fn within_plan(settings: &mut Settings, plan: &PlanFile) {
    let budgets = [settings.api.max_cost, plan.budget_usd];
    settings.api.max_cost = budgets.into_iter().flatten().min();
}

/// What the user is to agree to.
pub(super) struct Proposal<'a> {
    pub(super) cast: &'a Cast,
    pub(super) args: &'a CastArgs,
    pub(super) names: CastNames,
    pub(super) policy: Policy,
    pub(super) ledger: &'a Ledger,
    /// The saved plan that the run must follow, if any.
    pub(super) saved: Option<PlanFile>,
}

/// Inspects the whole cast before anything is paid, and checks that the saved plan is still valid or, without one,
/// asks the user at the terminal. `None` when the user declines.
pub(super) async fn agree(
    context: &Context,
    common: &Common,
    proposal: Proposal<'_>,
) -> anyhow::Result<Option<Agreed>> {
    let Proposal {
        cast,
        args,
        names,
        policy,
        ledger,
        saved,
    } = proposal;
    let before = context.aside("plan", common);
    let request = PlanRequest {
        args,
        names,
        policy,
        ledger: Some(Arc::new(
            open_view(&context.settings)?.context("the ledger no longer exists")?,
        )),
        spent: ledger.view().spend(None)?,
        sandbox: common.sandbox,
        thumbnails: None,
    };
    before.begin(cast, "plan");
    let (planner, mut plan) = planner(&before, request)?;
    let totals = planner
        .survey(&cast.characters, |inspected, _| {
            plan.characters.push(Planned::from(&inspected));
            Ok(())
        })
        .await?;
    let agreed = Some(plan.agreed());
    if let Some(saved) = saved {
        saved.still_holds(&plan)?;
        return Ok(agreed);
    }
    before.end(None, None);
    if totals.to_enroll() == 0 {
        return Ok(agreed);
    }
    eprintln!("\n{}", totals.to_string().trim_end());
    let addresses = match &context.settings.s3.presign_expiry {
        Some(expiry) => format!("addresses that anyone can open for {}", format_duration(*expiry)),
        None => "addresses that anyone can open".to_owned(),
    };
    let question = format!(
        "\nEnroll {}? The images get {addresses}; an enrollment can't be undone.",
        totals.asked()
    );
    if ask_person(&question) {
        return Ok(agreed);
    }
    eprintln!("nothing was uploaded, nothing was paid");
    Ok(None)
}
