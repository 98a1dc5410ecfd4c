//! What most commands begin with: settings, the cast, the reporters.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::UsageError;
use super::again::again;
use super::made::Made;
use super::outputs::Outputs;
use crate::cast::{self, Cast, CastError, CastOptions, Name, NameKey};
use crate::cli::{CastArgs, Common, PayArgs};
use crate::manifest::row_names;
use crate::pipeline::{Look, Seen};
use crate::plan::Policy;
use crate::report::{Event, Ndjson, Reporter, Reporters, SCHEMA, Style, Summary, Terminal};
use crate::settings::Settings;

/// Pairs of a key, its text, and the flag that said it.
pub(super) type Flags = Vec<(String, String, String)>;

/// What most commands begin with.
pub struct Context {
    /// What was typed, written and exported.
    pub settings: Settings,
    /// Where events go.
    pub reporters: Arc<Reporters>,
    /// What the command writes.
    pub(super) outputs: Outputs,
    /// What another command needs to work on the same cast: see [`again`].
    pub(super) again: String,
    /// When the command began.
    pub started: std::time::Instant,
}

/// The folder that settings and ledger stand in: the cast's own, or a CSV's.
pub(super) fn root_of(cast: Option<&Path>) -> PathBuf {
    match cast {
        None => PathBuf::from("."),
        Some(cast) if cast.is_dir() => cast.to_owned(),
        Some(cast) => match cast.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        },
    }
}

/// Settings for a command on that cast.
pub(super) fn settings(common: &Common, cast: Option<&Path>, mut flags: Flags) -> anyhow::Result<Settings> {
    if let Some(ledger) = &common.ledger {
        flags.push((
            "ledger.path".to_owned(),
            ledger.display().to_string(),
            "--ledger".to_owned(),
        ));
    }
    if let Some(file) = &common.log_file {
        let text = file.display().to_string();
        flags.push(("report.log_file".to_owned(), text, "--log-file".to_owned()));
    }
    for set in &common.set {
        let (key, text) = set.split_once('=').ok_or_else(|| {
            UsageError(format!(
                "--set {set:?}: write --set KEY=VALUE, such as --set api.rate=3/min"
            ))
        })?;
        flags.push((key.trim().to_owned(), text.to_owned(), "--set".to_owned()));
    }
    let variables: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, text)| {
            (
                name.to_string_lossy().into_owned(),
                text.to_string_lossy().into_owned(),
            )
        })
        .collect();
    if let Some(cast) = cast.filter(|cast| !cast.exists()) {
        return Err(CastError::NotFound(cast.to_owned()).into());
    }
    let mut settings = Settings::load(&root_of(cast), common.config.as_deref(), &variables, flags)?;
    if common.sandbox {
        for_sandbox(&mut settings);
    }
    Ok(settings)
}

/// The sandbox has its own ledger, and no reason to be slow.
fn for_sandbox(settings: &mut Settings) {
    if !matches!(
        settings.layers.value("ledger.path").origin,
        crate::settings::Origin::Flag(_)
    ) {
        settings.ledger.set_file_name("sandbox.db");
    }
    if settings.is_default("api.rate") {
        settings.api.rate = "20/s".parse().expect("a rate");
    }
}

/// What belongs to a cast, by the settings.
pub(super) fn cast_options(settings: &Settings) -> CastOptions {
    CastOptions {
        allow_outside: settings.cast.allow_outside,
        include: settings.cast.include.clone(),
        exclude: settings.cast.exclude.clone(),
    }
}

/// The cast at `path`, as the settings say.
pub(super) fn read(path: &Path, settings: &Settings) -> anyhow::Result<Cast> {
    if path.extension().is_some_and(|e| e == "json") {
        let told = "a cast is a CSV or a folder; a saved plan is done with `castline run`, and nothing else takes one";
        return Err(UsageError(told.to_owned()).into());
    }
    Ok(cast::read(path, &cast_options(settings))?)
}

