//! The outcome of a paid call, and whether money moved: the API's table of errors as one pure function.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::error_body::{ErrorBody, excerpt};
use super::provider::Provider;
use super::retry_after::{DEFAULT_WAIT, retry_after};
use super::settlement::known_fields;
use super::text::clean;
use super::transport::{CallResult, Reply};
use crate::cast::Name;
use crate::net::public_url::PublicUrl;
use crate::util::money::Usd;
use crate::util::provider_ids::ProviderIds;

/// The prefix of every asset id; nothing else about ids is promised.
const ID_PREFIX: &str = "ta_";
/// Longer ids are rejected: a manifest with them would be unusable.
const LONGEST_ID: usize = 256;

/// The highest price that is believed: a reply with a higher one counts in other units, or is wrong.
const HIGHEST_PRICE: Usd = Usd::from_micros(1_000_000_000);

/// The outcome of a paid call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The API returned an id, and was paid.
    Enrolled {
        /// The asset id: `ta_…`.
        asset_id: String,
        /// What else the provider calls it, as far as the reply says.
        ids: ProviderIds,
        /// The price, if the reply states it; zero is believed only where `api.accept_zero_price` says so.
        price: Option<Usd>,
        /// The receipt of the payment as JSON text, if the reply has one.
        settlement: Option<String>,
    },
    /// The API refused this character as it is; nothing was charged.
    Refused {
        /// The API's code.
        code: String,
        /// The human-readable message.
        message: String,
    },
    /// Nothing was charged, and the same call may be repeated.
    Retry {
        /// The API's code, or `unreachable`.
        code: String,
        /// The human-readable message.
        message: String,
        /// How long all calls must wait, if the API asked for it.
        after: Option<Duration>,
    },
    /// Nothing was charged, and further calls are pointless.
    Stop {
        /// What is wrong.
        kind: StopKind,
        /// The API's code.
        code: String,
        /// The human-readable message.
        message: String,
    },
    /// The call may have been charged: only a person, or the provider's listing, can decide.
    InDoubt {
        /// The API's code, or `timeout`, `reply_lost`, `reply_cut`, `reply_unclear`.
        code: String,
        /// The human-readable message.
        message: String,
    },
}

/// Why further calls are pointless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopKind {
    /// The key was refused.
    Key,
    /// The account has no plan that allows this.
    Plan,
    /// The account has no money, or the API asks to be paid by other means than the key.
    Funds,
    /// The account can't hold more assets.
    Quota,
    /// The payment itself was refused, and would be from anyone: a setting of the wallet is wrong.
    Payment,
    /// There is no such API at the address.
    Address,
}

impl StopKind {
    /// The code for reports.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Key => "key_refused",
            Self::Plan => "no_plan",
            Self::Funds => "no_funds",
            Self::Quota => "quota_exceeded",
            Self::Payment => "payment_refused",
            Self::Address => "no_api_there",
        }
    }

    /// What the user can do.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Key => "check the API key",
            Self::Plan => {
                "the key is accepted, but the account needs a plan: subscribe to one at the provider"
            }
            Self::Funds => "top up the account",
            Self::Quota => "ask the provider for a larger quota",
            Self::Payment => "check the wallet's network and settings",
            Self::Address => "check api.base_url",
        }
    }
}

/// Codes of a 402 that mean an earlier send of the same authorization may have been charged.
const MAYBE_SETTLED: [&str; 3] = ["payment_replay", "nonce_conflict", "chain_timeout"];

/// Codes of a 402 that money on the account would not fix.
const PAYMENT_WRONG: [&str; 5] = [
    "invalid_signature",
    "amount_mismatch",
    "unsupported_network",
    "payment_expired",
    "payment_invalid",
];

/// Classifies an answer to a paid call by API.md's table; in doubt where the table has no entry.
pub fn classify(answer: &CallResult, provider: &Provider) -> Outcome {
    match answer {
        CallResult::NotSent { message } => Outcome::Retry {
            code: "unreachable".to_owned(),
            message: message.clone(),
            after: None,
        },
        CallResult::ResponseLost { timed_out, message } => Outcome::InDoubt {
            code: if *timed_out { "timeout" } else { "reply_lost" }.to_owned(),
            message: message.clone(),
        },
        CallResult::Reply(reply) => {
            let outcome = judge(reply, provider, SystemTime::now());
            match request_id(reply, provider) {
                // What the provider's support asks for.
                Some(id) => outcome.with_message(|message| format!("{message}; request {id}")),
                None => outcome,
            }
        }
    }
}

