//! What a `castline.toml` that was found beside a cast may set without being trusted: somebody else may have sent it.
//!
//! It must not decide where keys and art go, how much is paid, or which files are written elsewhere. It may set what is
//! harmless, and lower limits.

use std::path::{Component, Path};

use super::layers::{Layers, Origin};
use crate::util::money::Usd;

/// Settings that decide where keys go, who is paid, whom to believe, or what is read and written outside of the cast.
const NEVER: &[&str] = &[
    "api.base_url",
    "api.key_file",
    "api.accept_zero_price",
    "payment.mode",
    "payment.key_file",
    "payment.network",
    "payment.payee",
    "payment.address",
    "payment.rpc_url",
    "publish.allow_private_hosts",
    "publish.probe",
    "cast.allow_outside",
    "realface.redirect_url",
    "realface.webhook_url",
    "receipts.enabled",
    "s3.bucket",
    "s3.endpoint",
    "s3.presign_expiry",
    "s3.public_base_url",
    "tls.ca_file",
    "notify.url",
    "ledger.url",
    "ledger.schema",
    "ledger.password_file",
];

/// Limits that it may lower.
const LOWER: &[&str] = &[
    "api.max_cost_usd",
    "api.max_total_cost_usd",
    "api.max_account_cost_usd",
    "api.max_consecutive_in_doubt",
    "payment.max_price_usd",
];

/// Limits that it may raise: a price below the real one would make plans and budgets too small.
const RAISE: &[&str] = &["api.price_usd"];

/// Files that it may place inside the cast's folder.
const INSIDE: &[&str] = &[
    "ledger.path",
    "ledger.backup",
    "manifest.path",
    "report.log_file",
    "report.metrics_file",
];

/// The settings that `file` has set in `layers`, over the values of `before`, and that need trust.
pub(super) fn needing_trust(before: &Layers, layers: &Layers, file: &Path) -> Vec<&'static str> {
    let set_here = |name: &&str| {
        let value = layers.value(name);
        value.origin == Origin::File(file.to_owned()) && value.text != before.value(name).text
    };
    let amounts = |name: &str| {
        let amount = |layers: &Layers| layers.value(name).text.parse::<Usd>().ok();
        (amount(before), amount(layers))
    };
    let text = |name: &str| layers.value(name).text.as_str();
    let never = NEVER.iter().copied();
    let raised = LOWER.iter().copied().filter(|name| match amounts(name) {
        (Some(before), Some(now)) => now > before,
        // Without a limit before, any is lower.
        (None, Some(_)) => false,
        _ => true,
    });
    let lowered = RAISE.iter().copied().filter(|name| match amounts(name) {
        (Some(before), Some(now)) => now < before,
        _ => true,
    });
    // A built-in profile is harmless; a file names an address.
    let profile = ["api.provider"]
        .into_iter()
        .filter(|name| text(name).ends_with(".toml"));
    let outside = INSIDE.iter().copied().filter(|name| !is_inside(text(name)));
    never
        .chain(raised)
        .chain(lowered)
        .chain(profile)
        .chain(outside)
        .filter(set_here)
        .collect()
}

fn is_inside(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::keys::KEYS;

    fn needing(file: &str) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("castline.toml");
        std::fs::write(&path, file).unwrap();
        let before = Layers::defaults();
        let mut layers = before.clone();
        layers.file(&path).unwrap();
        needing_trust(&before, &layers, &path)
    }

    #[test]
    fn every_listed_setting_exists() {
        for name in NEVER.iter().chain(LOWER).chain(RAISE).chain(INSIDE) {
            assert!(KEYS.iter().any(|key| key.name == *name), "{name}");
        }
    }

    #[test]
    fn where_keys_go_and_what_is_paid_needs_trust() {
        for (file, name) in [
            ("[api]\nbase_url = \"https://evil.example\"", "api.base_url"),
            ("[api]\nprovider = \"mine.toml\"", "api.provider"),
            ("[api]\nprice_usd = 0.0001", "api.price_usd"),
            ("[payment]\nmax_price_usd = 500", "payment.max_price_usd"),
            ("[payment]\nmode = \"wallet\"", "payment.mode"),
            (
                "[api]\nmax_consecutive_in_doubt = 1000",
                "api.max_consecutive_in_doubt",
            ),
            ("[report]\nlog_file = \"../.profile\"", "report.log_file"),
            ("[ledger]\npath = \"/tmp/l.db\"", "ledger.path"),
            ("[receipts]\nenabled = false", "receipts.enabled"),
            ("[s3]\nbucket = \"theirs\"", "s3.bucket"),
        ] {
            assert_eq!(needing(file), [name], "{file}");
        }
    }

    #[test]
    fn what_is_harmless_or_lowers_a_limit_needs_none() {
        for file in [
            "[api]\nprovider = \"blockrun\"\nprice_usd = 0.02\nmax_cost_usd = 5\nmax_consecutive_in_doubt = 2",
            "[payment]\nmax_price_usd = 0.01",
            "[s3]\nprefix = \"p\"",
            "[inspect]\nquality = 80",
            "[manifest]\npath = \"out/manifest.json\"",
            "[tls]\nca_file = \"\"",
        ] {
            assert!(needing(file).is_empty(), "{file}: {:?}", needing(file));
        }
    }
}
