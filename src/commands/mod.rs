//! The commands, one file each: thin layers that connect the pipeline stages and report the result.

mod check;
mod config;
mod doctor;
mod eval;
mod history;
mod init;
mod ledger;
mod manifest;
mod plan;
mod realface;
mod rename;
mod report;
mod resolve;
mod review;
mod run;
mod sandbox;
mod shard;
mod status;
mod trust;

use crate::app::ending::CommandError;
use crate::app::stdout::StdoutClosed;
use crate::cast::CastError;
use crate::cli::{Cli, Command};
use crate::enroll::KeyError;
use crate::event::Reporters;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::LedgerError;
use crate::manifest::ManifestError;
use crate::plan::PlanError;
use crate::publish::PublishError;
use crate::receipts::{ReceiptError, SeriesError};
use crate::report::{Ndjson, sheet};
use crate::settings::SettingsError;
use crate::util::wrap::wrap;

/// Runs the command line, prints errors on stderr, and returns the exit code.
pub fn main(cli: Cli) -> ExitCode {
    let mut cli = cli;
    cli.common.of_cast = cli.command.reading();
    log(cli.common.verbose, cli.common.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("castline: the runtime can't start: {error}");
            return ExitCode::Internal;
        }
    };
    let common = cli.common.clone();
    let command = name(&cli.command);
    let ended = runtime.block_on(async {
        let ended = dispatch(cli).await;
        if let Err(error) = &ended
            && !error.is::<StdoutClosed>()
        {
            let (exit, code) = end_of(error);
            let message = format!("{error:#}");
            let error = CommandError {
                command,
                code,
                message: &message,
                exit,
            };
            common.ending.failed(error, &common).await;
        }
        ended
    });
    // A blocking read that hangs (a dead network drive) must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ended.unwrap_or_else(|error| {
        if error.is::<StdoutClosed>() {
            return ExitCode::Done;
        }
        let message = wrap(&console::Term::stderr(), &format!("castline: {error:#}"), "  ");
        eprintln!("{message}");
        exit_code(&error)
    })
}

/// The name of a command in events.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Check { .. } => "check",
        Command::Plan { .. } | Command::Run { dry_run: true, .. } => "plan",
        Command::Run { .. } => "run",
        Command::Retry(_) => "retry",
        Command::Rename { .. } => "rename",
        Command::Archive { .. } => "archive",
        Command::Realface(_) => "realface",
        Command::Resolve { .. } => "resolve",
        Command::Ledger(_) => "ledger",
        Command::Config(_) => "config",
        Command::Completions { .. } => "completions",
        Command::Man { .. } => "man",
        Command::Doctor { .. } => "doctor",
        Command::Status { .. } => "status",
        Command::History { .. } => "history",
        Command::Manifest { .. } => "manifest",
        Command::Report { .. } => "report",
        Command::Review { .. } => "review",
        Command::Sandbox(_) => "sandbox",
        Command::Eval(_) => "eval",
        Command::Trust { .. } => "trust",
        Command::Init { .. } => "init",
    }
}

/// Prints what is wrong with the arguments, or the help that was asked for; tells machines as well, where `--json` was typed.
pub fn refused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args().any(|arg| arg == "--json") {
        let reporters = Reporters::new("castline", vec![Box::new(Ndjson::for_reader(std::io::stdout()))]);
        let message = error.to_string();
        let message = message
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        reporters.fail("usage", message, ExitCode::Usage);
    }
    let _ = error.print();
    match error.use_stderr() {
        true => ExitCode::Usage,
        false => ExitCode::Done,
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = cli.common;
    match cli.command {
        Command::Check {
            cast,
            shard: Some(shard),
            ..
        } => shard::shard(&common, cast, shard).await,
        Command::Check {
            cast, report, fixes, ..
        } => check::check(&common, cast, report.as_deref(), fixes.as_deref()).await,
        Command::Plan {
            cast,
            pay,
            detailed_exitcode,
            out,
            report,
            quote,
        } => {
            plan::plan(
                &common,
                cast,
                pay,
                detailed_exitcode,
                out.as_deref(),
                report.as_deref(),
                quote,
            )
            .await
        }
        Command::Run { run, dry_run: true } => {
            plan::plan(
                &common,
                run.cast,
                run.pay,
                false,
                None,
                run.report.as_deref(),
                false,
            )
            .await
        }
        Command::Run { run, .. } => run::run(&common, run, run::Which::All).await,
        Command::Realface(args) => realface::realface(&common, args).await,
        Command::Retry(run) => run::run(&common, run, run::Which::Failed).await,
        Command::Resolve {
            cast,
            adopt,
            forget,
            retry,
            reconcile,
        } => {
            let asked = resolve::ResolveRequest {
                adopt,
                forget,
                retry,
                reconcile,
            };
            resolve::resolve(&common, cast.as_deref(), asked).await
        }
        Command::Ledger(command) => ledger::ledger(&common, command).await,
        Command::Config(command) => config::config(&common, command),
        Command::Completions { shell } => config::completions(shell),
        Command::Man { command } => config::man(&command),
        Command::Doctor { cast } => doctor::doctor(&common, cast.as_deref()).await,
        Command::Status { cast, select } => status::status(&common, cast.as_deref(), &select),
        Command::History { cast, name } => history::history(&common, cast.as_deref(), name.as_deref()),
        Command::Manifest {
            cast,
            format,
            select,
            include_removed,
            out,
        } => manifest::manifest(&common, cast.as_deref(), (format, include_removed), &select, out),
        Command::Report { cast, out, select } => {
            tokio::task::block_in_place(|| report::report(&common, cast.as_deref(), &out, &select))
        }
        Command::Review {
            cast,
            all,
            port,
            no_open,
        } => review::review(&common, cast, all, port, !no_open).await,
        Command::Rename { cast, old, new } => rename::rename(&common, &cast, &old, &new).await,
        Command::Archive { cast, name, undo } => rename::archive(&common, &cast, &name, !undo).await,
        Command::Sandbox(args) => sandbox::sandbox(&common, args).await,
        Command::Eval(args) => tokio::task::spawn_blocking(move || eval::eval(&common, &args)).await?,
        Command::Trust { cast } => trust::trust(&cast),
        Command::Init { folder, force } => init::init(&folder, force),
    }
}

