//! The sandbox of a run: mock services beside its ledger.

use crate::enroll::PaymentMode;
use crate::sandbox::x402::WalletOptions;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::settings::Settings;

/// Starts the sandbox that belongs to this ledger.
pub(crate) async fn start_sandbox(settings: &Settings) -> anyhow::Result<Sandbox> {
    // Objects and charges persist beside the sandbox's ledger, as real ones would persist on the servers.
    let mut name = settings.ledger.file_stem().unwrap_or_default().to_owned();
    name.push("-files");
    let mut options = SandboxOptions::new(settings.ledger.with_file_name(name));
    options.price = settings.api.price;
    take_wallets(&mut options, settings);
    // Every liveness check passes by itself, after a delay in which the code can be seen.
    options.liveness.complete_after = Some(std::time::Duration::from_secs(5));
    Ok(crate::sandbox::start(options).await?)
}

/// Lets the sandbox accept payment from wallets if the settings use one.
pub(crate) fn take_wallets(options: &mut SandboxOptions, settings: &Settings) {
    if settings.payment.mode == PaymentMode::Wallet {
        options.wallet = Some(WalletOptions::on(settings.payment.network));
    }
}

/// Lets the sandbox accept payment from wallets, on Base.
pub(crate) fn be_paid_from_wallets(options: &mut SandboxOptions) {
    options.wallet = Some(WalletOptions::default());
}
