//! `castline run`: the whole way of a cast.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use anyhow::Context as _;

use super::context::{Flags, cast_flags, cast_options, pay_flags};
use super::made::Made;
use super::notify::notify;
use super::plan::survey;
use super::servers::{Parts, start_sandbox};
use super::wallet::{keeping, quote};
use super::{Context, UsageError};
use crate::cast::{self, Cast, NameKey};
use crate::cli::{CastArgs, Common, PayArgs, RunArgs};
use crate::count::counted;
use crate::enroll::{Client, KeyError, Pace, PaymentMode};
use crate::exit::ExitCode;
use crate::ledger::{Budget, Ledger, LedgerView, OpenOptions, Record};
use crate::manifest::{self, Manifest, ManifestFormat};
use crate::pipeline::{Checkpoint, Enroll, Look, Pipeline, Price, Publish, Stop, Way};
use crate::plan::{Agreed, PlanFile, Policy, length};
use crate::publish::{Fetcher, Publisher};
use crate::report::Event;
use crate::sandbox::Sandbox;
use crate::settings::Settings;

/// Which characters of a cast a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    All,
    /// Those that failed in an earlier run, or that the API refused.
    Failed,
}

/// Takes a cast the whole way.
pub(super) async fn run(common: &Common, run: RunArgs, which: Which) -> anyhow::Result<ExitCode> {
    let RunArgs {
        cast: mut args,
        mut pay,
        yes,
        manifest,
        report,
    } = run;
    let saved = if which == Which::All && args.cast.extension().is_some_and(|e| e == "json") {
        Some(as_planned(&mut args, &mut pay, common.sandbox)?)
    } else {
        None
    };
    let mut flags: Flags = cast_flags(&args);
    flags.extend(pay_flags(&pay));
    if let Some(path) = manifest {
        flags.push((
            "manifest.path".to_owned(),
            path.display().to_string(),
            "--manifest".to_owned(),
        ));
    }
    let mut context = Context::new(common, "run", Some(&args.cast), flags)?;
    if let Some(out) = &report {
        context.outputs.claim("--report", out, Made::Report)?;
    }
    let ask = !common.sandbox && !yes && saved.is_none();
    if ask && !can_ask() {
        return Err(UsageError(NEEDS_YES.to_owned()).into());
    }
    let mut cast = cast::read(&args.cast, &cast_options(&context.settings))?;
    if which == Which::Failed {
        only_failed(&mut cast, ledger_to_read(&context.settings, common.sandbox)?)?;
    }
    context.open_cast(&cast, &args, "run")?;
    if context.settings.payment.mode == PaymentMode::Wallet && (ask || saved.is_some()) {
        quote(&mut context, common.sandbox).await?;
    }
    let work = Work::open(&mut context, "run", common.sandbox).await?;
    let policy = Policy {
        re_enroll_changed: pay.re_enroll.is_some(),
        retry_refused: which == Which::Failed,
        realface: false,
    };
    let agreed = if ask || saved.is_some() {
        match agree(&context, common, &cast, &args, policy, &work.ledger, saved).await? {
            Some(agreed) => Some(agreed),
            None => return Ok(ExitCode::Interrupted),
        }
    } else {
        None
    };
    let (mut pipeline, ending) = work.start(&context, &cast, &args, policy).await?;
    pipeline.agreed = agreed;
    pipeline.run(cast).await;
    let exit = ending.end(&context).await?;
    if let Some(out) = &report {
        super::report::of_run(common, &context, &args.cast, out)
            .context("the run is done, but its report can't be written")?;
    }
    Ok(exit)
}

