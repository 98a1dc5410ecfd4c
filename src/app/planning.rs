//! Builds the planner of a run from the settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cast_names::{CastNames, approved_names};
use super::context::Context;
use super::ledger_guard::provider;
use crate::cli::CastArgs;
use crate::enroll::PaymentMode;
use crate::inspect::{Inspector, ThumbnailSize};
use crate::ledger::{LedgerView, Reader, Spend};
use crate::pipeline::Planner;
use crate::plan::{PlanFile, Policy, ReadOptions, Totals};
use crate::settings::{Origin, Settings};

/// The inputs of a plan.
pub(crate) struct PlanRequest<'a> {
    pub(crate) args: &'a CastArgs,
    pub(crate) names: CastNames,
    pub(crate) policy: Policy,
    pub(crate) ledger: Option<Arc<dyn Reader>>,
    /// The spend of all earlier runs.
    pub(crate) spent: Spend,
    pub(crate) sandbox: bool,
    /// The size of thumbnails for a report; `None` for none.
    pub(crate) thumbnails: Option<ThumbnailSize>,
}

/// Builds the planner for `request`, and a plan that lists no characters yet.
pub(crate) fn planner(context: &Context, request: PlanRequest<'_>) -> anyhow::Result<(Planner, PlanFile)> {
    let PlanRequest {
        args,
        names,
        policy,
        ledger,
        spent,
        sandbox,
        thumbnails,
    } = request;
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
    plan.read = ReadOptions {
        skip_invalid: args.skip_invalid,
        allow_outside: args.select.allow_outside,
        include: args.select.include.clone(),
        exclude: args.select.exclude.clone(),
        only: args.select.only.clone(),
        skip: args.select.skip.clone(),
        map: args.select.map.clone(),
        approve: approved_names(args)?,
    };
    // Images are prepared too, to know the upload sizes, but not kept.
    let mut inspect = context.inspect_stage(names, policy, true, ledger, context.ca_pem()?.as_deref())?;
    inspect.thumbnails = thumbnails;
    plan.settings = pinned(settings, &inspect.inspector);
    let planner = Planner {
        inspect: Arc::new(inspect),
        reporters: Arc::clone(&context.reporters),
        totals,
        probe: settings.publish.probe,
    };
    Ok((planner, plan))
}

/// The settings that a saved plan pins besides the cast and the price: with other values, a run could publish
/// elsewhere, pay in another way, or send other images.
const PINNED: [&str; 17] = [
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
    "inspect.crop_margin",
    "inspect.min_face_px",
    "inspect.max_pixels",
];

/// The current values of the pinned settings, the payment mode and the fingerprint of the inspector.
fn pinned(settings: &Settings, inspector: &Inspector) -> BTreeMap<String, String> {
    let text = |key: &str| (key.to_owned(), settings.layers.value(key).text.clone());
    let mode = match settings.payment.mode {
        PaymentMode::Key => "key",
        PaymentMode::Wallet => "wallet",
    };
    let more = [("payment.mode", mode), ("inspector", inspector.fingerprint())];
    let more = more.map(|(key, text)| (key.to_owned(), text.to_owned()));
    PINNED.into_iter().map(text).chain(more).collect()
}

/// Plans with the price in the API's last reply where it exceeds the configured one, so that the user agrees to that
/// price.
pub(crate) fn use_reply_price(context: &mut Context, ledger: &LedgerView) -> anyhow::Result<()> {
    match ledger.reply_price()? {
        Some(price) if price > context.settings.api.price => {
            Ok(context.settings.set_price(price, Origin::Reply)?)
        }
        _ => Ok(()),
    }
}

/// The source of the price, for messages.
fn price_from(context: &Context) -> String {
    match &context.settings.layers.value("api.price_usd").origin {
        Origin::Default => "list price; set api.price_usd if yours differs".to_owned(),
        origin => format!("api.price_usd from {origin}"),
    }
}
