//! `castline plan`: what a run would do and cost. Looks at every picture; writes nothing over the network.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;

use super::Context;
use super::again::again;
use super::check::println;
use super::context::{Names, approved_names, cast_flags, pay_flags};
use super::made::Made;
use super::report::{Sheet, told};
use super::run::{ledger_to_read, provider};
use crate::cast::Cast;
use crate::cli::{CastArgs, Common, PayArgs};
use crate::enroll::PaymentMode;
use crate::exit::ExitCode;
use crate::inspect::Inspector;
use crate::ledger::{LedgerView, Reader, Spend};
use crate::pipeline::{Duplicates, tell};
use crate::plan::{Action, PlanFile, Planned, Policy, Read, Totals};
use crate::report::Event;
use crate::settings::{Origin, Settings};
use crate::shell::quoted;

/// Tells what a run would do and cost.
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
    for (flag, file, made) in [("--out", out, Made::Plan), ("--report", report, Made::Report)] {
        if let Some(file) = file {
            context.outputs.claim(flag, file, made)?;
        }
    }
    let cast = context.read_cast(&args, "plan")?;
    if quote {
        super::wallet::quote(&mut context, common.sandbox).await?;
    }
    let policy = Policy {
        re_enroll_changed: pay.re_enroll.is_some(),
        ..Policy::default()
    };
    let view = ledger_to_read(&context.settings, common.sandbox)?.map(Arc::new);
    if let Some(view) = view
        .as_ref()
        .filter(|_| context.settings.payment.mode == PaymentMode::Key)
    {
        price_as_told(&mut context, view)?;
    }
    let spent = view.as_ref().map(|view| view.spend(None)).transpose()?;
    let ledger = view.map(|view| view as Arc<dyn Reader>);
    let mut sheet = report.map(|out| Sheet::new(out, "Plan", &cast));
    let survey = survey(
        &context,
        &cast,
        &args,
        Names::of(&cast, &args)?,
        policy,
        ledger,
        spent.unwrap_or_default(),
        common.sandbox,
        sheet.as_mut(),
    )
    .await?;
    let report = match sheet {
        Some(mut sheet) => {
            sheet.amount("A run costs", survey.totals.cost_usd);
            Some(sheet.write()?)
        }
        None => None,
    };
    if let Some(out) = out {
        survey.plan.write(out)?;
    }
    context
        .reporters
        .tell(Event::Plan(Box::new(survey.totals.clone())));
    let exit = context.end(None, None);
    if let Some(report) = report {
        told(common, &report);
    }
    if !common.json {
        println("")?;
        println(survey.totals.to_string().trim_end())?;
        if let Some(out) = out {
            println(&format!(
                "plan      {}; do it with `{}`",
                out.display(),
                run_of(out, common, &pay)
            ))?;
        }
    } else if let Some(out) = out.filter(|_| !common.quiet) {
        eprintln!("plan: {}", out.display());
    }
    Ok(match (detailed, survey.totals.to_enroll() > 0) {
        (true, true) => ExitCode::Usage,
        (true, false) => ExitCode::Done,
        (false, _) => exit,
    })
}

/// The command that does a saved plan, with whatever the plan itself doesn't hold.
fn run_of(out: &Path, common: &Common, pay: &PayArgs) -> String {
    let mut command = format!("castline run{}", again(common, Some(out)));
    for (flag, value) in [("--max-cost", &pay.max_cost), ("--rate", &pay.rate)] {
        if let Some(value) = value {
            command += &format!(" {flag} {}", quoted(value));
        }
    }
    command
}

/// What a run would do: in sum for people, and one by one to hold it to.
pub(super) struct Survey {
    pub(super) totals: Totals,
    pub(super) plan: PlanFile,
}

