//! Paying from a wallet: who pays, and what may be signed.

use crate::enroll::PaymentMode;
use crate::enroll::payment::{Policy, Wallet};
use crate::exit::UsageError;
use crate::ledger::OpenOptions;
use crate::pipeline::{Payer, PaymentMethod, has_expired, is_resendable};
use crate::sandbox::Sandbox;
use crate::settings::Settings;

/// How calls are paid, by the settings. At the sandbox, from a wallet of its own, never from a real one.
pub(crate) fn payment_method(
    settings: &Settings,
    sandbox: Option<&Sandbox>,
) -> anyhow::Result<PaymentMethod> {
    match settings.payment.mode {
        PaymentMode::Key => Ok(PaymentMethod::Key),
        PaymentMode::Wallet => from_wallet(settings, sandbox),
    }
}

/// An interrupted call from a wallet stays open while its payment can be sent again.
pub(crate) fn with_resumable_payments(options: OpenOptions, settings: &Settings) -> OpenOptions {
    match settings.payment.mode {
        PaymentMode::Key => options,
        PaymentMode::Wallet => options.with_resumable_payments(is_resendable, has_expired),
    }
}

/// The wallet's own address, where there is a wallet.
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

/// What the wallet may sign, by the settings.
pub(crate) fn policy(settings: &Settings, sandbox: bool) -> anyhow::Result<Policy> {
    let payment = &settings.payment;
    let payee = payment.payee.as_deref().map(str::parse).transpose();
    let payee = payee.map_err(|e| UsageError(format!("payment.payee: {e}")))?;
    Ok(Policy {
        network: payment.network,
        // The sandbox is paid at an address of its own.
        payee: if sandbox { None } else { payee },
        max_price: payment.max_price,
    })
}