fn judge(reply: &Reply, provider: &Provider, now: SystemTime) -> Outcome {
    let json: Option<Value> = match &reply.cut {
        None => serde_json::from_slice(&reply.body).ok(),
        Some(_) => None,
    };
    let json = json.as_ref();
    let (status, text) = (reply.status, ErrorBody::new(reply.status, json, &reply.body));
    if status.is_success() {
        return success(reply, json, text, provider);
    }
    // An id in any other reply means that an asset exists: neither refused nor repeated.
    if let Some(id) = json.and_then(asset_id) {
        return doubt(text.code, format!("{} (the reply names {id})", text.message));
    }
    let wait = retry_after(&reply.headers, json, now);
    let key = text.key();
    let ErrorBody { code, message } = text;
    let stop = |kind, code, message| Outcome::Stop { kind, code, message };
    match status.as_u16() {
        402 => payment(reply, json, &key, code, message),
        400..=499 if is_quota(&key, &message) => stop(StopKind::Quota, code, message),
        403 | 401 if is_about_plan(&key, &message) => stop(StopKind::Plan, code, message),
        403 if is_about_image(&key, &message) => Outcome::Refused { code, message },
        401 | 403 => stop(StopKind::Key, code, message),
        404 if key == "group_not_found" || message.to_lowercase().contains("group") => Outcome::Refused {
            code: "group_not_found".to_owned(),
            message,
        },
        404 | 405 | 410 => stop(StopKind::Address, code, message),
        425 => Outcome::Retry {
            code,
            message,
            after: None,
        },
        429 => Outcome::Retry {
            code,
            message,
            after: Some(wait.unwrap_or(DEFAULT_WAIT)),
        },
        // The request itself is at fault, so it was refused before anything was done.
        400 | 406 | 411 | 413..=415 | 417 | 422 | 426 | 428 | 431 | 451 => Outcome::Refused { code, message },
        // The same image would fail again.
        500..=599 if provider.promises_no_charge(status) && is_about_image(&key, &message) => {
            Outcome::Refused { code, message }
        }
        500..=599 if provider.promises_no_charge(status) => Outcome::Retry {
            code,
            message,
            after: wait,
        },
        // 5xx: settled before it was forwarded. 408, 409, 499 and redirects are not in the API's table.
        _ => doubt(code, message),
    }
}

fn success(reply: &Reply, json: Option<&Value>, text: ErrorBody, provider: &Provider) -> Outcome {
    if let Some(cut) = &reply.cut {
        let message = format!("the reply was cut off: {cut}; it began: {}", text.message);
        return doubt("reply_cut".to_owned(), message);
    }
    let Some((json, asset_id)) = json.and_then(|json| Some((json, asset_id(json)?))) else {
        // An error in a 200 may come from behind a gateway that has settled.
        let unclear = text.code.starts_with("http_");
        let code = if unclear {
            "reply_unclear".to_owned()
        } else {
            text.code
        };
        let body = excerpt(reply.status, &reply.body);
        let message = if body.contains(&text.message) {
            body
        } else {
            format!("{}; {body}", text.message)
        };
        return doubt(code, format!("the reply has no asset id: {message}"));
    };
    let field = |name: &str| layers(json).find_map(|layer| layer.get(name));
    let group_id = field("group_id").and_then(Value::as_str).map(clean);
    Outcome::Enrolled {
        asset_id: asset_id.to_owned(),
        ids: ProviderIds {
            group_id: group_id.filter(|id| !id.is_empty()),
            request_id: request_id(reply, provider),
        },
        price: cost_in_header(reply, provider).or_else(|| field("price").and_then(price)),
        settlement: field("settlement").and_then(known_fields),
    }
}

