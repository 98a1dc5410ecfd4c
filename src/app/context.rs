//! The start and end that most commands share: settings, the cast, the reporters, the summary.

use std::path::Path;
use std::sync::Arc;

use super::cast_names::{CastNames, select};
use super::command_hint::same_arguments;
use super::ending::write_metrics;
use super::output_kind::OutputKind;
use super::overwrite_guard::OverwriteGuard;
use super::settings::{Flags, read, settings};
use crate::cast::Cast;
use crate::cli::{CastArgs, Common};
use crate::event::{Event, Reporter, Reporters, SCHEMA, Summary};
use crate::exit::{ExitCode, UsageError};
use crate::inspect::Inspector;
use crate::ledger::Reader;
use crate::manifest::check_row_names;
use crate::pipeline::{InspectStage, InspectionCache, MemoryBudget};
use crate::plan::Policy;
use crate::publish::Fetcher;
use crate::report::notice::{Notice, Origin};
use crate::report::{Ndjson, Style, Terminal};
use crate::settings::Settings;
use crate::util::text::pluralize;

/// The memory of the images in progress, per job, in bytes: eight times what a picture of 2048 × 2048 pixels takes. Larger
/// ones are processed with fewer at once.
const MEMORY_PER_JOB: u64 = 256 << 20;

/// The settings, reporters and overwrite guard of one command.
pub(crate) struct Context {
    /// The settings from flags, files and environment variables.
    pub(crate) settings: Settings,
    /// The receivers of events.
    pub(crate) reporters: Arc<Reporters>,
    /// The files that the command writes.
    pub(crate) guard: OverwriteGuard,
    /// The arguments that select the same cast: see [`same_arguments`].
    pub(crate) same_arguments: String,
    /// Where the command runs, and on what.
    pub(crate) origin: Origin,
    quiet: bool,
    /// When the command started.
    pub(crate) started: std::time::Instant,
}

impl Context {
    /// Loads the settings and creates the reporters for `command`.
    pub(crate) fn new(
        common: &Common,
        command: &'static str,
        cast: Option<&Path>,
        flags: Flags,
    ) -> anyhow::Result<Self> {
        Self::with(common, command, cast, settings(common, cast, flags)?)
    }

    /// As [`Context::new`], with settings that were loaded before.
    pub(crate) fn with(
        common: &Common,
        command: &'static str,
        cast: Option<&Path>,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let started = std::time::Instant::now();
        let mut guard = OverwriteGuard::new(common, &settings, cast);
        if let Some(file) = &settings.log_file {
            guard.reserve(&settings.said_by("report.log_file"), file, OutputKind::Log)?;
        }
        if let Some(file) = &settings.metrics_file {
            guard.reserve(
                &settings.said_by("report.metrics_file"),
                file,
                OutputKind::Metrics,
            )?;
        }
        let same_arguments = same_arguments(common, cast);
        let reporters = Arc::new(reporters(common, command, &settings, same_arguments.clone())?);
        let origin = Origin {
            cast: cast.map(|cast| cast.display().to_string()),
            sandbox: common.sandbox,
            pays: matches!(command, "run" | "realface"),
        };
        common.ending.prepare(&reporters, &settings, origin.clone());
        Ok(Self {
            settings,
            guard,
            same_arguments,
            reporters,
            origin,
            quiet: common.quiet,
            started,
        })
    }

    /// A context with the same settings and its own reporter, for work done before the command itself.
    pub(crate) fn aside(&self, command: &'static str, common: &Common) -> Self {
        let terminal = Terminal::new(
            Style::choose(common.quiet, common.verbose > 0),
            command,
            None,
            self.settings.api.rate.interval(),
            self.same_arguments.clone(),
        );
        Self {
            same_arguments: self.same_arguments.clone(),
            settings: self.settings.clone(),
            guard: self.guard.clone(),
            origin: self.origin.clone(),
            quiet: self.quiet,
            reporters: Arc::new(Reporters::new(command, vec![Box::new(terminal)])),
            started: std::time::Instant::now(),
        }
    }