/// Reads the saved plan that stands in the place of a cast, and asks for just what was asked for then.
fn as_planned(args: &mut CastArgs, pay: &mut PayArgs, sandbox: bool) -> anyhow::Result<PlanFile> {
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

/// Looks at the whole cast before anything is paid: does the saved plan still hold, or, without one, does the
/// person at the terminal agree? `None` when not.
async fn agree(
    context: &Context,
    common: &Common,
    cast: &Cast,
    args: &CastArgs,
    policy: Policy,
    ledger: &Ledger,
    saved: Option<PlanFile>,
) -> anyhow::Result<Option<Agreed>> {
    let before = context.aside("plan", common);
    let spent = ledger.view().spend(None)?;
    let reader = Arc::new(ledger.clone());
    before.begin(cast, "plan");
    let survey = survey(
        &before,
        cast,
        args,
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
        "\nEnroll {} for {}? The pictures get {addresses}; what is enrolled can't be undone.",
        survey.totals.to_enroll(),
        survey.totals.most()
    );
    if ask_person(&question) {
        return Ok(agreed);
    }
    eprintln!("nothing was uploaded, nothing was paid");
    Ok(None)
}

/// What a command that pays needs before it begins.
pub(super) struct Work {
    /// What is durable; locked.
    pub(super) ledger: Ledger,
    manifest: PathBuf,
    /// Those of a real run, known to be configured; the sandbox's are started later.
    servers: Option<Servers>,
}

/// Where a run publishes and pays.
struct Servers {
    parts: Parts,
    publisher: Publisher,
}

impl Servers {
    /// As the settings or the sandbox say; what is missing is told before anything is written.
    async fn new(context: &Context, sandbox: Option<&Sandbox>) -> anyhow::Result<Self> {
        let parts = Parts::new(context, sandbox)?;
        if matches!(parts.way, Way::Key) && parts.api.key.is_none() {
            return Err(KeyError::Missing.into());
        }
        let publisher = Publisher::new(parts.publish.clone(), parts.credentials.clone()).await?;
        Ok(Self { parts, publisher })
    }
}

/// What such a command leaves to be done at its end.
pub(super) struct Ending {
    ledger: Ledger,
    stop: Stop,
    checkpoint: Arc<ManifestFile>,
    sandbox: Option<Sandbox>,
    signals: tokio::task::JoinHandle<()>,
}

impl Work {
    /// Opens the ledger on behalf of `command`, once all else that it needs is there.
    pub(super) async fn open(context: &mut Context, command: &str, sandbox: bool) -> anyhow::Result<Self> {
        let servers = match sandbox {
            true => None,
            false => Some(Servers::new(context, None).await?),
        };
        let settings = &context.settings;
        let manifest = manifest_path(settings, sandbox);
        context
            .outputs
            .claim_manifest(&settings.said_by("manifest.path"), &manifest)?;
        if let Some(copy) = &settings.ledger_backup {
            context
                .outputs
                .claim_copy(&settings.said_by("ledger.backup"), copy)?;
        }
        ledger_to_read(settings, sandbox)?;
        let options = OpenOptions::new(&provider(settings, sandbox), sandbox, command);
        let ledger = Ledger::open(&settings.ledger, keeping(options, settings))?;
        if manifest != settings.manifest {
            tracing::warn!(
                "{} is a real manifest and stays; writing {}",
                settings.manifest.display(),
                manifest.display()
            );
        }
        Ok(Self {
            ledger,
            manifest,
            servers,
        })
    }

    /// Starts the stand-ins if they are asked for, and joins the stations.
    pub(super) async fn start(
        self,
        context: &Context,
        cast: &Cast,
        args: &CastArgs,
        policy: Policy,
    ) -> anyhow::Result<(Pipeline, Ending)> {
        let ledger = self.ledger;
        let (servers, sandbox) = match self.servers {
            Some(servers) => (servers, None),
            None => {
                let sandbox = start_sandbox(&context.settings).await?;
                (Servers::new(context, Some(&sandbox)).await?, Some(sandbox))
            }
        };
        let stop = Stop::default();
        let signals = tokio::spawn(drain_on_signal(stop.clone()));
        let checkpoint = Arc::new(ManifestFile {
            ledger: ledger.clone(),
            path: self.manifest,
        });
        let manifest = checkpoint.clone();
        let pipeline = assemble(context, cast, args, policy, &ledger, servers, &stop, manifest)?;
        let ending = Ending {
            ledger,
            stop,
            checkpoint,
            sandbox,
            signals,
        };
        Ok((pipeline, ending))
    }
}

impl Ending {
    /// Writes the manifest, tells why the command stopped and what it did, and gives the exit code.
    pub(super) async fn end(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self {
            ledger,
            stop,
            checkpoint,
            sandbox,
            signals,
        } = self;
        signals.abort();
        let written = tokio::task::spawn_blocking(move || checkpoint.write()).await?;
        if let Some(reason) = stop.reason() {
            context.reporters.tell(Event::Stopping {
                code: reason.code.to_owned(),
                message: reason.message,
            });
        }
        if let Some(sandbox) = sandbox {
            sandbox.stop().await;
        }
        let path = written.context("everything is safe in the ledger, but the manifest can't be written")?;
        if let Some(copy) = &context.settings.ledger_backup {
            ledger
                .view()
                .backup(copy)
                .context("the run is done, but ledger.backup can't be written")?;
        }
        let exit = context.end(stop.reason().map(|r| r.exit), path.as_deref());
        if let Some(url) = &context.settings.notify {
            notify(
                url,
                &context.summary(exit, path.as_deref()),
                context.ca_pem()?.as_deref(),
            )
            .await;
        }
        // A ledger that broke is what this run stopped for; its end is told, if not written.
        if let Err(error) = ledger.end_run(exit.code()).await {
            tracing::debug!(%error, "the end of the run is not in the ledger");
        }
        Ok(exit)
    }
}

/// Keeps those with whom something went wrong: whom the API refused, or who failed; and those in doubt, who are not sent
/// again but told of. Whom a budget or Ctrl-C left is for `castline run`.
fn only_failed(cast: &mut Cast, view: Option<LedgerView>) -> anyhow::Result<()> {
    let records = view.map(|view| view.all()).transpose()?.unwrap_or_default();
    let failed: HashSet<NameKey> = records
        .into_iter()
        .filter(Record::has_failed)
        .map(|record| record.name.key())
        .collect();
    cast.characters
        .retain(|character| failed.contains(&character.name.key()));
    Ok(())
}

const NEEDS_YES: &str = "a run pays for what it enrolls, and that can't be undone: see the cost with `castline \
                         plan`, then run with --yes (or try it with --sandbox, which costs nothing)";

/// A command that pays asks first; off a terminal it needs `--yes`.
pub(super) fn consent(yes: bool) -> anyhow::Result<()> {
    if yes || (can_ask() && ask_person("Pay for what is enrolled? It can't be undone.")) {
        return Ok(());
    }
    Err(UsageError(NEEDS_YES.to_owned()).into())
}

pub(super) fn can_ask() -> bool {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks at the terminal; everything but yes is no, and so is what was typed before the question stood there.
fn ask_person(question: &str) -> bool {
    #[cfg(unix)]
    if rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush).is_err() {
        return false;
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

pub(super) fn provider(settings: &Settings, sandbox: bool) -> String {
    if sandbox {
        "sandbox".to_owned()
    } else {
        settings.api.base_url.to_string()
    }
}

/// Where the manifest is written. A sandbox's never takes the place of a real one.
pub(super) fn manifest_path(settings: &Settings, sandbox: bool) -> PathBuf {
    let path = settings.manifest.clone();
    match sandbox && is_real_manifest(&path) {
        true => path.with_extension("sandbox.json"),
        false => path,
    }
}

/// Whether the file holds ids that were paid for.
pub(super) fn is_real_manifest(path: &Path) -> bool {
    let there = path.is_file().then(|| Manifest::read(path).ok()).flatten();
    there.is_some_and(|there| !there.sandbox && !there.characters.is_empty())
}

/// The ledger, if there is one, to read what a run would do; refused where a run would refuse it: when it is
/// another provider's, or lost.
pub(super) fn ledger_to_read(settings: &Settings, sandbox: bool) -> anyhow::Result<Option<LedgerView>> {
    let view = LedgerView::open(&settings.ledger)?;
    let empty = match &view {
        Some(view) => {
            view.belongs_to(&provider(settings, sandbox), sandbox)?;
            view.all()?.is_empty()
        }
        None => true,
    };
    if empty {
        other_ledger(settings);
        lost_ledger(&settings.ledger, &manifest_path(settings, sandbox))?;
    }
    Ok(view)
}

/// The same pictures given as a CSV and as a folder have two ledgers, and would be paid for twice: says so where a
/// ledger begins while another lies in the working folder, or above the cast's.
fn other_ledger(settings: &Settings) {
    if !settings.is_default("ledger.path") {
        return;
    }
    let ours = std::path::absolute(&settings.ledger).unwrap_or_default();
    let Some((root, name)) = ours.parent().and_then(Path::parent).zip(ours.file_name()) else {
        return;
    };
    let here = std::env::current_dir().unwrap_or_default();
    let other = [Some(here.as_path()), root.parent()]
        .into_iter()
        .flatten()
        .map(|folder| folder.join(".castline").join(name))
        .find(|other| *other != ours && other.is_file());
    if let Some(other) = other {
        tracing::warn!(
            "{} begins anew, and knows nothing of what {} holds; if it is the same cast, use that one with --ledger",
            ours.display(),
            other.display()
        );
    }
}

/// An empty ledger beside a manifest with real ids is how people pay twice.
fn lost_ledger(ledger: &Path, manifest: &Path) -> anyhow::Result<()> {
    if !manifest.is_file() {
        return Ok(());
    }
    let there = Manifest::read(manifest)
        .with_context(|| format!("{} is there, but can't be read as a manifest", manifest.display()))?;
    let enrolled = there.characters.len();
    if there.sandbox || enrolled == 0 {
        return Ok(());
    }
    let told = format!(
        "the ledger {} is empty, but {} holds {} that were paid for: a run would pay for them again. Bring the \
         ledger back, or build it again with `castline adopt {}`",
        ledger.display(),
        manifest.display(),
        counted(enrolled, "asset id"),
        manifest.display()
    );
    Err(UsageError(told).into())
}

#[expect(
    clippy::too_many_arguments,
    reason = "this is the one place that joins all stations"
)]
fn assemble(
    context: &Context,
    cast: &Cast,
    args: &CastArgs,
    policy: Policy,
    ledger: &Ledger,
    servers: Servers,
    stop: &Stop,
    checkpoint: Arc<dyn Checkpoint>,
) -> anyhow::Result<Pipeline> {
    let settings = &context.settings;
    let Servers { parts, publisher } = servers;
    let reporters = Arc::clone(&context.reporters);
    let reader = Arc::new(ledger.clone());
    let look: Arc<Look> =
        Arc::new(context.look(cast, args, policy, true, Some(reader), parts.ca_pem.as_deref())?);
    let prefix = parts.publish.prefix;
    let allow_private = parts.sandbox || settings.publish.allow_private_hosts;
    let signer = settings.s3.presign_expiry.map(|_| publisher.clone());
    let publish = Publish {
        publisher,
        fetcher: Fetcher::new(allow_private, parts.ca_pem.as_deref())?,
        ledger: ledger.clone(),
        reporters: Arc::clone(&reporters),
        stop: stop.clone(),
        look: Arc::clone(&look),
        prefix,
        uploads: settings.publish.uploads,
        probe: settings.publish.probe,
    };
    let enroll = Enroll {
        signer,
        client: Client::new(parts.api)?,
        way: parts.way,
        pace: Pace::new(settings.api.rate, settings.api.in_flight),
        ledger: ledger.clone(),
        reporters: Arc::clone(&reporters),
        stop: stop.clone(),
        price: Price::new(settings.api.price, ledger.view().told_price()?),
        budget: Budget {
            run: settings.api.max_cost,
            life: settings.api.max_total_cost,
        },
        in_flight: settings.api.in_flight,
        retries: settings.api.retries,
        max_doubts_in_row: settings.api.max_doubts_in_row,
        doubts_in_row: AtomicU32::new(0),
    };
    Ok(Pipeline {
        look,
        publish: Arc::new(publish),
        enroll: Arc::new(enroll),
        ledger: ledger.clone(),
        reporters,
        stop: stop.clone(),
        price: settings.api.price,
        checkpoint,
        checkpoint_every: settings.manifest_every,
        agreed: None,
    })
}

/// The manifest as a view of the ledger.
struct ManifestFile {
    ledger: Ledger,
    path: PathBuf,
}

impl Checkpoint for ManifestFile {
    fn write(&self) -> anyhow::Result<Option<PathBuf>> {
        let manifest = super::manifest::from_ledger(self.ledger.view())?;
        if manifest.characters.is_empty() && !self.path.exists() {
            return Ok(None);
        }
        manifest::write_file(&self.path, &manifest, ManifestFormat::Json)?;
        Ok(Some(self.path.clone()))
    }
}

/// Ctrl-C or SIGTERM drains: nothing new begins, what is under way is awaited. The second aborts.
async fn drain_on_signal(stop: Stop) {
    signal().await;
    stop.throw(
        ExitCode::Interrupted,
        "interrupted",
        "interrupted; waiting for what is under way (again: abort)",
    );
    signal().await;
    // An intent without outcome is found, and in doubt, at the next start.
    std::process::exit(ExitCode::Interrupted.code().into());
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
