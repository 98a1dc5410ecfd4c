//! Builds the settings from the command line, and reads the cast they describe.

use std::path::{Path, PathBuf};

use super::{trust, user_folder};
use crate::cast::{self, Cast, CastError, CastOptions};
use crate::cli::{CastArgs, Common, PayArgs, SelectArgs};
use crate::exit::UsageError;
use crate::settings::{FILE_NAME, Settings, keys};
use crate::util::fs;

/// Setting keys with their text and the flag that set them.
pub(crate) type Flags = Vec<(String, String, String)>;

/// The folder of the settings and the ledger: that of a CSV, or the one that a cast's folder is in, so that nothing of
/// castline's lies among the art, where engines import it. A folder that has castline's files already keeps them.
pub(crate) fn root_of(cast: Option<&Path>) -> PathBuf {
    match cast {
        None => PathBuf::from("."),
        Some(cast) if cast.is_dir() => match [FOLDER, FILE_NAME].iter().any(|own| cast.join(own).exists()) {
            true => cast.to_owned(),
            false => above(cast).unwrap_or_else(|| cast.to_owned()),
        },
        Some(cast) => match cast.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        },
    }
}

/// castline's folder beside a cast.
const FOLDER: &str = ".castline";

/// The folder that a folder is in; `None` at the root of a disk, and where nothing can be written.
fn above(folder: &Path) -> Option<PathBuf> {
    let named = folder.file_name().and_then(|_| folder.parent());
    let above = match named {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        // `.`, `..`
        None => folder.canonicalize().ok()?.parent()?.to_owned(),
    };
    above.canonicalize().ok()?.parent()?;
    let writable = std::fs::metadata(&above).is_ok_and(|found| !found.permissions().readonly());
    #[cfg(unix)]
    let writable = writable && rustix::fs::access(&above, rustix::fs::Access::WRITE_OK).is_ok();
    writable.then_some(above)
}

/// Loads the settings for a command on `cast`.
///
/// # Errors
/// They are wrong, or need trust that a file beside the cast doesn't have.
pub(crate) fn settings(common: &Common, cast: Option<&Path>, flags: Flags) -> anyhow::Result<Settings> {
    let settings = load(common, cast, flags)?;
    trust::check(&settings)?;
    Ok(settings)
}

/// Loads the settings to look at them.
pub(crate) fn load(common: &Common, cast: Option<&Path>, mut flags: Flags) -> anyhow::Result<Settings> {
    if let Some(ledger) = &common.ledger {
        let text = ledger.display().to_string();
        let (path, url) = match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => (None, text),
            // A file, whatever the settings say.
            _ => (Some(text), String::new()),
        };
        flags.extend(path.map(|path| ("ledger.path".to_owned(), path, "--ledger".to_owned())));
        flags.push(("ledger.url".to_owned(), url, "--ledger".to_owned()));
    }
    if let Some(file) = &common.log_file {
        let text = file.display().to_string();
        flags.push(("report.log_file".to_owned(), text, "--log-file".to_owned()));
    }
    if let Some(file) = &common.metrics_file {
        let text = file.display().to_string();
        flags.push((
            "report.metrics_file".to_owned(),
            text,
            "--metrics-file".to_owned(),
        ));
    }
    for set in &common.set {
        let (key, text) = set.split_once('=').ok_or_else(|| {
            UsageError(format!(
                "--set {set:?}: write --set KEY=VALUE, such as --set api.rate=3/min"
            ))
        })?;
        let key = key.trim();
        if let Some(secret) = keys::find(key).filter(|key| key.secret) {
            let text = format!(
                "--set {key}: everybody on this machine can read the arguments of a command; put it into castline.toml \
                 or {}",
                secret.variable()
            );
            return Err(UsageError(text).into());
        }
        flags.push((key.to_owned(), text.to_owned(), "--set".to_owned()));
    }
    let variables: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, text)| {
            (
                name.to_string_lossy().into_owned(),
                text.to_string_lossy().into_owned(),
            )
        })
        .collect();
    if let Some(cast) = cast.filter(|cast| *cast != Path::new(cast::STDIN) && !cast.exists()) {
        return Err(CastError::NotFound(cast.to_owned()).into());
    }
    let (of_user, file) = (user_folder::configuration(), common.config.as_deref());
    let mut settings = Settings::load(&root_of(cast), of_user.as_deref(), file, &variables, flags)?;
    // A CSV on stdin has no name of its own: its characters are those of the ledger, whichever cast they are in.
    settings.cast_path = cast
        .filter(|cast| *cast != Path::new(cast::STDIN))
        .map(Path::to_owned);
    if common.sandbox {
        for_sandbox(&mut settings)?;
        // It has its own API, key and wallet.
        if let Some(untrusted) = &mut settings.untrusted {
            untrusted
                .keys
                .retain(|key| !key.starts_with("api.") && !key.starts_with("payment."));
        }
        settings.untrusted = settings.untrusted.filter(|untrusted| !untrusted.keys.is_empty());
    }
    Ok(settings)
}

