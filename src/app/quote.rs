//! The current price of one enrollment paid from a wallet.

use super::context::Context;
use super::sandbox::start_sandbox;
use super::services::api;
use super::wallet::{payment_method, policy};
use crate::enroll::payment::Quote;
use crate::enroll::{Client, EnrollRequest, PaymentMode};
use crate::exit::UsageError;
use crate::net::public_url::PublicUrl;
use crate::pipeline::PaymentMethod;
use crate::sandbox::Sandbox;
use crate::settings::Origin;
use crate::util::money::Usd;

/// Requests the price of one portrait from the API, and plans with it. Nothing is paid.
pub(crate) async fn quote(context: &mut Context, sandbox: bool) -> anyhow::Result<()> {
    if context.settings.payment.mode != PaymentMode::Wallet {
        let message = "a quote requires payment from a wallet: set payment.mode = wallet";
        return Err(UsageError(message.to_owned()).into());
    }
    let price = quoted_price_with_sandbox(context, sandbox).await?;
    Ok(context.settings.set_price(price, Origin::Quote)?)
}

/// In wallet mode, the wallet and the price, or what is wrong; `None` when calls are paid by key.
pub(crate) async fn examine(context: &Context, sandbox: Option<&Sandbox>) -> Option<Result<String, String>> {
    if matches!(payment_method(&context.settings, sandbox), Ok(PaymentMethod::Key)) {
        return None;
    }
    Some(
        wallet_and_price(context, sandbox)
            .await
            .map_err(|e| e.to_string()),
    )
}

async fn wallet_and_price(context: &Context, sandbox: Option<&Sandbox>) -> anyhow::Result<String> {
    let PaymentMethod::Wallet(payer) = payment_method(&context.settings, sandbox)? else {
        return Ok(String::new());
    };
    let price = quoted_price(context, sandbox).await?;
    let address = payer.wallet.address();
    Ok(format!("wallet {address}: {price} a call; balance not checked"))
}

async fn quoted_price_with_sandbox(context: &Context, sandbox: bool) -> anyhow::Result<Usd> {
    let sandbox = match sandbox {
        true => Some(start_sandbox(&context.settings).await?),
        false => None,
    };
    let price = quoted_price(context, sandbox.as_ref()).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    price
}

/// The price of one portrait, if the payment policy allows it.
async fn quoted_price(context: &Context, sandbox: Option<&Sandbox>) -> anyhow::Result<Usd> {
    let ca_pem = match sandbox {
        Some(sandbox) => Some(sandbox.ca_pem().to_vec()),
        None => context.ca_pem()?,
    };
    let client = Client::new(api(context, sandbox, ca_pem)?)?;
    // The API answers a call without a payment with the price, before it reads the image.
    let image_url = "https://example.com/portrait.jpg".parse().expect("a URL");
    let request = EnrollRequest {
        name: "Quote".to_owned(),
        image_url: PublicUrl::new(image_url),
    };
    match client.quote(&request, None).await {
        Quote::Asked(challenge) => {
            let policy = policy(&context.settings, sandbox.is_some())?;
            let accepted = policy.choose(&challenge).map_err(|e| UsageError(e.to_string()))?;
            Ok(accepted.price)
        }
        Quote::Answered(outcome) => {
            let (code, message) = outcome
                .code_and_message()
                .unwrap_or(("enrolled", "it enrolls without payment"));
            let text = format!("the API quotes no price; it answers {code}: {message}");
            Err(UsageError(text).into())
        }
    }
}
