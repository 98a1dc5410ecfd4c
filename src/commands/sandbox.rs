//! `castline sandbox`: the stand-ins, served until Ctrl-C.

use super::UsageError;
use crate::cli::{Common, SandboxArgs};
use crate::exit::ExitCode;
use crate::sandbox::{self, SandboxOptions};

/// Serves the stand-ins for the paid API and for S3 until Ctrl-C.
pub async fn sandbox(_common: &Common, args: SandboxArgs) -> anyhow::Result<ExitCode> {
    let usage = |e: String| UsageError(e);
    let options = SandboxOptions {
        api_port: args.api_port,
        s3_port: args.s3_port,
        dir: args.dir,
        dialect: args.dialect.parse().map_err(|e| usage(format!("--dialect: {e}")))?,
        price: args.price.parse().map_err(|e| usage(format!("--price: {e}")))?,
        ..SandboxOptions::default()
    };
    sandbox::serve(options).await?;
    Ok(ExitCode::Done)
}
