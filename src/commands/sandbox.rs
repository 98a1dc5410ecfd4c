//! `castline sandbox`: mock services, served until Ctrl-C.

use crate::cli::{Common, SandboxArgs};
use crate::exit::{ExitCode, UsageError};
use crate::sandbox::{self, Faults, SandboxOptions, ServeOptions, Shell};

/// Serves the mocks of the paid API and of S3 until Ctrl-C.
pub(super) async fn sandbox(_common: &Common, args: SandboxArgs) -> anyhow::Result<ExitCode> {
    let usage = |e: String| UsageError(e);
    let temporary = tempfile::Builder::new().prefix("castline-sandbox").tempdir()?;
    let mut options = SandboxOptions::new(args.dir.unwrap_or_else(|| temporary.path().to_owned()));
    options.api_port = args.api_port;
    options.s3_port = args.s3_port;
    options.dialect = args.dialect;
    options.price = args.price;
    if args.wallet {
        crate::app::sandbox::be_paid_from_wallets(&mut options);
    }
    if let Some(file) = &args.faults {
        options.faults = Faults::load(file).map_err(|e| usage(format!("--faults: {e}")))?;
    }
    for fault in &args.fault {
        options
            .faults
            .set(fault)
            .map_err(|e| usage(format!("--fault: {e}")))?;
    }
    let shell = if args.powershell {
        Shell::PowerShell
    } else {
        Shell::Posix
    };
    sandbox::serve(ServeOptions {
        sandbox: options,
        shell,
    })
    .await?;
    Ok(ExitCode::Done)
}
