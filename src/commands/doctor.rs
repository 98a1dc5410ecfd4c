//! `castline doctor`: checks everything a run needs, and reports in advance what would fail. Pays nothing.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::app::context::Context;
use crate::app::ledger_guard::{ledger_to_read, provider};
use crate::app::receipts::receipts;
use crate::app::sandbox::start_sandbox;
use crate::app::services::{ServiceConfig, api};
use crate::app::settings::root_of;
use crate::app::stdout::println;
use crate::app::{quote, wallet};
use crate::cast::printable;
use crate::cli::Common;
use crate::enroll::{Client, KeyError, PingResult};
use crate::exit::ExitCode;
use crate::ledger::{Dangers, Ledger, OpenOptions, Place, doubtful_place};
use crate::publish::{Fetcher, Publisher};
use crate::receipts::Receipts;
use crate::report::notice::{Notice, deliver};
use crate::sandbox::Sandbox;
use crate::util::duration::format_duration;
use crate::util::text::pluralize;
use crate::util::wrap::wrap;

/// The clock skew beyond which S3 refuses signed requests.
const CLOCK_MAY_DIFFER: Duration = Duration::from_secs(15 * 60);
/// Free bytes required: many times the ledger and manifest of tens of thousands of characters.
const SPACE_NEEDED: u64 = 256 << 20;

/// The indent of continuation lines: as wide as the columns before the text.
const UNDER_TEXT: &str = "                 ";

/// The result of one check.
enum Found {
    Good(String),
    /// It works, but the user should know.
    Odd(String),
    Bad(String),
}
use Found::{Bad, Good, Odd};

struct Doctor {
    json: bool,
    worst: ExitCode,
}

impl Doctor {
    fn report(&mut self, what: &str, found: Found) -> anyhow::Result<()> {
        let (mark, text) = match &found {
            Good(text) => ("ok", text),
            Odd(text) => ("odd", text),
            Bad(text) => ("FAIL", text),
        };
        if matches!(found, Bad(_)) {
            self.worst = self.worst.worst(ExitCode::Usage);
        }
        if self.json {
            let line =
                json!({"type": "diagnostic", "what": what, "found": mark.to_lowercase(), "message": text});
            println(&line.to_string())?;
        } else {
            let shown = format!("{mark:<5} {what:<10} {}", printable(text));
            println(&wrap(&console::Term::stdout(), &shown, UNDER_TEXT))?;
        }
        Ok(())
    }
}

/// Checks what a run of `cast` needs.
pub(super) async fn doctor(common: &Common, cast: Option<&Path>) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "doctor", cast, Vec::new())?;
    let settings = &context.settings;
    let mut doctor = Doctor {
        json: common.json,
        worst: ExitCode::Done,
    };
    let file = match &common.config {
        Some(file) => file.clone(),
        None => root_of(cast).join(crate::settings::FILE_NAME),
    };
    doctor.report(
        "settings",
        Good(match file.is_file() {
            true => format!("{} and the environment are valid", file.display()),
            false => "no castline.toml; the environment is valid".to_owned(),
        }),
    )?;
    doctor.report("ledger", ledger(&context, common.sandbox))?;
    doctor.report("disk", disk(&settings.place(), &settings.manifest))?;

    let sandbox = match common.sandbox {
        true => Some(start_sandbox(settings).await?),
        false => None,
    };
    if let Err(error) = servers(
        &mut doctor,
        &context,
        cast.unwrap_or(Path::new(".")),
        sandbox.as_ref(),
    )
    .await
    {
        doctor.report("servers", Bad(format!("{error:#}")))?;
    }
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    if let Some(url) = &settings.notify {
        let summary = context.summary(ExitCode::Done, None);
        let delivered = deliver(url, &Notice::new(&context.origin, &summary), settings).await;
        let taken = |()| Good("a notice of this test was delivered".to_owned());
        doctor.report("webhook", delivered.map_or_else(Bad, taken))?;
    }
    Ok(doctor.worst)
}