/// Flags that are settings.
pub(super) fn cast_flags(cast: &CastArgs) -> Flags {
    let mut flags = Flags::new();
    let mut flag = |key: &str, text: String, flag: &str| {
        flags.push((key.to_owned(), text, flag.to_owned()));
    };
    let list = |items: &[String]| items.iter().map(|i| format!("{i}\n")).collect::<String>();
    if let Some(jobs) = cast.jobs {
        flag("inspect.jobs", jobs.to_string(), "--jobs");
    }
    if !cast.include.is_empty() {
        flag("cast.include", list(&cast.include), "--include");
    }
    if !cast.exclude.is_empty() {
        flag("cast.exclude", list(&cast.exclude), "--exclude");
    }
    if cast.allow_outside {
        flag("cast.allow_outside", "true".to_owned(), "--allow-outside");
    }
    flags
}

/// Flags about paying that are settings.
pub(super) fn pay_flags(pay: &PayArgs) -> Flags {
    let mut flags = Flags::new();
    if let Some(cost) = &pay.max_cost {
        let plain = cost.trim_start_matches('$').to_owned();
        flags.push(("api.max_cost_usd".to_owned(), plain, "--max-cost".to_owned()));
    }
    if let Some(rate) = &pay.rate {
        flags.push(("api.rate".to_owned(), rate.clone(), "--rate".to_owned()));
    }
    flags
}

impl Context {
    /// Settings and reporters for `command`.
    pub fn new(
        common: &Common,
        command: &'static str,
        cast: Option<&Path>,
        flags: Flags,
    ) -> anyhow::Result<Self> {
        Self::with(common, command, cast, settings(common, cast, flags)?)
    }

    /// The same with settings that were read before.
    pub(super) fn with(
        common: &Common,
        command: &'static str,
        cast: Option<&Path>,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let started = std::time::Instant::now();
        let mut outputs = Outputs::new(common, &settings, cast);
        if let Some(file) = &settings.log_file {
            outputs.claim(&settings.said_by("report.log_file"), file, Made::Log)?;
        }
        let again = again(common, cast);
        let reporters = reporters(common, command, &settings, again.clone())?;
        Ok(Self {
            settings,
            outputs,
            again,
            reporters: Arc::new(reporters),
            started,
        })
    }

    /// The same settings, with a reporter of its own: for what is done before the command itself.
    pub(super) fn aside(&self, command: &'static str, common: &Common) -> Self {
        let terminal = Terminal::new(
            Style::choose(common.quiet, common.verbose > 0),
            command,
            None,
            self.settings.api.rate.interval(),
            self.again.clone(),
        );
        Self {
            again: self.again.clone(),
            settings: self.settings.clone(),
            outputs: self.outputs.clone(),
            reporters: Arc::new(Reporters::new(command, vec![Box::new(terminal)])),
            started: std::time::Instant::now(),
        }
    }

    /// Tells the first event.
    pub(super) fn begin(&self, cast: &Cast, command: &'static str) {
        self.reporters.tell(Event::Castline {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            command,
            characters: cast.characters.len(),
        });
    }

    /// Reads the cast, and tells its bad rows; they end the command unless they may be skipped.
    pub fn read_cast(&self, args: &CastArgs, command: &'static str) -> anyhow::Result<Cast> {
        let cast = read(&args.cast, &self.settings)?;
        self.open_cast(&cast, args, command)?;
        Ok(cast)
    }

    /// The same for a cast that was read, and of which `command` is perhaps about a part.
    pub(super) fn open_cast(
        &self,
        cast: &Cast,
        args: &CastArgs,
        command: &'static str,
    ) -> anyhow::Result<()> {
        self.begin(cast, command);
        for bad in &cast.bad_rows {
            let (line, field) = (bad.line, bad.field.to_owned());
            self.reporters.tell(Event::BadRow {
                line,
                field,
                message: bad.to_string(),
            });
        }
        if !cast.bad_rows.is_empty() && !args.skip_bad_rows {
            let count = cast.bad_rows.len();
            let told = format!(
                "{count} of the cast's rows can't be used; mend them, or go on without them: --skip-bad-rows"
            );
            return Err(UsageError(told).into());
        }
        // Later, another name would be another character, to be paid for again.
        if let Err(same) = row_names(cast.characters.iter().map(|c| c.name.as_str())) {
            tracing::warn!(
                "in an Unreal DataTable, {same}, if the cast is for Unreal, before anything is paid"
            );
        }
        Ok(())
    }

