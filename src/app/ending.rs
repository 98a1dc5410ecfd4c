//! The end of a command that machines hear of, whatever ends it: errors before the first character as well.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::output_kind::OutputKind;
use crate::cli::Common;
use crate::event::{Reporter, Reporters};
use crate::exit::ExitCode;
use crate::report::Ndjson;
use crate::report::notice::{Notice, Origin, notify};
use crate::settings::Settings;

/// What a command has set up for its end. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Ending(Arc<Mutex<Option<Prepared>>>);

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ending")
    }
}

/// The receivers of a command's events, and its settings.
#[derive(Clone)]
struct Prepared {
    reporters: Arc<Reporters>,
    settings: Arc<Settings>,
    origin: Origin,
    started: std::time::Instant,
}

/// An error that ends a command.
pub(crate) struct CommandError<'a> {
    pub(crate) command: &'static str,
    pub(crate) code: &'static str,
    pub(crate) message: &'a str,
    pub(crate) exit: ExitCode,
}

impl Ending {
    /// Keeps what the end of a command needs.
    pub(super) fn prepare(&self, reporters: &Arc<Reporters>, settings: &Settings, origin: Origin) {
        let prepared = Prepared {
            reporters: Arc::clone(reporters),
            settings: Arc::new(settings.clone()),
            origin,
            started: std::time::Instant::now(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(prepared);
    }

    /// Tells machines of an error: as an event and a summary on stdout (`json`) and in the log file, in the file of
    /// metrics, and, where a run was to pay, to `notify.url`.
    pub(crate) async fn failed(&self, error: CommandError<'_>, common: &Common) {
        let prepared = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(prepared) = prepared else {
            // The settings themselves are wrong: what was typed is all there is.
            let reporters = Reporters::new(error.command, machines(common.json, common.log_file.as_deref()));
            reporters.fail(error.code, error.message, error.exit);
            let origin = Origin {
                cast: None,
                sandbox: common.sandbox,
                pays: matches!(error.command, "run" | "retry" | "realface"),
            };
            let mut summary = reporters.summary();
            summary.exit_code = error.exit.code();
            let notice = Notice::new(&origin, &summary).with_error(error.code, error.message);
            if let Some(file) = &common.metrics_file
                && OutputKind::Metrics.may_overwrite(file)
            {
                write_file(file, &notice);
            }
            // What holds without a cast may say where to send it.
            if let Ok(settings) = super::settings::load(common, None, Vec::new())
                && origin.pays
            {
                notify(&settings, &notice).await;
            }
            return;
        };
        let Prepared {
            reporters,
            settings,
            origin,
            started,
        } = prepared;
        if !reporters.fail(error.code, error.message, error.exit) {
            // It had ended, and said so: a report that can't be written changes nothing of that.
            return;
        }
        let mut summary = reporters.summary();
        summary.seconds = started.elapsed().as_secs_f64();
        summary.exit_code = error.exit.code();
        let notice = Notice::new(&origin, &summary).with_error(error.code, error.message);
        write_metrics(&settings, &notice);
        if origin.pays {
            notify(&settings, &notice).await;
        }
    }
}

/// Writes the file of metrics, if one is set. A failure is reported, and changes nothing.
pub(super) fn write_metrics(settings: &Settings, notice: &Notice<'_>) {
    let Some(file) = &settings.metrics_file else {
        return;
    };
    write_file(file, notice);
}

fn write_file(file: &Path, notice: &Notice<'_>) {
    if let Err(error) = crate::util::fs::write_atomic(file, notice.metrics().as_bytes()) {
        tracing::error!("the metrics {} can't be written: {error}", file.display());
    }
}

/// The receivers that were asked for on the command line.
fn machines(json: bool, log_file: Option<&Path>) -> Vec<Box<dyn Reporter>> {
    let mut all: Vec<Box<dyn Reporter>> = Vec::new();
    if json {
        all.push(Box::new(Ndjson::for_reader(std::io::stdout())));
    }
    let log = log_file.filter(|path| OutputKind::Log.may_overwrite(path));
    let opened = log.map(|path| std::fs::OpenOptions::new().append(true).create(true).open(path));
    if let Some(Ok(file)) = opened {
        all.push(Box::new(Ndjson::stamped(file)));
    }
    all
}