/// Looks at the whole cast, and tells of each what a run would do.
#[expect(clippy::too_many_arguments, reason = "what a plan depends on")]
pub(super) async fn survey(
    context: &Context,
    cast: &Cast,
    args: &CastArgs,
    names: Names,
    policy: Policy,
    ledger: Option<Arc<dyn Reader>>,
    spent: Spend,
    sandbox: bool,
    mut sheet: Option<&mut Sheet>,
) -> anyhow::Result<Survey> {
    let settings = &context.settings;
    let price = settings.api.price;
    let mut totals = Totals::new(price, price_from(context), settings.api.rate);
    totals.in_doubt_usd = spent.in_doubt;
    let life = settings
        .api
        .max_total_cost
        .map(|cap| cap.saturating_sub(spent.total()));
    totals.budget_usd = [settings.api.max_cost, life].into_iter().flatten().min();
    let mut plan = PlanFile::new(&args.cast, sandbox, &provider(settings, sandbox), price);
    plan.budget_usd = totals.budget_usd;
    plan.re_enroll_changed = policy.re_enroll_changed;
    plan.read = Read {
        skip_bad_rows: args.skip_bad_rows,
        allow_outside: args.allow_outside,
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        approve: approved_names(args)?,
    };
    // Prepared too, to know what will be stored; no picture is kept.
    let mut look = context.look(names, policy, true, ledger, context.ca_pem()?.as_deref())?;
    look.thumbnails = sheet.is_some();
    let look = Arc::new(look);
    plan.settings = held(settings, &look.inspector);
    let mut seen = Duplicates::of(&look, &cast.characters).await?;
    let mut looked = std::pin::pin!(Arc::clone(&look).all(cast.characters.clone()));
    while let Some(looked) = looked.next().await {
        let mut looked = looked?;
        seen.judge(&mut looked);
        tell(&context.reporters, &looked, price);
        let upload = looked.prepared.as_ref().map(|prepared| prepared.bytes.len());
        totals.count(
            looked.action,
            looked.again,
            upload.filter(|_| looked.action == Action::Enroll),
        );
        plan.characters.push(Planned {
            name: looked.character.name.clone(),
            kind: looked.character.kind,
            sha256: looked.sha256.clone(),
            action: looked.action,
        });
        if let Some(sheet) = &mut sheet {
            sheet.planned(looked, &look, price)?;
        }
    }
    if !settings.publish.probe {
        totals.uploads.get = 0;
    }
    plan.cost_usd = totals.cost_usd;
    Ok(Survey { totals, plan })
}

/// Settings that a saved plan holds besides the cast and the price: another environment could publish elsewhere, be
/// paid otherwise, or send other pictures.
const HELD: [&str; 17] = [
    "payment.network",
    "payment.payee",
    "s3.bucket",
    "s3.prefix",
    "s3.region",
    "s3.endpoint",
    "s3.force_path_style",
    "s3.public_base_url",
    "s3.presign_expiry",
    "inspect.long_side",
    "inspect.format",
    "inspect.quality",
    "inspect.background",
    "inspect.crop",
    "inspect.margin",
    "inspect.face_px",
    "inspect.max_pixels",
];

/// What those settings are now, and what looks at the pictures.
fn held(settings: &Settings, inspector: &Inspector) -> BTreeMap<String, String> {
    let text = |key: &str| (key.to_owned(), settings.layers.value(key).text.clone());
    let mode = match settings.payment.mode {
        PaymentMode::Key => "key",
        PaymentMode::Wallet => "wallet",
    };
    let more = [("payment.mode", mode), ("the eye", inspector.fingerprint())];
    let more = more.map(|(key, text)| (key.to_owned(), text.to_owned()));
    HELD.into_iter().map(text).chain(more).collect()
}

/// A call costs what the API said last, where that is more than the settings say: whoever agrees to a plan agrees to that.
pub(super) fn price_as_told(context: &mut Context, ledger: &LedgerView) -> anyhow::Result<()> {
    match ledger.told_price()? {
        Some(told) if told > context.settings.api.price => {
            Ok(context.settings.price_is(told, "the API's last reply")?)
        }
        _ => Ok(()),
    }
}

/// Where the price is said, for people.
fn price_from(context: &Context) -> String {
    match &context.settings.layers.value("api.price_usd").origin {
        Origin::Default => "list price; set api.price_usd if yours differs".to_owned(),
        origin => format!("api.price_usd from {origin}"),
    }
}
