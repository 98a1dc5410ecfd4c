//! Paying from a wallet: who pays, what may be signed, and what the API asks for now.

use super::{Context, UsageError};
use crate::enroll::PaymentMode;
use crate::ledger::OpenOptions;
use crate::money::Usd;
use crate::pipeline::Way;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::settings::Settings;

/// How calls are paid, by the settings. At the sandbox, from a wallet of its own, never from a real one.
pub(super) fn way(settings: &Settings, sandbox: Option<&Sandbox>) -> anyhow::Result<Way> {
    match settings.payment.mode {
        PaymentMode::Key => Ok(Way::Key),
        PaymentMode::Wallet => from_wallet(settings, sandbox),
    }
}

/// Looks up what the API asks for one portrait, and lets that be the price. Nothing is paid.
pub(super) async fn quote(context: &mut Context, sandbox: bool) -> anyhow::Result<()> {
    if context.settings.payment.mode != PaymentMode::Wallet {
        let told = "only wallets are quoted a price: set payment.mode = wallet";
        return Err(UsageError(told.to_owned()).into());
    }
    let price = quoted(context, sandbox).await?;
    Ok(context.settings.price_is(price, "the API's quote")?)
}

/// An interrupted call from a wallet stays open while its payment can be sent again.
pub(super) fn keeping(options: OpenOptions, settings: &Settings) -> OpenOptions {
    match settings.payment.mode {
        PaymentMode::Key => options,
        PaymentMode::Wallet => {
            options.keeping(crate::pipeline::can_be_sent_again, crate::pipeline::has_expired)
        }
    }
}

/// Lets a sandbox be paid as the settings say.
pub(super) fn take_wallets(options: &mut SandboxOptions, settings: &Settings) {
    if settings.payment.mode == PaymentMode::Wallet {
        options.wallet = Some(crate::sandbox::x402::WalletOptions::on(settings.payment.network));
    }
}

/// Lets a sandbox be paid from wallets, at Base.
pub(super) fn be_paid_from_wallets(options: &mut SandboxOptions) {
    options.wallet = Some(crate::sandbox::x402::WalletOptions::default());
}

/// The wallet's own address, where there is a wallet.
pub(super) fn address(settings: &Settings) -> Option<String> {
    let file = settings.payment.key_file.as_deref();
    let wallet = match settings.payment.mode {
        PaymentMode::Key => None,
        PaymentMode::Wallet => crate::enroll::payment::Wallet::from_env_or_file(file).ok(),
    };
    wallet.map(|wallet| wallet.address().to_string())
}

fn from_wallet(settings: &Settings, sandbox: Option<&Sandbox>) -> anyhow::Result<Way> {
    use crate::enroll::payment::Wallet;
    let wallet = match sandbox {
        Some(sandbox) => Wallet::new(sandbox.wallet_key()),
        None => Wallet::from_env_or_file(settings.payment.key_file.as_deref()),
    };
    let wallet = wallet.map_err(|e| UsageError(e.to_string()))?;
    Ok(Way::Wallet(Box::new(crate::pipeline::Payer {
        wallet,
        policy: policy(settings, sandbox.is_some())?,
    })))
}

fn policy(settings: &Settings, sandbox: bool) -> anyhow::Result<crate::enroll::payment::Policy> {
    let payment = &settings.payment;
    let payee = payment.payee.as_deref().map(str::parse).transpose();
    let payee = payee.map_err(|e| UsageError(format!("payment.payee: {e}")))?;
    Ok(crate::enroll::payment::Policy {
        network: payment.network,
        // The sandbox is paid at an address of its own.
        payee: if sandbox { None } else { payee },
        max_price: payment.max_price,
    })
}

/// In wallet mode: who pays what, or what is wrong; `None` when calls are paid by key.
pub(super) async fn examine(context: &Context, sandbox: Option<&Sandbox>) -> Option<Result<String, String>> {
    if matches!(way(&context.settings, sandbox), Ok(Way::Key)) {
        return None;
    }
    Some(asked_of_wallet(context, sandbox).await.map_err(|e| e.to_string()))
}

async fn asked_of_wallet(context: &Context, sandbox: Option<&Sandbox>) -> anyhow::Result<String> {
    let Way::Wallet(payer) = way(&context.settings, sandbox)? else {
        return Ok(String::new());
    };
    let price = asked(context, sandbox).await?;
    let address = payer.wallet.address();
    Ok(format!(
        "{address} is asked {price} a call; whether it holds so much is not known here"
    ))
}

async fn quoted(context: &Context, sandbox: bool) -> anyhow::Result<Usd> {
    let sandbox = match sandbox {
        true => Some(super::servers::start_sandbox(&context.settings).await?),
        false => None,
    };
    let price = asked(context, sandbox.as_ref()).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    price
}

/// The price of one portrait that may be signed.
async fn asked(context: &Context, sandbox: Option<&Sandbox>) -> anyhow::Result<Usd> {
    use crate::enroll::payment::Quote;
    use crate::enroll::{Client, EnrollRequest};
    let ca_pem = match sandbox {
        Some(sandbox) => Some(sandbox.ca_pem().to_vec()),
        None => context.ca_pem()?,
    };
    let client = Client::new(super::servers::api(context, sandbox, ca_pem)?)?;
    // A call without a payment is answered with the price before anything is looked at.
    let image_url = "https://example.com/portrait.jpg".parse().expect("a URL");
    let request = EnrollRequest {
        name: "Quote".to_owned(),
        image_url: crate::publish::PublicUrl::new(image_url),
    };
    match client.quote(&request, None).await {
        Quote::Asked(challenge) => {
            let policy = policy(&context.settings, sandbox.is_some())?;
            let accepted = policy.choose(&challenge).map_err(|e| UsageError(e.to_string()))?;
            Ok(accepted.price)
        }
        Quote::Answered(outcome) => {
            let (code, message) = outcome
                .told()
                .unwrap_or(("enrolled", "it enrolls without being paid"));
            let told = format!("the API quotes no price; it answers {code}: {message}");
            Err(UsageError(told).into())
        }
    }
}

