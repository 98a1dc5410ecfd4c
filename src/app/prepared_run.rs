//! The setup shared by the commands that pay: opens the ledger and the services, and connects the pipeline stages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::OnceCell;

use super::cast_names::CastNames;
use super::chain::settle_by_chain;
use super::context::Context;
use super::ledger_guard::{is_real_manifest, ledger_to_read, manifest_path, open_view, own_ledger, provider};
use super::manifest_file::ManifestFile;
use super::pace::rate_limiter;
use super::receipts::{bring_up_to_date, check_manifest, receipts};
use super::run_finalizer::RunFinalizer;
use super::sandbox::start_sandbox;
use super::services::ServiceConfig;
use super::signals::drain_on_signal;
use super::wallet::ledger_options;
use crate::enroll::{Client, KeyError};
use crate::exit::UsageError;
use crate::ledger::{Budget, Ledger, OpenOptions, doubtful_place};
use crate::manifest::ManifestFormat;
use crate::pipeline::{
    Brake, Checkpoint, Enroll, InspectStage, PaymentMethod, Pipeline, Price, Publish, Shutdown,
};
use crate::plan::Policy;
use crate::publish::{Fetcher, Publisher};
use crate::receipts::Receipts;
use crate::sandbox::Sandbox;

/// The resources that a command that pays needs before it starts.
pub(crate) struct PreparedRun {
    /// The ledger, locked for this run.
    pub(crate) ledger: Ledger,
    manifest: PathBuf,
    /// The servers of a real run, checked to be configured; `None` for the sandbox, which is started later.
    servers: Option<Servers>,
    cast: PathBuf,
}

/// The servers to which a run publishes and pays.
struct Servers {
    parts: ServiceConfig,
    publisher: Publisher,
    receipts: Option<Receipts>,
}

impl Servers {
    /// Configures the servers from the settings or the sandbox.
    ///
    /// # Errors
    /// A required setting is missing. Nothing has been written then.
    async fn new(context: &Context, cast: &Path, sandbox: Option<&Sandbox>) -> anyhow::Result<Self> {
        let parts = ServiceConfig::new(context, sandbox)?;
        if matches!(parts.payment_method, PaymentMethod::Key) && parts.api.key.is_none() {
            return Err(KeyError::Missing.into());
        }
        let publisher = Publisher::new(parts.publish.clone(), parts.credentials.clone()).await?;
        let receipts = receipts(context, &parts, &publisher, cast);
        Ok(Self {
            parts,
            publisher,
            receipts,
        })
    }
}

impl PreparedRun {
    /// Opens the ledger for `command` on `cast`, once everything else it needs is available, and brings it up to date
    /// from the receipts in the bucket.
    pub(crate) async fn open(
        context: &mut Context,
        command: &str,
        (cast, names): (&Path, &CastNames),
        sandbox: bool,
    ) -> anyhow::Result<Self> {
        crate::report::notice::check(&context.settings)?;
        let servers = match sandbox {
            true => None,
            false => Some(Servers::new(context, cast, None).await?),
        };
        let settings = &context.settings;
        let manifest = manifest_path(settings, sandbox);
        context.guard.reserve_manifest(
            &settings.said_by("manifest.path"),
            &manifest,
            ManifestFormat::Json,
        )?;
        if let Some(copy) = &settings.ledger_backup {
            context
                .guard
                .reserve_copy(&settings.said_by("ledger.backup"), copy)?;
        }
        if settings.api.max_account_cost.is_some() && settings.server.is_none() {
            let text = "api.max_account_cost_usd counts the ledgers of a database: set ledger.url, or use \
                        api.max_total_cost_usd";
            return Err(UsageError(text.to_owned()).into());
        }
        let receipts = servers.as_ref().and_then(|servers| servers.receipts.as_ref());
        match receipts {
            // A lost ledger is restored from them.
            Some(_) => drop(own_ledger(settings, sandbox)?),
            None => drop(ledger_to_read(settings, sandbox)?),
        }
        let options = OpenOptions::new(&provider(settings, sandbox), sandbox, command);
        let is_first = settings.server.is_none() && !settings.ledger.exists();
        let ledger = Ledger::open(settings.place(), ledger_options(options, settings))?;
        if is_first {
            context.tell(&format!("ledger: {} (new; keep it)", settings.place()));
        }
        if settings.server.is_none()
            && let Some(problem) = doubtful_place(&settings.ledger)
        {
            tracing::warn!("{problem}");
        }
        let payer = servers
            .as_ref()
            .and_then(|servers| servers.parts.payer_fingerprint());
        if let Some(payer) = &payer {
            ledger.view().check_payer(payer)?;
        }
        if !sandbox {
            settle_by_chain(context, &ledger).await?;
        }
        if let Some(receipts) = receipts {
            bring_up_to_date(&ledger, receipts, &manifest, &names.all).await?;
        }
        // Only now: a key that the bucket does not know either binds nothing.
        if let Some(payer) = &payer {
            ledger.bind_payer(payer).await?;
        }
        check_manifest(ledger.view(), &manifest)?;
        if manifest != settings.manifest {
            let whose = match is_real_manifest(&settings.manifest) && sandbox {
                true => "is a real manifest",
                false => "is another cast's",
            };
            tracing::warn!(
                "{} {whose} and is kept; writing {} instead",
                settings.manifest.display(),
                manifest.display()
            );
        }
        Ok(Self {
            ledger,
            manifest,
            servers,
            cast: cast.to_owned(),
        })
    }

