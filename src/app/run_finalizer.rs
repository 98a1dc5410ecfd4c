//! The end of a run: manifest, ledger copy, summary, webhook, exit code.

use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::manifest_file::ManifestFile;
use crate::event::Event;
use crate::exit::ExitCode;
use crate::ledger::Ledger;
use crate::pipeline::{Checkpoint, Shutdown};
use crate::report::notice::{Notice, notify};
use crate::sandbox::Sandbox;

/// The work left for the end of a run.
pub(crate) struct RunFinalizer {
    pub(super) ledger: Ledger,
    pub(super) shutdown: Shutdown,
    pub(super) checkpoint: Arc<ManifestFile>,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) signals: tokio::task::JoinHandle<()>,
}

impl RunFinalizer {
    /// Writes the manifest, reports why the command stopped and what it did, and returns the exit code.
    pub(crate) async fn end(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self {
            ledger,
            shutdown,
            checkpoint,
            sandbox,
            signals,
        } = self;
        signals.abort();
        let manifest = checkpoint.path.clone();
        let written = tokio::task::spawn_blocking(move || checkpoint.write()).await;
        let written = written.unwrap_or_else(|error| Err(error.into()));
        let stopped = shutdown.reason();
        if let Some(reason) = &stopped {
            context.reporters.emit(Event::Stopping {
                code: reason.code.to_owned(),
                message: reason.message.clone(),
            });
        }
        if let Some(sandbox) = sandbox {
            sandbox.stop().await;
        }
        // A failed write is reported, but doesn't skip the rest: what needs attention, the summary and `notify.url`
        // matter most when something is wrong.
        let mut exit = stopped.as_ref().map(|reason| reason.exit);
        let mut unwritten = |file: &Path, message: String| {
            let file = file.display().to_string();
            context.reporters.emit(Event::WriteFailed { file, message });
            exit = Some(exit.unwrap_or(ExitCode::Done).worst(ExitCode::Internal));
        };
        let path = written.unwrap_or_else(|error| {
            let text = format!(
                "everything is safe in the ledger, but the manifest can't be written: {error:#}. Once it can, write \
                 it with `castline manifest{} --out FILE`",
                context.same_arguments
            );
            unwritten(&manifest, text);
            None
        });
        if let Some(copy) = &context.settings.ledger_backup
            && let Err(error) = ledger.view().backup(copy)
        {
            let text = format!(
                "the run is done, but ledger.backup can't be written: {error}. Once it can, copy the ledger with \
                 `castline ledger backup{} --out FILE`",
                context.same_arguments
            );
            unwritten(copy, text);
        }
        let exit = context.end(exit, path.as_deref());
        let summary = context.summary(exit, path.as_deref());
        let mut notice = Notice::new(&context.origin, &summary).of_run(ledger.view().last_run()?);
        if let Some(reason) = &stopped {
            notice = notice.with_error(reason.code, &reason.message);
        }
        notify(&context.settings, &notice).await;
        // A broken ledger has already stopped this run; its end is reported, if not written.
        if let Err(error) = ledger.end_run(exit.code()).await {
            tracing::debug!(%error, "the end of the run is not in the ledger");
        }
        Ok(exit)
    }
}