/// Gives the sandbox its own ledger and, unless set, a higher rate.
fn for_sandbox(settings: &mut Settings) -> anyhow::Result<()> {
    settings.use_sandbox_ledger()?;
    if settings.is_default("api.rate") {
        settings.api.rate = "20/s".parse().expect("a rate");
    }
    Ok(())
}

/// The options for reading a cast, from the settings.
pub(crate) fn cast_options(settings: &Settings) -> CastOptions {
    CastOptions {
        looks: settings.cast.looks,
        columns: settings.cast.map.clone(),
        allow_outside: settings.cast.allow_outside,
        include: settings.cast.include.clone(),
        exclude: settings.cast.exclude.clone(),
    }
}

/// Whether a file is JSON, and so a saved plan rather than a cast, whatever its name: no header of a CSV begins with `{`.
pub(crate) fn is_json(path: &Path) -> bool {
    if path.extension().is_some_and(|extension| extension == "json") {
        return true;
    }
    fs::start(path, 64).is_ok_and(|start| start.trim_ascii_start().starts_with(b"{"))
}

/// Reads the cast at `path` according to the settings.
pub(crate) fn read(path: &Path, settings: &Settings) -> anyhow::Result<Cast> {
    if is_json(path) {
        let message = "a cast is a CSV or a folder; a saved plan can only be run, with `castline run`";
        return Err(UsageError(message.to_owned()).into());
    }
    Ok(cast::read(path, &cast_options(settings))?)
}

/// The flags of [`CastArgs`] that override settings.
pub(crate) fn cast_flags(cast: &CastArgs) -> Flags {
    let mut flags = select_flags(&cast.select);
    if let Some(jobs) = cast.jobs {
        flags.push(("inspect.jobs".to_owned(), jobs.to_string(), "--jobs".to_owned()));
    }
    flags
}

/// The flags of [`SelectArgs`] that override settings.
pub(crate) fn select_flags(cast: &SelectArgs) -> Flags {
    let mut flags = Flags::new();
    let mut flag = |key: &str, text: String, flag: &str| {
        flags.push((key.to_owned(), text, flag.to_owned()));
    };
    let list = |items: &[String]| items.iter().map(|i| format!("{i}\n")).collect::<String>();
    if !cast.include.is_empty() {
        flag("cast.include", list(&cast.include), "--include");
    }
    if !cast.exclude.is_empty() {
        flag("cast.exclude", list(&cast.exclude), "--exclude");
    }
    if !cast.map.is_empty() {
        flag("cast.map", list(&cast.map), "--map");
    }
    if cast.allow_outside {
        flag("cast.allow_outside", "true".to_owned(), "--allow-outside");
    }
    flags
}

/// `--manifest`, as the setting that it overrides.
pub(crate) fn manifest_flag(path: Option<&Path>) -> Flags {
    let flag = |path: &Path| {
        (
            "manifest.path".to_owned(),
            path.display().to_string(),
            "--manifest".to_owned(),
        )
    };
    path.map(flag).into_iter().collect()
}

/// The flags of [`PayArgs`] that override settings.
pub(crate) fn pay_flags(pay: &PayArgs) -> Flags {
    let mut flags = Flags::new();
    if let Some(cost) = &pay.max_cost {
        let plain = cost.to_string().trim_start_matches('$').to_owned();
        flags.push(("api.max_cost_usd".to_owned(), plain, "--max-cost".to_owned()));
    }
    if let Some(rate) = &pay.rate {
        flags.push(("api.rate".to_owned(), rate.to_string(), "--rate".to_owned()));
    }
    flags
}
