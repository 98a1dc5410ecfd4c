//! What is agreed on before a run pays: by a saved plan, or by a person at the terminal.

use std::sync::Arc;

use anyhow::Context as _;

use super::super::UsageError;
use super::super::context::{Context, Names};
use super::super::plan::survey;
use crate::cast::Cast;
use crate::cli::{CastArgs, Common, PayArgs};
use crate::ledger::{Ledger, LedgerView};
use crate::plan::{Agreed, PlanFile, Policy, length};
use crate::report::folded;
use crate::settings::Settings;

pub(super) const NEEDS_YES: &str = "a run pays for what it enrolls, and that can't be undone: see the cost with `castline \
                         plan`, then run with --yes (or try it with --sandbox, which costs nothing)";

/// Reads the saved plan that stands in the place of a cast, and asks for just what was asked for then.
///
/// # Errors
/// It is no plan, or something is asked for that it has decided already.
pub(super) fn as_planned(args: &mut CastArgs, pay: &mut PayArgs, sandbox: bool) -> anyhow::Result<PlanFile> {
    decided_before(args, pay)?;
    let plan = PlanFile::read(&args.cast)?;
    if plan.sandbox != sandbox {
        let told = match plan.sandbox {
            true => "this plan was made with --sandbox: run it with --sandbox",
            false => "this plan was made for the real API: run it without --sandbox",
        };
        return Err(UsageError(told.to_owned()).into());
    }
    *args = CastArgs {
        cast: plan.cast.clone(),
        skip_bad_rows: plan.read.skip_bad_rows,
        allow_outside: plan.read.allow_outside,
        include: plan.read.include.clone(),
        exclude: plan.read.exclude.clone(),
        approve: plan.read.approve.clone(),
        approvals: None,
        jobs: args.jobs,
    };
    pay.re_enroll = plan.re_enroll_changed.then(|| "changed".to_owned());
    Ok(plan)
}

/// Refuses what can't be asked for any more once there is a plan.
fn decided_before(args: &CastArgs, pay: &PayArgs) -> Result<(), UsageError> {
    let typed = [
        ("--skip-bad-rows", args.skip_bad_rows),
        ("--allow-outside", args.allow_outside),
        ("--include", !args.include.is_empty()),
        ("--exclude", !args.exclude.is_empty()),
        ("--approve", !args.approve.is_empty()),
        ("--approvals", args.approvals.is_some()),
        ("--re-enroll", pay.re_enroll.is_some()),
    ];
    match typed.into_iter().find(|(_, typed)| *typed) {
        None => Ok(()),
        Some((flag, _)) => Err(UsageError(format!(
            "{flag} decides what a plan holds, and {} is made already: leave it out, or make a new plan with it, \
             `castline plan CAST {flag} … --out plan.json`",
            args.cast.display()
        ))),
    }
}

/// A run of a plan pays no more than the plan said, nor more than is allowed now.
pub(super) fn within_plan(settings: &mut Settings, plan: &PlanFile) {
    let budgets = [settings.api.max_cost, plan.budget_usd];
    settings.api.max_cost = budgets.into_iter().flatten().min();
}

/// Looks at the whole cast before anything is paid: does the saved plan still hold, or, without one, does the
/// person at the terminal agree? `None` when not.
#[expect(clippy::too_many_arguments, reason = "what a plan depends on")]
pub(super) async fn agree(
    context: &Context,
    common: &Common,
    cast: &Cast,
    args: &CastArgs,
    names: Names,
    policy: Policy,
    ledger: &Ledger,
    saved: Option<PlanFile>,
) -> anyhow::Result<Option<Agreed>> {
    let before = context.aside("plan", common);
    let spent = ledger.view().spend(None)?;
    let reader = Arc::new(LedgerView::open(ledger.path())?.context("the ledger is gone")?);
    before.begin(cast, "plan");
    let survey = survey(
        &before,
        cast,
        args,
        names,
        policy,
        Some(reader),
        spent,
        common.sandbox,
        None,
    )
    .await?;
    let agreed = Some(survey.plan.agreed());
    if let Some(saved) = saved {
        saved.still_holds(&survey.plan)?;
        return Ok(agreed);
    }
    before.end(None, None);
    if survey.totals.to_enroll() == 0 {
        return Ok(agreed);
    }
    eprintln!("\n{}", survey.totals.to_string().trim_end());
    let addresses = match &context.settings.s3.presign_expiry {
        Some(expiry) => format!("addresses that anybody can open for {}", length(*expiry)),
        None => "addresses that anybody can open".to_owned(),
    };
    let question = format!(
        "\nEnroll {}? The pictures get {addresses}; what is enrolled can't be undone.",
        survey.totals.asked()
    );
    if ask_person(&question) {
        return Ok(agreed);
    }
    eprintln!("nothing was uploaded, nothing was paid");
    Ok(None)
}

/// A command that pays asks first; off a terminal it needs `--yes`.
pub(in crate::commands) fn consent(yes: bool) -> anyhow::Result<()> {
    if yes || (can_ask() && ask_person("Pay for what is enrolled? It can't be undone.")) {
        return Ok(());
    }
    Err(UsageError(NEEDS_YES.to_owned()).into())
}

pub(in crate::commands) fn can_ask() -> bool {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks at the terminal; everything but yes is no, and so is what was typed before the question stood there.
fn ask_person(question: &str) -> bool {
    #[cfg(unix)]
    if rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush).is_err() {
        return false;
    }
    let question = folded(&console::Term::stderr(), &format!("{question} [y/N]"), "");
    eprint!("{question} ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