/// Checks the API, its clock, and S3.
async fn servers(
    doctor: &mut Doctor,
    context: &Context,
    cast: &Path,
    sandbox: Option<&Sandbox>,
) -> anyhow::Result<()> {
    let ca_pem = match sandbox {
        Some(sandbox) => Some(sandbox.ca_pem().to_vec()),
        None => context.ca_pem()?,
    };
    let api = api(context, sandbox, ca_pem)?;
    if let Some(payer) = quote::examine(context, sandbox).await {
        doctor.report("wallet", payer.map_or_else(Bad, Good))?;
        let ping = Client::new(api)?.ping().await;
        doctor.report("clock", clock(&ping))?;
    } else if api.key.is_none() {
        doctor.report("api", Bad(KeyError::Missing.to_string()))?;
    } else {
        let base_url = api.base_url.to_string();
        let ping = Client::new(api)?.ping().await;
        doctor.report("api", api_found(&ping, &base_url))?;
        doctor.report("clock", clock(&ping))?;
    }
    let parts = ServiceConfig::new(context, sandbox)?;
    let allow_private = parts.sandbox || context.settings.publish.allow_private_hosts;
    let fetcher = Fetcher::new(allow_private, parts.ca_pem.as_deref())?;
    match Publisher::new(parts.publish.clone(), parts.credentials.clone()).await {
        Err(error) => doctor.report("s3 setup", Bad(error.to_string()))?,
        Ok(publisher) => {
            let access = publisher.check_access(&fetcher).await;
            let wrote = || Good("a one-pixel image was written".to_owned());
            doctor.report(
                "s3 write",
                access.write.map_or_else(|e| Bad(e.to_string()), |()| wrote()),
            )?;
            if let Some(read) = access.read {
                let seen = || Good("the public address is readable".to_owned());
                doctor.report("s3 read", read.map_or_else(|e| Bad(e.to_string()), |()| seen()))?;
            }
            if let Some(delete) = access.delete {
                let gone = || Good("the image was deleted".to_owned());
                // Runs delete nothing.
                let left = |e: &dyn std::fmt::Display| Odd(format!("the image remains (harmless): {e}"));
                doctor.report("s3 delete", delete.map_or_else(|e| left(&e), |()| gone()))?;
            }
            if let Some(receipts) = receipts(context, &parts, &publisher, cast) {
                doctor.report("receipts", receipts_found(&receipts).await)?;
            }
        }
    }
    Ok(())
}

/// Whether receipts keep two machines apart, and whether this key has its series in the bucket.
async fn receipts_found(receipts: &Receipts) -> Found {
    match receipts.try_conditions().await {
        Err(error) => Bad(error.to_string()),
        Ok(false) => Odd(
            "the store ignores If-None-Match: receipts keep runs apart that follow one another, but not two machines that \
             pay for one character within the same moment"
                .to_owned(),
        ),
        Ok(true) => match receipts.check_existing_series().await {
            Err(error) => Bad(error.to_string()),
            Ok(()) => Good("paid calls leave receipts, and conditional writes work".to_owned()),
        },
    }
}

/// Whether a run could open the ledger. Doesn't create one.
fn ledger(context: &Context, sandbox: bool) -> Found {
    let settings = &context.settings;
    let place = settings.place();
    let opened = || -> anyhow::Result<Found> {
        if let Place::File(path) = &place
            && let Some(problem) = doubtful_place(path)
        {
            anyhow::bail!(problem);
        }
        if let Place::Postgres(server) = &place {
            server.reach()?;
        }
        let Some(view) = ledger_to_read(settings, sandbox)? else {
            return Ok(Good(format!("{place}: none yet; the first run creates it")));
        };
        let Dangers { bad, odd } = view.dangers()?;
        if !bad.is_empty() {
            anyhow::bail!("{place}: {}", bad.join("; "));
        }
        let options = OpenOptions::new(&provider(settings, sandbox), sandbox, "doctor");
        let ledger = Ledger::open(&place, wallet::ledger_options(options, settings))?;
        let count = pluralize(ledger.view().all()?.len(), "character");
        Ok(match odd.is_empty() {
            true => Good(format!("{place}: {count}, undamaged, not locked")),
            false => Odd(format!("{place}: {count}; {}", odd.join("; "))),
        })
    };
    opened().unwrap_or_else(|error| Bad(format!("{error:#}")))
}

/// Whether the ledger and the manifest can be written.
fn disk(ledger: &Place, manifest: &Path) -> Found {
    let file = match ledger {
        Place::File(path) => Some(path.as_path()),
        Place::Postgres(_) => None,
    };
    for path in file.into_iter().chain([manifest]) {
        // A run creates the folder of a new ledger.
        let folder = path.ancestors().skip(1).find(|folder| folder.exists());
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Bad(format!("{} is not a folder", folder.display()));
        }
        if let Err(error) = tempfile::tempfile_in(folder) {
            return Bad(format!("{} can't be written: {error}", folder.display()));
        }
        match fs4::available_space(folder) {
            Ok(free) if free < SPACE_NEEDED => {
                let free = indicatif::DecimalBytes(free);
                return Bad(format!("only {free} of disk space left at {}", folder.display()));
            }
            _ => {}
        }
    }
    Good(match file {
        Some(_) => "the ledger and the manifest can be written".to_owned(),
        None => "the manifest can be written".to_owned(),
    })
}

fn api_found(ping: &PingResult, base_url: &str) -> Found {
    match ping {
        PingResult::Unreachable { message } => Bad(format!("{base_url} can't be reached: {message}")),
        PingResult::KeyRefused { status, .. } => Bad(format!("{base_url} refuses the key (HTTP {status})")),
        PingResult::Answered { status, .. } if (500..600).contains(status) => Odd(format!(
            "{base_url} answers a free request with HTTP {status}: it may be having problems"
        )),
        PingResult::Answered { .. } => Good(format!("{base_url} answers, and accepts the key")),
    }
}

fn clock(ping: &PingResult) -> Found {
    let Some(off) = ping.clock_off() else {
        return Odd("not compared: the API's reply has no date".to_owned());
    };
    let message = format_duration(off);
    if off > CLOCK_MAY_DIFFER {
        Bad(format!(
            "this machine's clock is {message} off; S3 accepts at most 15 minutes"
        ))
    } else {
        Good(format!("within {message} of the API's"))
    }
}
