//! The sandbox of a run: mock services beside its ledger.

use crate::enroll::PaymentMode;
use crate::sandbox::x402::WalletOptions;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::settings::Settings;

/// The stand-ins of this ledger.
pub(crate) async fn start_sandbox(settings: &Settings) -> anyhow::Result<Sandbox> {
    // Objects and charges stay beside the sandbox's ledger, as the real ones would stay where they are.
    let mut name = settings.ledger.file_stem().unwrap_or_default().to_owned();
    name.push("-files");
    let mut options = SandboxOptions::new(settings.ledger.with_file_name(name));
    options.price = settings.api.price;
    take_wallets(&mut options, settings);
    // A phone that passes every liveness check by itself, after a moment in which the code can be seen.
    options.liveness.complete_after = Some(std::time::Duration::from_secs(5));
    Ok(crate::sandbox::start(options).await?)
}

/// Lets a sandbox be paid as the settings say.
pub(crate) fn take_wallets(options: &mut SandboxOptions, settings: &Settings) {
    if settings.payment.mode == PaymentMode::Wallet {
        options.wallet = Some(WalletOptions::on(settings.payment.network));
    }
}

/// Lets a sandbox be paid from wallets, at Base.
pub(crate) fn be_paid_from_wallets(options: &mut SandboxOptions) {
    options.wallet = Some(WalletOptions::default());
}
