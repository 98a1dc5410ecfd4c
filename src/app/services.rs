//! The configuration of the services of a run: from the settings, or the sandbox's.

use super::context::Context;
use super::wallet::payment_method;
use crate::enroll::{ApiKey, ApiSettings, KeyError, PaymentMode};
use crate::pipeline::PaymentMethod;
use crate::publish::PublishError;
use crate::publish::{PublishSettings, StaticCredentials};
use crate::receipts::ReceiptSecret;
use crate::sandbox::Sandbox;

/// The configuration of the API and S3, from the settings or the sandbox.
pub(crate) struct ServiceConfig {
    pub(crate) api: ApiSettings,
    pub(crate) payment_method: PaymentMethod,
    pub(crate) publish: PublishSettings,
    pub(crate) credentials: Option<StaticCredentials>,
    pub(crate) ca_pem: Option<Vec<u8>>,
    pub(crate) sandbox: bool,
}

impl ServiceConfig {
    pub(crate) fn new(context: &Context, sandbox: Option<&Sandbox>) -> anyhow::Result<Self> {
        let settings = &context.settings;
        let ca_pem = match sandbox {
            Some(sandbox) => Some(sandbox.ca_pem().to_vec()),
            None => context.ca_pem()?,
        };
        let s3 = &settings.s3;
        let bucket = match (sandbox, &s3.bucket) {
            (Some(sandbox), _) => sandbox.bucket().to_owned(),
            (None, Some(bucket)) => bucket.clone(),
            (None, None) => {
                let message = "no bucket: set s3.bucket in castline.toml, or export CASTLINE_S3_BUCKET";
                return Err(PublishError::setup("no_bucket", message).into());
            }
        };
        let publish = PublishSettings {
            bucket,
            prefix: s3.prefix.clone(),
            region: sandbox
                .map(|s| s.region().to_owned())
                .or_else(|| s3.region.clone()),
            endpoint: sandbox.map(Sandbox::s3_endpoint).or_else(|| s3.endpoint.clone()),
            force_path_style: sandbox.is_some() || s3.force_path_style,
            public_base_url: if sandbox.is_some() {
                None
            } else {
                s3.public_base_url.clone()
            },
            presign_expiry: s3.presign_expiry,
            cache_control: s3.cache_control.clone(),
            retries: s3.retries,
            ca_pem: ca_pem.clone(),
        };
        let api = api(context, sandbox, ca_pem.clone())?;
        let payment_method = payment_method(settings, sandbox)?;
        let credentials = sandbox.map(|s| StaticCredentials::new(s.access_key(), s.secret_key()));
        Ok(Self {
            api,
            payment_method,
            publish,
            credentials,
            ca_pem,
            sandbox: sandbox.is_some(),
        })
    }

    /// A secret for `purpose` that is derived from the payer's key; `None` without a key.
    pub(crate) fn payer_secret(&self, purpose: &str) -> Option<[u8; 32]> {
        Some(match &self.payment_method {
            PaymentMethod::Key => self.api.key.as_ref()?.derive(purpose),
            PaymentMethod::Wallet(payer) => payer.wallet.derive(purpose),
        })
    }

    /// The secret of receipts, derived from the payer's key; `None` without a key.
    pub(crate) fn receipt_secret(&self) -> Option<ReceiptSecret> {
        let derived = match self.sandbox {
            // The sandbox has a new key each time, and keeps its bucket.
            true => [0; 32],
            false => self.payer_secret("castline receipts 1")?,
        };
        Some(ReceiptSecret::new(derived))
    }

    /// 16 hexadecimal digits that tell payers apart, and tell nothing of their keys, the same as in the bucket; `None`
    /// without a key.
    pub(crate) fn payer_fingerprint(&self) -> Option<String> {
        Some(self.receipt_secret()?.fingerprint())
    }
}

/// The settings of the API client. Free calls may be sent without a key; calls paid from a wallet must be, since a
/// gateway that accepts both could charge both.
pub(crate) fn api(
    context: &Context,
    sandbox: Option<&Sandbox>,
    ca_pem: Option<Vec<u8>>,
) -> anyhow::Result<ApiSettings> {
    let settings = &context.settings.api;
    let key = match sandbox {
        _ if context.settings.payment.mode == PaymentMode::Wallet => None,
        Some(sandbox) => Some(ApiKey::new(sandbox.api_key())?),
        None => match ApiKey::from_env_or_file(settings.key_file.as_deref()) {
            Err(KeyError::Missing) => None,
            key => Some(key?),
        },
    };
    let base_url = match sandbox {
        None => settings.base_url.clone(),
        // The sandbox serves each provider at the path of its profile, below its own address.
        Some(sandbox) => sandbox.base_url_like(&settings.base_url),
    };
    Ok(ApiSettings {
        base_url,
        key,
        provider: settings.provider.clone(),
        timeout: settings.timeout,
        ca_pem,
    })
}