    /// Tells people something, unless they want to hear nothing.
    pub(crate) fn tell(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Emits the first event.
    pub(crate) fn begin(&self, cast: &Cast, command: &'static str) {
        self.reporters.emit(Event::Castline {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            command,
            characters: cast.characters.len(),
        });
    }

    /// Reads the cast, keeps the characters that the arguments choose, and reports invalid rows; returns the names of the
    /// whole cast as well.
    ///
    /// # Errors
    /// The cast can't be read, or has invalid rows and `--skip-invalid` was not given, or a name is not in it.
    pub(crate) fn read_cast(
        &self,
        args: &CastArgs,
        command: &'static str,
    ) -> anyhow::Result<(Cast, CastNames)> {
        let mut cast = read(&args.cast, &self.settings)?;
        let names = CastNames::of(&cast, args)?;
        select(&mut cast, &args.select)?;
        self.open_cast(&cast, args, command)?;
        Ok((cast, names))
    }

    /// As [`Context::read_cast`], for a cast that was read before and may have been filtered.
    pub(crate) fn open_cast(
        &self,
        cast: &Cast,
        args: &CastArgs,
        command: &'static str,
    ) -> anyhow::Result<()> {
        self.begin(cast, command);
        for bad in &cast.bad_rows {
            let (line, field) = (bad.line, bad.field.to_owned());
            self.reporters.emit(Event::BadRow {
                line,
                field,
                message: bad.to_string(),
            });
        }
        // A check shows what is wrong with all of it.
        let stops = !args.skip_invalid && !self.settings.cast.skip_invalid && command != "check";
        if !cast.bad_rows.is_empty() && stops {
            let text = format!(
                "{}; fix them, or pass --skip-invalid",
                pluralize(cast.bad_rows.len(), "invalid row")
            );
            return Err(UsageError(text).into());
        }
        // A name changed later would be a different character, and paid for again.
        if let Err(same) = check_row_names(cast.characters.names().map(String::from)) {
            tracing::warn!(
                "in an Unreal DataTable, {same}, if the cast is for Unreal, before anything is paid"
            );
        }
        Ok(())
    }

    /// The first stage of the pipeline, configured by the settings.
    pub(crate) fn inspect_stage(
        &self,
        names: CastNames,
        policy: Policy,
        prepare: bool,
        ledger: Option<Arc<dyn Reader>>,
        ca_pem: Option<&[u8]>,
    ) -> anyhow::Result<InspectStage> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.settings.jobs)
            .build()?;
        let allow_private = self.settings.publish.allow_private_hosts;
        Ok(InspectStage {
            inspector: Arc::new(Inspector::new(self.settings.inspect.clone())),
            ledger,
            fetcher: Fetcher::new(allow_private, ca_pem)?,
            approved: names.approved,
            cast: names.all,
            same_arguments: self.same_arguments.clone(),
            policy,
            prepare,
            thumbnails: None,
            pool,
            jobs: self.settings.jobs,
            memory: MemoryBudget::new(self.settings.jobs as u64 * MEMORY_PER_JOB),
            cache: InspectionCache::default(),
        })
    }

    /// The PEM contents of `tls.ca_file`, if set.
    pub(crate) fn ca_pem(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(file) = &self.settings.ca_file else {
            return Ok(None);
        };
        let pem = std::fs::read(file)
            .map_err(|e| UsageError(format!("tls.ca_file {} can't be read: {e}", file.display())))?;
        Ok(Some(pem))
    }

    /// Emits the summary and returns the exit code. `stop` is the exit code of an early end, if any.
    pub(crate) fn end(&self, stop: Option<ExitCode>, manifest: Option<&Path>) -> ExitCode {
        let summary = self.reporters.summary();
        let exit = stop.map_or(summary.exit(), |stop| summary.exit().worst(stop));
        let summary = self.summary(exit, manifest);
        write_metrics(&self.settings, &Notice::new(&self.origin, &summary));
        self.reporters.emit(Event::Summary(summary));
        exit
    }

    /// The summary of a command that ended with `exit`.
    pub(crate) fn summary(&self, exit: ExitCode, manifest: Option<&Path>) -> Summary {
        Summary {
            seconds: self.started.elapsed().as_secs_f64(),
            manifest: manifest.map(|m| m.display().to_string()),
            exit_code: exit.code(),
            ..self.reporters.summary()
        }
    }
}

fn reporters(
    common: &Common,
    command: &'static str,
    settings: &Settings,
    same_arguments: String,
) -> anyhow::Result<Reporters> {
    // Stdout may end up on the same terminal, even through `tee`, and progress bars would garble it.
    let rows = common.json || (command == "check" && !console::Term::stdout().is_term());
    let style = Style::choose(common.quiet, common.verbose > 0 || rows);
    let api = &settings.api;
    let terminal = Terminal::new(style, command, api.max_cost, api.rate.interval(), same_arguments);
    let mut all: Vec<Box<dyn Reporter>> = vec![Box::new(terminal)];
    if common.json {
        all.push(Box::new(Ndjson::for_reader(std::io::stdout())));
    }
    if let Some(path) = &settings.log_file {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let file =
            file.map_err(|e| UsageError(format!("the log file {} can't be written: {e}", path.display())))?;
        all.push(Box::new(Ndjson::stamped(file)));
    }
    Ok(Reporters::new(command, all))
}