/// Classifies a 402: nothing was charged, unless the code says that an earlier send may have been.
fn payment(reply: &Reply, json: Option<&Value>, key: &str, code: String, message: String) -> Outcome {
    let quote = json.is_some_and(|json| json.get("accepts").or(json.get("payments")).is_some())
        || ["payment-required", "x-payment-required"]
            .iter()
            .any(|name| reply.headers.contains_key(*name));
    let stop = |kind, message| Outcome::Stop {
        kind,
        code: code.clone(),
        message,
    };
    if MAYBE_SETTLED.contains(&key) {
        return doubt(code, message);
    }
    if PAYMENT_WRONG.contains(&key) {
        return stop(StopKind::Payment, message);
    }
    if quote {
        let message =
            format!("the API asks for payment from a wallet: an API key can't pay for this ({message})");
        return stop(StopKind::Funds, message);
    }
    // An unreadable reply may hide one of the codes above.
    if json.is_none() && !reply.body.is_empty() || reply.cut.is_some() || speaks_of_replay(key, &message) {
        return doubt(code, message);
    }
    stop(StopKind::Funds, message)
}

/// Whether a code that is not in the table sounds like one of [`MAYBE_SETTLED`].
fn speaks_of_replay(key: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    ["replay", "nonce", "already", "timeout", "timed out", "pending"]
        .iter()
        .any(|word| key.contains(word) || message.contains(word))
}

/// Whether a refusal is about the account's plan, rather than its key: `SubscriptionRequired`.
fn is_about_plan(key: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    key.contains("subscription")
        || ["subscription", "upgrade your plan"]
            .iter()
            .any(|word| message.contains(word))
}

/// Whether a refusal is about this image, rather than the caller: moderation, public figures, a content filter, its size.
fn is_about_image(key: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    let words = [
        "moderation",
        "public figure",
        "public_figure",
        "celebrity",
        "content filter",
        "content_filter",
        "content policy",
        "content_policy",
        "sensitive content",
        "image_rejected",
        "image rejected",
        "image too large",
        "image is too large",
    ];
    words
        .iter()
        .any(|word| key.contains(word) || message.contains(word))
}

/// Whether the account can't hold more assets, so that waiting doesn't help; unlike a rate limit.
fn is_quota(key: &str, message: &str) -> bool {
    let generic = key.starts_with("http_") || key == "rate_limited" || key == "forbidden";
    let message = message.to_lowercase();
    let limit = ["asset_limit", "assets_limit", "limit_reached"];
    key.contains("quota")
        || (limit.iter().any(|word| key.contains(word)) && !key.contains("rate"))
        || (generic && message.contains("quota") && !message.contains(" per "))
}

fn doubt(code: String, message: String) -> Outcome {
    Outcome::InDoubt { code, message }
}

/// The reply itself, and the objects that gateways wrap it in.
fn layers(json: &Value) -> impl Iterator<Item = &Value> {
    let wrapped = ["data", "result", "asset"].iter().filter_map(|key| json.get(key));
    std::iter::once(json).chain(wrapped)
}

/// The first usable asset id.
fn asset_id(json: &Value) -> Option<&str> {
    layers(json)
        .filter_map(|layer| layer.get("asset_id").or_else(|| layer.get("assetId")))
        .filter_map(Value::as_str)
        .find(|id| {
            id.starts_with(ID_PREFIX)
                && (ID_PREFIX.len() + 1..=LONGEST_ID).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_graphic())
        })
}

/// The price in `0.0103`, `"0.0103"`, `"$0.0103"` or `{"amount": …}`.
fn price(value: &Value) -> Option<Usd> {
    let amount = || value.get("amount").or_else(|| value.get("usd"));
    let price = Usd::from_json(value).or_else(|| Usd::from_json(amount()?))?;
    (price <= HIGHEST_PRICE).then_some(price)
}

