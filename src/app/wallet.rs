//! Payment from a wallet: which wallet pays, and what it may sign.

use crate::enroll::PaymentMode;
use crate::enroll::payment::{Policy, Wallet};
use crate::exit::UsageError;
use crate::ledger::OpenOptions;
use crate::pipeline::{Payer, PaymentMethod, has_expired, is_resendable};
use crate::sandbox::Sandbox;
use crate::settings::Settings;

/// The payment method, from the settings. The sandbox is paid from its own wallet, never from a real one.
pub(crate) fn payment_method(
    settings: &Settings,
    sandbox: Option<&Sandbox>,
) -> anyhow::Result<PaymentMethod> {
    match settings.payment.mode {
        PaymentMode::Key => Ok(PaymentMethod::Key),
        PaymentMode::Wallet => from_wallet(settings, sandbox),
    }
}

/// Opens the ledger for the cast of the command, and keeps an interrupted wallet call open while its payment can be
/// resent.
pub(crate) fn ledger_options(options: OpenOptions, settings: &Settings) -> OpenOptions {
    let options = options
        .for_cast(settings.cast_path.as_deref())
        .with_lease(settings.lease);
    match settings.payment.mode {
        PaymentMode::Key => options,
        PaymentMode::Wallet => options.with_resumable_payments(is_resendable, has_expired),
    }
}

/// The address of the configured wallet, if any.
pub(crate) fn address(settings: &Settings) -> Option<String> {
    let file = settings.payment.key_file.as_deref();
    let wallet = match settings.payment.mode {
        PaymentMode::Key => None,
        PaymentMode::Wallet => Wallet::from_env_or_file(file).ok(),
    };
    wallet.map(|wallet| wallet.address().to_string())
}

fn from_wallet(settings: &Settings, sandbox: Option<&Sandbox>) -> anyhow::Result<PaymentMethod> {
    let wallet = match sandbox {
        Some(sandbox) => Wallet::new(sandbox.wallet_key()),
        None => Wallet::from_env_or_file(settings.payment.key_file.as_deref()),
    };
    let wallet = wallet.map_err(|e| UsageError(e.to_string()))?;
    Ok(PaymentMethod::Wallet(Box::new(Payer {
        wallet,
        policy: policy(settings, sandbox.is_some())?,
    })))
}

/// What the wallet may sign, from the settings.
pub(crate) fn policy(settings: &Settings, sandbox: bool) -> anyhow::Result<Policy> {
    let payment = &settings.payment;
    let payee = payment.payee.as_deref().map(str::parse).transpose();
    let payee = payee.map_err(|e| UsageError(format!("payment.payee: {e}")))?;
    Ok(Policy {
        network: payment.network,
        // The sandbox has its own payee address.
        payee: if sandbox { None } else { payee },
        max_price: payment.max_price,
    })
}
