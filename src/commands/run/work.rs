//! What the commands that pay share: the ledger and the servers opened, the stations joined, and the end told.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

use super::super::context::{Context, Names};
use super::super::notify::notify;
use super::super::servers::{Parts, start_sandbox};
use super::super::wallet::keeping;
use super::ledger::{ledger_to_read, manifest_path, provider};
use super::signal::drain_on_signal;
use crate::enroll::{Client, KeyError, Pace};
use crate::exit::ExitCode;
use crate::ledger::{Budget, Ledger, LedgerView, OpenOptions};
use crate::manifest::{self, ManifestFormat};
use crate::pipeline::{Checkpoint, Enroll, Look, Pipeline, Price, Publish, Stop, Way};
use crate::plan::Policy;
use crate::publish::{Fetcher, Publisher};
use crate::report::Event;
use crate::sandbox::Sandbox;

/// What a command that pays needs before it begins.
pub(in crate::commands) struct Work {
    /// What is durable; locked.
    pub(in crate::commands) ledger: Ledger,
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
pub(in crate::commands) struct Ending {
    ledger: Ledger,
    stop: Stop,
    checkpoint: Arc<ManifestFile>,
    sandbox: Option<Sandbox>,
    signals: tokio::task::JoinHandle<()>,
}

impl Work {
    /// Opens the ledger on behalf of `command`, once all else that it needs is there.
    pub(in crate::commands) async fn open(
        context: &mut Context,
        command: &str,
        sandbox: bool,
    ) -> anyhow::Result<Self> {
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
    pub(in crate::commands) async fn start(
        self,
        context: &Context,
        names: Names,
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
            writing: Mutex::new(()),
        });
        let manifest = checkpoint.clone();
        let pipeline = assemble(context, names, policy, &ledger, servers, &stop, manifest)?;
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
    pub(in crate::commands) async fn end(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self {
            ledger,
            stop,
            checkpoint,
            sandbox,
            signals,
        } = self;
        signals.abort();
        let manifest = checkpoint.path.clone();
        let written = tokio::task::spawn_blocking(move || checkpoint.write()).await;
        let written = written.unwrap_or_else(|error| Err(error.into()));
        let stopped = stop.reason();
        if let Some(reason) = &stopped {
            context.reporters.tell(Event::Stopping {
                code: reason.code.to_owned(),
                message: reason.message.clone(),
            });
        }
        if let Some(sandbox) = sandbox {
            sandbox.stop().await;
        }
        // What can't be written is told, and takes nothing of the run's end with it: what needs a person, the
        // summary and `notify.url` matter most when something is wrong.
        let mut exit = stopped.map(|reason| reason.exit);
        let mut unwritten = |file: &Path, message: String| {
            let file = file.display().to_string();
            context.reporters.tell(Event::Unwritten { file, message });
            exit = Some(exit.unwrap_or(ExitCode::Done).worst(ExitCode::Internal));
        };
        let path = written.unwrap_or_else(|error| {
            let told = format!(
                "everything is safe in the ledger, but the manifest can't be written: {error:#}. Once it can, write \
                 it with `castline manifest{} --out FILE`",
                context.again
            );
            unwritten(&manifest, told);
            None
        });
        if let Some(copy) = &context.settings.ledger_backup
            && let Err(error) = ledger.view().backup(copy)
        {
            let told = format!(
                "the run is done, but ledger.backup can't be written: {error}. Once it can, copy the ledger with \
                 `castline ledger backup{} --out FILE`",
                context.again
            );
            unwritten(copy, told);
        }
        let exit = context.end(exit, path.as_deref());
        if let Some(url) = &context.settings.notify {
            let summary = context.summary(exit, path.as_deref());
            match context.ca_pem() {
                Ok(ca_pem) => notify(url, &summary, ca_pem.as_deref()).await,
                Err(error) => tracing::warn!("notify.url was not told: {error}"),
            }
        }
        // A ledger that broke is what this run stopped for; its end is told, if not written.
        if let Err(error) = ledger.end_run(exit.code()).await {
            tracing::debug!(%error, "the end of the run is not in the ledger");
        }
        Ok(exit)
    }
}

/// Joins all stations.
fn assemble(
    context: &Context,
    names: Names,
    policy: Policy,
    ledger: &Ledger,
    servers: Servers,
    stop: &Stop,
    checkpoint: Arc<dyn Checkpoint>,
) -> anyhow::Result<Pipeline> {
    let settings = &context.settings;
    let Servers { parts, publisher } = servers;
    let reporters = Arc::clone(&context.reporters);
    // Not the ledger itself: a picture that is still looked at when a run stops would hold it open.
    let reader = Arc::new(LedgerView::open(ledger.path())?.context("the ledger is gone")?);
    let look: Arc<Look> =
        Arc::new(context.look(names, policy, true, Some(reader), parts.ca_pem.as_deref())?);
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
        again: context.again.clone(),
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
    /// One at a time: an earlier view must not be written over a later one.
    writing: Mutex<()>,
}

impl Checkpoint for ManifestFile {
    fn write(&self) -> anyhow::Result<Option<PathBuf>> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = super::super::manifest::from_ledger(self.ledger.view())?;
        if manifest.characters.is_empty() && !self.path.exists() {
            return Ok(None);
        }
        manifest::write_file(&self.path, &manifest, ManifestFormat::Json)?;
        Ok(Some(self.path.clone()))
    }
}