/// [`classify`]'s outcome of a call for the character `name`: an id that the reply gives to another name is in doubt.
pub(super) fn for_name(answer: &CallResult, outcome: Outcome, name: &str) -> Outcome {
    let (Outcome::Enrolled { asset_id, .. }, CallResult::Reply(reply)) = (&outcome, answer) else {
        return outcome;
    };
    let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let replied = json
        .as_ref()
        .and_then(|json| layers(json).find_map(|layer| layer.get("name")?.as_str()));
    let key = |name: &str| Name::new(name).ok().map(|name| name.key());
    match replied.map(str::trim).filter(|replied| !replied.is_empty()) {
        Some(replied) if replied != name.trim() && key(replied) != key(name) => doubt(
            "other_name".to_owned(),
            format!(
                "the reply names {asset_id}, but for {} instead of {name}",
                clean(replied)
            ),
        ),
        _ => outcome,
    }
}

/// The id of the request, in the header that the provider's profile names.
fn request_id(reply: &Reply, provider: &Provider) -> Option<String> {
    let header = reply.headers.get(provider.request_id_header.as_deref()?)?;
    let id = clean(header.to_str().ok()?);
    (!id.is_empty() && id.len() <= LONGEST_ID).then_some(id)
}

/// What to do when the provider could not read an image that castline could: adds it to the message.
pub(super) fn for_image(outcome: Outcome, image_url: &PublicUrl) -> Outcome {
    match outcome {
        Outcome::Refused { code, message } if code.eq_ignore_ascii_case("invalid_image_url") => {
            let why = if image_url.signature().is_empty() {
                "a CDN or firewall may block its user agent: allow it, or set s3.public_base_url to an address that \
                 serves everybody"
            } else {
                "it may ask with HEAD first, which an address that is signed for GET refuses: use public addresses \
                 instead of s3.presign_expiry"
            };
            Outcome::Refused {
                code,
                message: format!(
                    "{message}; if `castline doctor` can read the bucket and the provider can't, {why}"
                ),
            }
        }
        outcome => outcome,
    }
}

/// The price in the header that the provider's profile names.
fn cost_in_header(reply: &Reply, provider: &Provider) -> Option<Usd> {
    let header = reply.headers.get(provider.cost_header.as_deref()?)?;
    let price = Usd::rounded_up(header.to_str().ok()?.trim().trim_start_matches('$'))?;
    (price <= HIGHEST_PRICE).then_some(price)
}

impl Outcome {
    /// The same without `secret`, wherever the decoded reply repeated it: an escape such as `\u0073` hides it in the text
    /// of the reply.
    pub(super) fn without(self, secret: &str) -> Self {
        if secret.len() < 8 {
            return self;
        }
        let mask = |text: String| text.replace(secret, "***");
        match self {
            Self::Enrolled {
                asset_id,
                ids,
                price,
                settlement,
            } => Self::Enrolled {
                asset_id,
                ids: ProviderIds {
                    group_id: ids.group_id.map(mask),
                    request_id: ids.request_id.map(mask),
                },
                price,
                settlement: settlement.map(mask),
            },
            Self::Refused { code, message } => Self::Refused {
                code: mask(code),
                message: mask(message),
            },
            Self::Retry { code, message, after } => Self::Retry {
                code: mask(code),
                message: mask(message),
                after,
            },
            Self::Stop { kind, code, message } => Self::Stop {
                kind,
                code: mask(code),
                message: mask(message),
            },
            Self::InDoubt { code, message } => Self::InDoubt {
                code: mask(code),
                message: mask(message),
            },
        }
    }

    /// The same with another message; success has none.
    pub(super) fn with_message(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Enrolled { .. } => self,
            Self::Refused { code, message } => Self::Refused {
                code,
                message: change(message),
            },
            Self::Retry { code, message, after } => Self::Retry {
                code,
                message: change(message),
                after,
            },
            Self::Stop { kind, code, message } => Self::Stop {
                kind,
                code,
                message: change(message),
            },
            Self::InDoubt { code, message } => Self::InDoubt {
                code,
                message: change(message),
            },
        }
    }

    /// The code and the message; `None` for success.
    pub fn code_and_message(&self) -> Option<(&str, &str)> {
        match self {
            Self::Enrolled { .. } => None,
            Self::Refused { code, message }
            | Self::Retry { code, message, .. }
            | Self::Stop { code, message, .. }
            | Self::InDoubt { code, message } => Some((code, message)),
        }
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