    /// Starts the sandbox if requested, and connects the stages.
    pub(crate) async fn start(
        self,
        context: &Context,
        names: CastNames,
        policy: Policy,
    ) -> anyhow::Result<(Pipeline, RunFinalizer)> {
        let ledger = self.ledger;
        let (servers, sandbox) = match self.servers {
            Some(servers) => (servers, None),
            None => {
                let sandbox = start_sandbox(&context.settings).await?;
                let servers = Servers::new(context, &self.cast, Some(&sandbox)).await?;
                if let Some(receipts) = &servers.receipts {
                    receipts.check_series().await?;
                }
                (servers, Some(sandbox))
            }
        };
        let shutdown = Shutdown::default();
        let signals = tokio::spawn(drain_on_signal(shutdown.clone()));
        let checkpoint = Arc::new(ManifestFile {
            ledger: ledger.clone(),
            path: self.manifest,
            names: names.all.clone(),
            writing: std::sync::Mutex::new(()),
        });
        let manifest = checkpoint.clone();
        let pipeline = assemble(context, names, policy, &ledger, servers, &shutdown, manifest)?;
        let finalizer = RunFinalizer {
            ledger,
            shutdown,
            checkpoint,
            sandbox,
            signals,
        };
        Ok((pipeline, finalizer))
    }
}

/// Connects all stages.
fn assemble(
    context: &Context,
    names: CastNames,
    policy: Policy,
    ledger: &Ledger,
    servers: Servers,
    shutdown: &Shutdown,
    checkpoint: Arc<dyn Checkpoint>,
) -> anyhow::Result<Pipeline> {
    let settings = &context.settings;
    let Servers {
        parts,
        publisher,
        receipts,
    } = servers;
    let rate_limiter = rate_limiter(settings, &parts);
    let reporters = Arc::clone(&context.reporters);
    // A view, not the ledger itself: an image still being inspected when a run stops would keep it open.
    let reader = Arc::new(open_view(settings)?.context("the ledger no longer exists")?);
    let inspect: Arc<InspectStage> =
        Arc::new(context.inspect_stage(names, policy, true, Some(reader), parts.ca_pem.as_deref())?);
    let prefix = parts.publish.prefix;
    let allow_private = parts.sandbox || settings.publish.allow_private_hosts;
    let signer = settings.s3.presign_expiry.map(|_| publisher.clone());
    let publish = Publish {
        publisher,
        fetcher: Fetcher::new(allow_private, parts.ca_pem.as_deref())?,
        ledger: ledger.clone(),
        reporters: Arc::clone(&reporters),
        shutdown: shutdown.clone(),
        inspect: Arc::clone(&inspect),
        prefix,
        concurrency: settings.publish.concurrency,
        probe: settings.publish.probe,
        unwritten: OnceCell::new(),
        first: OnceCell::new(),
    };
    let enroll = Enroll {
        signer,
        client: Client::new(parts.api)?,
        payment_method: parts.payment_method,
        rate_limiter,
        ledger: ledger.clone(),
        receipts,
        reporters: Arc::clone(&reporters),
        same_arguments: context.same_arguments.clone(),
        shutdown: shutdown.clone(),
        price: Price::new(settings.api.price, ledger.view().reply_price()?)
            .accept_zero(settings.api.accept_zero_price),
        budget: Budget {
            run: settings.api.max_cost,
            life: settings.api.max_total_cost,
            account: settings.api.max_account_cost,
        },
        concurrency: settings.api.concurrency,
        retries: settings.api.retries,
        brake: Brake::new(
            settings.api.max_consecutive_in_doubt,
            ledger.view().consecutive_doubts()?,
        ),
    };
    Ok(Pipeline {
        inspect,
        publish: Arc::new(publish),
        enroll: Arc::new(enroll),
        ledger: ledger.clone(),
        reporters,
        shutdown: shutdown.clone(),
        price: settings.api.price,
        checkpoint,
        checkpoint_interval: settings.checkpoint_interval,
        agreed: None,
    })
}
