//! Parses and validates the texts of all settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::{Api, Cast, Layers, Origin, Payment, Publish, RealFace, S3, Settings, SettingsError};
use crate::cast::column_mapping;
use crate::enroll::{PaymentMode, Provider};
use crate::inspect::{InspectSettings, OutputFormat, Thresholds};
use crate::ledger::Server;

/// A shorter lease would run out between two signs of life on a busy machine.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// The PostgreSQL server of the ledger, if it is in one; its schema ends in `ending`.
pub(super) fn server(layers: &Layers, root: &Path, ending: &str) -> Result<Option<Server>, SettingsError> {
    let Some(url) = layers.optional::<String>("ledger.url")? else {
        return Ok(None);
    };
    let schema = format!("{}{ending}", layers.value("ledger.schema").text);
    let password_file = path(layers, "ledger.password_file", root)?;
    let ca_pem = match path(layers, "tls.ca_file", root)? {
        Some(file) => Some(
            std::fs::read(&file)
                .map_err(|error| layers.wrong("tls.ca_file", format!("{}: {error}", file.display())))?,
        ),
        None => None,
    };
    let variable = |name: &str| std::env::var(name).ok();
    let server = Server::new(
        &url,
        &schema,
        password_file.as_deref(),
        ca_pem.as_deref(),
        &variable,
    );
    server
        .map(Some)
        .map_err(|error| layers.wrong("ledger.url", error.to_string()))
}

impl Settings {
    pub(super) fn read(layers: Layers, root: &Path) -> Result<Self, SettingsError> {
        let provider = provider(&layers, root)?;
        let api = Api {
            base_url: https(&layers, "api.base_url")?.unwrap_or_else(|| provider.base_url.clone()),
            provider,
            key_file: path(&layers, "api.key_file", root)?,
            rate: layers.required("api.rate")?,
            concurrency: at_least(&layers, "api.concurrency", 1)?,
            timeout: layers
                .duration("api.timeout")?
                .ok_or_else(|| needed(&layers, "api.timeout"))?,
            price: layers.required("api.price_usd")?,
            accept_zero_price: layers.required("api.accept_zero_price")?,
            max_cost: layers.optional("api.max_cost_usd")?,
            max_total_cost: layers.optional("api.max_total_cost_usd")?,
            max_account_cost: layers.optional("api.max_account_cost_usd")?,
            max_consecutive_in_doubt: at_least(&layers, "api.max_consecutive_in_doubt", 1)?,
            retries: layers.required("api.retries")?,
        };
        let payment = Payment {
            mode: payment_mode(&layers, &api.provider)?,
            key_file: path(&layers, "payment.key_file", root)?,
            network: layers.required("payment.network")?,
            payee: address(&layers, "payment.payee")?,
            max_price: layers.required("payment.max_price_usd")?,
            rpc_url: https(&layers, "payment.rpc_url")?,
            address: address(&layers, "payment.address")?,
        };
        let s3 = S3 {
            bucket: layers.optional("s3.bucket")?,
            prefix: layers.value("s3.prefix").text.clone(),
            region: layers.optional("s3.region")?,
            endpoint: https(&layers, "s3.endpoint")?,
            force_path_style: layers.required("s3.force_path_style")?,
            public_base_url: https(&layers, "s3.public_base_url")?,
            presign_expiry: layers.duration("s3.presign_expiry")?,
            cache_control: layers.value("s3.cache_control").text.clone(),
            retries: layers.required("s3.retries")?,
        };
        let publish = Publish {
            concurrency: at_least(&layers, "publish.concurrency", 1)?,
            probe: layers.required("publish.probe")?,
            allow_private_hosts: layers.required("publish.allow_private_hosts")?,
        };
        let cast = Cast {
            include: layers.list("cast.include"),
            exclude: layers.list("cast.exclude"),
            allow_outside: layers.required("cast.allow_outside")?,
            looks: layers.required("cast.looks")?,
            skip_invalid: layers.required("cast.skip_invalid")?,
            map: layers
                .list("cast.map")
                .iter()
                .map(|text| column_mapping(text).map_err(|problem| layers.wrong("cast.map", problem)))
                .collect::<Result<_, _>>()?,
        };
        let realface = RealFace {
            operator: layers.optional("realface.operator")?,
            redirect_url: https(&layers, "realface.redirect_url")?,
            webhook_url: https(&layers, "realface.webhook_url")?,
            poll_interval: layers
                .duration("realface.poll_interval")?
                .filter(|poll| !poll.is_zero())
                .ok_or_else(|| needed(&layers, "realface.poll_interval"))?,
            max_polls_per_hour: at_least(&layers, "realface.max_polls_per_hour", 1)?,
            max_checks_per_hour: at_least(&layers, "realface.max_checks_per_hour", 1)?,
            max_links_per_actor: at_least(&layers, "realface.max_links_per_actor", 1)?,
        };
        let jobs: usize = layers.required("inspect.jobs")?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            api,
            payment,
            s3,
            publish,
            cast,
            inspect: inspect(&layers)?,
            jobs: if jobs == 0 { cores() } else { jobs },
            realface,
            ca_file: path(&layers, "tls.ca_file", root)?,
            ledger: path(&layers, "ledger.path", root)?.ok_or_else(|| needed(&layers, "ledger.path"))?,
            server: server(&layers, root, "")?,
            lease: layers
                .duration("ledger.lease")?
                .filter(|lease| *lease >= SHORTEST_LEASE)
                .ok_or_else(|| layers.wrong("ledger.lease", "use 1s or more".to_owned()))?,
            receipts: layers.required("receipts.enabled")?,
            ledger_backup: path(&layers, "ledger.backup", root)?,
            manifest: path(&layers, "manifest.path", root)?
                .ok_or_else(|| needed(&layers, "manifest.path"))?,
            checkpoint_interval: layers
                .duration("manifest.checkpoint_interval")?
                .unwrap_or(Duration::MAX),
            notify: https(&layers, "notify.url")?,
            log_file: path(&layers, "report.log_file", root)?,
            metrics_file: path(&layers, "report.metrics_file", root)?,
            cast_path: None,
            untrusted: None,
            root: root.to_owned(),
            layers,
        })
    }
}