/// The exit code of an error.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    end_of(error).0
}

/// The exit code and the fixed code of an error, by the error that caused it.
fn end_of(error: &anyhow::Error) -> (ExitCode, &'static str) {
    // A receipt that can't be written has the bucket's trouble.
    let setup = error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<ReceiptError>() {
            Some(ReceiptError::Bucket(error @ PublishError::Setup { .. })) => Some(error.code()),
            _ => None,
        });
    if let Some(code) = setup {
        return (ExitCode::Usage, code);
    }
    for cause in error.chain() {
        if cause.is::<sheet::Interrupted>() {
            return (ExitCode::Interrupted, "interrupted");
        }
        if cause.is::<SeriesError>() || cause.downcast_ref().is_some_and(ReceiptError::is_fatal) {
            return (ExitCode::Usage, "receipts");
        }
        if cause.is::<SettingsError>() {
            return (ExitCode::Usage, "bad_settings");
        }
        if cause.is::<KeyError>() {
            return (ExitCode::Usage, "no_key");
        }
        if cause.is::<CastError>() {
            return (ExitCode::Usage, "bad_cast");
        }
        if let Some(error @ PublishError::Setup { .. }) = cause.downcast_ref() {
            return (ExitCode::Usage, error.code());
        }
        if cause.is::<UsageError>() {
            return (ExitCode::Usage, "usage");
        }
        // Names in the cast or a file of the user's; an I/O error of a file is an internal error.
        if let Some(ManifestError::SameRow { .. } | ManifestError::Invalid { .. }) = cause.downcast_ref() {
            return (ExitCode::Usage, "bad_manifest");
        }
        match cause.downcast_ref::<PlanError>() {
            Some(PlanError::Stale { .. } | PlanError::Begun { .. }) => {
                return (ExitCode::StalePlan, "stale_plan");
            }
            Some(_) => return (ExitCode::Usage, "bad_plan"),
            None => {}
        }
        match cause.downcast_ref::<LedgerError>() {
            Some(LedgerError::Locked { .. }) => return (ExitCode::Locked, "ledger_held"),
            Some(
                LedgerError::Foreign { .. }
                | LedgerError::IdTaken { .. }
                | LedgerError::NotCopied(_)
                | LedgerError::SecondName { .. }
                | LedgerError::OtherPayer { .. }
                | LedgerError::Ambiguous { .. },
            ) => return (ExitCode::Usage, "other_ledger"),
            Some(_) => return (ExitCode::Internal, "ledger"),
            None => {}
        }
    }
    (ExitCode::Internal, "internal")
}

fn log(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        // The sandbox's S3 server logs every ordinary refusal as an error.
        (_, 0) => "castline=warn,error,s3s=off,s3s_fs=off",
        (_, 1) => "castline=info,warn,s3s=off,s3s_fs=off",
        _ => "castline=debug,info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("CASTLINE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let message = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console::colors_enabled_stderr())
        .with_writer(std::io::stderr);
    // Timestamps and targets appear with --verbose only. A second call (in tests) keeps the first subscriber.
    let _ = match verbose {
        0 => message.without_time().with_target(false).try_init(),
        _ => message.try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_wait_for_the_report_is_reported_so_and_not_of_a_bug() {
        let error =
            anyhow::Error::from(sheet::Interrupted).context("the run is done, but its report is not written");
        assert_eq!(exit_code(&error), ExitCode::Interrupted);
    }
}