    /// The first station.
    pub(super) fn look(
        &self,
        names: Names,
        policy: Policy,
        prepare: bool,
        ledger: Option<Arc<dyn crate::ledger::Reader>>,
        ca_pem: Option<&[u8]>,
    ) -> anyhow::Result<Look> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.settings.jobs)
            .build()?;
        let allow_private = self.settings.publish.allow_private_hosts;
        Ok(Look {
            inspector: Arc::new(crate::inspect::Inspector::new(self.settings.inspect.clone())),
            ledger,
            fetcher: crate::publish::Fetcher::new(allow_private, ca_pem)?,
            approved: names.approved,
            cast: names.all,
            policy,
            prepare,
            thumbnails: false,
            pool,
            jobs: self.settings.jobs,
            seen: Seen::default(),
        })
    }

    /// The root certificate of `tls.ca_file`.
    pub fn ca_pem(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(file) = &self.settings.ca_file else {
            return Ok(None);
        };
        let pem = std::fs::read(file)
            .map_err(|e| UsageError(format!("tls.ca_file {} can't be read: {e}", file.display())))?;
        Ok(Some(pem))
    }

    /// The last event, and the exit code: `stop` is why the command ended early, if it did.
    pub fn end(&self, stop: Option<crate::exit::ExitCode>, manifest: Option<&Path>) -> crate::exit::ExitCode {
        let summary = self.reporters.summary();
        let exit = stop.map_or(summary.exit(), |stop| summary.exit().worst(stop));
        self.reporters.tell(Event::Summary(self.summary(exit, manifest)));
        exit
    }

    /// What happened, once it has ended so.
    pub fn summary(&self, exit: crate::exit::ExitCode, manifest: Option<&Path>) -> Summary {
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
    again: String,
) -> anyhow::Result<Reporters> {
    // What goes to stdout may come out on the same terminal, also through `tee`, and bars would tear it.
    let rows = common.json || (command == "check" && !console::Term::stdout().is_term());
    let style = Style::choose(common.quiet, common.verbose > 0 || rows);
    let api = &settings.api;
    let terminal = Terminal::new(style, command, api.max_cost, api.rate.interval(), again);
    let mut all: Vec<Box<dyn Reporter>> = vec![Box::new(terminal)];
    if common.json {
        all.push(Box::new(Ndjson::new(std::io::stdout())));
    }
    if let Some(path) = &settings.log_file {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let file =
            file.map_err(|e| UsageError(format!("the log file {} can't be written: {e}", path.display())))?;
        all.push(Box::new(Ndjson::stamped(file)));
    }
    Ok(Reporters::new(command, all))
}

/// Whom the whole cast names, also where a command is about a part of it: one list of approvals serves all commands.
#[derive(Debug, Clone)]
pub(super) struct Names {
    all: HashSet<NameKey>,
    /// Those that flag or file approve.
    approved: HashSet<NameKey>,
}

impl Names {
    /// Of that cast, as it was read.
    ///
    /// # Errors
    /// A name is approved that the cast doesn't have.
    pub(super) fn of(cast: &Cast, args: &CastArgs) -> anyhow::Result<Self> {
        let all: HashSet<NameKey> = cast.characters.iter().map(|c| c.name.key()).collect();
        let mut approved = HashSet::new();
        for name in approved_names(args)? {
            let key = Name::new(&name)
                .map_err(|e| UsageError(format!("approved name {name:?}: {e}")))?
                .key();
            if !all.contains(&key) {
                return Err(UsageError(format!("the approved name {name:?} is not in the cast")).into());
            }
            approved.insert(key);
        }
        Ok(Self { all, approved })
    }
}

/// The names that flag and file approve, as they are written.
pub(super) fn approved_names(args: &CastArgs) -> anyhow::Result<Vec<String>> {
    let mut names = args.approve.clone();
    if let Some(file) = &args.approvals {
        let text = std::fs::read_to_string(file)
            .map_err(|e| UsageError(format!("--approvals {} can't be read: {e}", file.display())))?;
        names.extend(
            text.lines()
                .map(str::trim)
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
                .map(str::to_owned),
        );
    }
    Ok(names)
}