fn needed(layers: &Layers, name: &str) -> SettingsError {
    layers.wrong(name, "a value is required".to_owned())
}

/// A path: as given when it came from a flag or a variable, else relative to the file that set it or to the cast's
/// folder. `~` is the home folder, as in a shell; a folder that is named so would surprise everybody.
fn path(layers: &Layers, name: &str, root: &Path) -> Result<Option<PathBuf>, SettingsError> {
    let value = layers.value(name);
    let wrong = |problem: &str| layers.wrong(name, problem.to_owned());
    let text = match value.text.strip_prefix('~') {
        None => PathBuf::from(&value.text),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '\\']) => {
            let home = etcetera::home_dir().map_err(|_| wrong("there is no home folder for ~"))?;
            home.join(rest.trim_start_matches(['/', '\\']))
        }
        Some(_) => {
            return Err(wrong(
                "the home folder of another user is not looked up; write the whole path, or ./~… for a file of that name",
            ));
        }
    };
    Ok(match &value.origin {
        _ if value.text.is_empty() => None,
        Origin::Flag(_) | Origin::Environment(_) => Some(text),
        Origin::File(file) => Some(file.parent().unwrap_or(root).join(text)),
        Origin::Default | Origin::Quote | Origin::Reply => Some(root.join(text)),
    })
}

/// The provider's profile: a built-in one by name, or a file.
fn provider(layers: &Layers, root: &Path) -> Result<Provider, SettingsError> {
    let name = "api.provider";
    let file = path(layers, name, root)?.ok_or_else(|| needed(layers, name))?;
    Provider::load(&layers.value(name).text, &file).map_err(|e| layers.wrong(name, e.to_string()))
}

/// How calls are paid: as set, else in the first mode that the provider accepts.
fn payment_mode(layers: &Layers, provider: &Provider) -> Result<PaymentMode, SettingsError> {
    let name = "payment.mode";
    let mode = match layers.value(name).text.as_str() {
        "" => provider.payments[0],
        "key" => PaymentMode::Key,
        "wallet" => PaymentMode::Wallet,
        _ => return Err(layers.wrong(name, "write key or wallet".to_owned())),
    };
    if !provider.payments.contains(&mode) {
        let other = if mode == PaymentMode::Key {
            "a wallet"
        } else {
            "an API key"
        };
        let message = format!("{} is paid by {other} only", provider.name);
        return Err(layers.wrong(name, message));
    }
    Ok(mode)
}

/// A wallet's address: 0x and 40 hexadecimal digits.
fn address(layers: &Layers, name: &str) -> Result<Option<String>, SettingsError> {
    let text: Option<String> = layers.optional(name)?;
    let digits = text.as_deref().map(|t| t.strip_prefix("0x").unwrap_or_default());
    match digits {
        Some(digits) if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Err(layers.wrong(name, "an address is 0x and 40 hexadecimal digits".to_owned()))
        }
        _ => Ok(text),
    }
}

fn https(layers: &Layers, name: &str) -> Result<Option<Url>, SettingsError> {
    let url: Option<Url> = layers.optional(name)?;
    match url {
        Some(url) if url.scheme() != "https" => {
            Err(layers.wrong(name, "it must begin with https://".to_owned()))
        }
        Some(url) if !url.username().is_empty() || url.password().is_some() => Err(layers.wrong(
            name,
            "the URL must not contain a user name or password".to_owned(),
        )),
        url => Ok(url),
    }
}

fn at_least<T>(layers: &Layers, name: &str, least: T) -> Result<T, SettingsError>
where
    T: std::str::FromStr<Err = std::num::ParseIntError> + PartialOrd + std::fmt::Display,
{
    let number: T = layers.required(name)?;
    if number < least {
        return Err(layers.wrong(name, format!("it must be at least {least}")));
    }
    Ok(number)
}

fn inspect(layers: &Layers) -> Result<InspectSettings, SettingsError> {
    let within = |name: &str, low: u32, high: u32| -> Result<u32, SettingsError> {
        let number: u32 = layers.required(name)?;
        if (low..=high).contains(&number) {
            Ok(number)
        } else {
            Err(layers.wrong(name, format!("it must be between {low} and {high}")))
        }
    };
    let part = |name: &str, low: f32, high: f32| -> Result<f32, SettingsError> {
        let number: f32 = layers.required(name)?;
        if (low..=high).contains(&number) {
            Ok(number)
        } else {
            Err(layers.wrong(name, format!("it must be between {low} and {high}")))
        }
    };
    let format: OutputFormat = layers.required("inspect.format")?;
    Ok(InspectSettings {
        long_side: within("inspect.long_side", 300, 6000)?,
        format,
        quality: within("inspect.quality", 1, 100)? as u8,
        background: colour(layers, "inspect.background")?,
        max_pixels: layers.required("inspect.max_pixels")?,
        crop: layers.required("inspect.crop")?,
        margin: part("inspect.crop_margin", 0.3, 5.0)?,
        face_px: within("inspect.min_face_px", 0, 6000)?,
        thresholds: Thresholds {
            none: part("inspect.min_score", 0.0, 1.0)?,
            sure: part("inspect.accept_score", 0.0, 1.0)?,
            second: part("inspect.second_face_review", 0.0, 1.0)?,
            several: part("inspect.second_face_reject", 0.0, 1.0)?,
            ..Thresholds::default()
        },
        ..InspectSettings::default()
    })
}

/// `#rrggbb`
fn colour(layers: &Layers, name: &str) -> Result<[u8; 3], SettingsError> {
    let text: String = layers.required(name)?;
    let mut rgb = [0; 3];
    hex::decode_to_slice(text.trim_start_matches('#'), &mut rgb)
        .map_err(|_| layers.wrong(name, "a colour is written #rrggbb, such as #808080".to_owned()))?;
    Ok(rgb)
}
