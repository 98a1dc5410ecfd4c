//! The differences between providers of this API: a profile in TOML. A third provider needs no code, only a file
//! named by `api.provider`.

use std::path::Path;

use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

/// The built-in profiles; the first is the default.
const KNOWN: [(&str, &str); 3] = [
    ("jarvisclaw", include_str!("providers/jarvisclaw.toml")),
    ("blockrun", include_str!("providers/blockrun.toml")),
    ("blockrun-key", include_str!("providers/blockrun-key.toml")),
];

/// How a provider can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMode {
    /// By an API key, from an account.
    Key,
    /// From a wallet, call by call (x402).
    Wallet,
}

/// The profile of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The provider's name.
    pub name: String,
    /// The base URL that the paths of calls are appended to; `api.base_url` overrides it.
    #[serde(deserialize_with = "https")]
    pub base_url: Url,
    /// How it can be paid.
    pub payments: Vec<PaymentMode>,
    /// The 5xx statuses that it promises not to charge for. Calls that end in them may be repeated; all other 5xx
    /// leave doubt.
    #[serde(default)]
    pub uncharged: Vec<u16>,
    /// The path of the list of what a wallet has enrolled: below `base_url`, or from the host's root if it begins with
    /// `/`. `{address}` is replaced by the wallet's address.
    #[serde(default)]
    pub listing: Option<String>,
    /// The path of the list of the real actors that a wallet has enrolled, in the same form.
    #[serde(default)]
    pub realface_listing: Option<String>,
    /// Whether `realface/init` with the `groupId` of a check whose link has expired gives a new link for the same check,
    /// which doesn't count as another one.
    #[serde(default)]
    pub renews_links: bool,
    /// The header of a reply that tells what the call cost, in dollars. It goes before a price in the body.
    #[serde(default)]
    pub cost_header: Option<String>,
    /// The header of a reply that has the id of the request.
    #[serde(default)]
    pub request_id_header: Option<String>,
}

/// A profile can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The name is neither a built-in profile nor a file.
    #[error(
        "no provider {0:?}: write jarvisclaw, blockrun or blockrun-key, or the path of a profile (….toml)"
    )]
    Unknown(String),
    /// The file can't be read.
    #[error("the profile {path} can't be read: {source}")]
    File {
        /// The path of the file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not a valid profile.
    #[error("the profile {path}: {problem}")]
    Malformed {
        /// The path of the file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

impl Provider {
    /// JarvisClaw: settles before it forwards, so every 5xx leaves doubt.
    pub fn jarvisclaw() -> Self {
        Self::known("jarvisclaw").expect("it is built in")
    }

    /// BlockRun: wallets only, promises no charge on 502, lists what a wallet has enrolled.
    pub fn blockrun() -> Self {
        Self::known("blockrun").expect("it is built in")
    }

    fn known(name: &str) -> Option<Self> {
        let (_, text) = KNOWN.iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text, name).expect("tests parse every built-in profile"))
    }

    /// Loads the built-in profile `name`; else, if `name` ends in `.toml`, the profile in `file`.
    ///
    /// # Errors
    /// There is neither, or the file is not a valid profile.
    pub fn load(name: &str, file: &Path) -> Result<Self, ProviderError> {
        if let Some(known) = Self::known(name) {
            return Ok(known);
        }
        if !name.ends_with(".toml") {
            return Err(ProviderError::Unknown(name.to_owned()));
        }
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|source| ProviderError::File {
            path: shown.clone(),
            source,
        })?;
        Self::parse(&text, &shown)
    }

    fn parse(text: &str, path: &str) -> Result<Self, ProviderError> {
        let malformed = |problem: String| ProviderError::Malformed {
            path: path.to_owned(),
            problem,
        };
        let profile: Self = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        if let Some(status) = profile.uncharged.iter().find(|s| !(500..600).contains(*s)) {
            let message = format!("uncharged contains {status}: only 500–599 are allowed");
            return Err(malformed(message));
        }
        if profile.payments.is_empty() {
            return Err(malformed(
                "payments is empty: write [\"key\"], [\"wallet\"] or both".to_owned(),
            ));
        }
        for (name, listing) in [
            ("listing", &profile.listing),
            ("realface_listing", &profile.realface_listing),
        ] {
            if listing.as_ref().is_some_and(|l| !l.contains("{address}")) {
                return Err(malformed(format!("{name} doesn't contain {{address}}")));
            }
        }
        Ok(profile)
    }

    /// The addresses of the lists of what `address` has enrolled, for an API at `base_url`: portraits, real actors. None
    /// if the provider has no listing.
    pub fn listings_of(&self, base_url: &Url, address: &str) -> Vec<Url> {
        let below = base_url.path().trim_end_matches('/');
        let listings = [&self.listing, &self.realface_listing].into_iter().flatten();
        let at = |listing: &String| {
            let path = listing.replace("{address}", address);
            let mut url = base_url.clone();
            url.set_path(&match path.strip_prefix('/') {
                Some(_) => path,
                None => format!("{below}/{path}"),
            });
            url
        };
        listings.map(at).collect()
    }

    pub(super) fn promises_no_charge(&self, status: StatusCode) -> bool {
        // The promise can only be made for 5xx: everything else has its fixed meaning.
        status.is_server_error() && self.uncharged.contains(&status.as_u16())
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self::jarvisclaw()
    }
}

fn https<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = Url::parse(&text).ok().filter(|url| url.scheme() == "https");
    url.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not an https:// address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_that_is_brought_along_is_one() {
        for (name, text) in KNOWN {
            assert_eq!(Provider::parse(text, name).unwrap().name, name);
        }
        assert_eq!(Provider::default(), Provider::jarvisclaw());
    }

    #[test]
    fn a_third_provider_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let profile = "name = \"third\"\nbase_url = \"https://third.example/api\"\npayments = [\"key\"]\n\
                       listing = \"list/{address}\"\n";
        let file = folder.path().join("third.toml");
        std::fs::write(&file, profile).unwrap();
        let third = Provider::load("third.toml", &file).unwrap();
        let at = third.listings_of(&third.base_url, "0xabc");
        assert_eq!(at[0].as_str(), "https://third.example/api/list/0xabc");
        assert!(third.uncharged.is_empty());
    }

    #[test]
    fn a_listing_may_stand_at_the_root_of_the_host() {
        let blockrun = Provider::blockrun();
        let at = blockrun.listings_of(&blockrun.base_url, "0xabc");
        let at: Vec<&str> = at.iter().map(Url::as_str).collect();
        assert_eq!(
            at,
            [
                "https://blockrun.ai/v1/wallet/0xabc/portraits",
                "https://blockrun.ai/v1/wallet/0xabc/realfaces"
            ]
        );
    }

    #[test]
    fn what_is_no_profile_is_reported() {
        let base = "name = \"x\"\nbase_url = \"https://x.example\"\n";
        for (text, part) in [
            (
                "name = \"x\"\nbase_url = \"http://x.example\"\npayments = [\"key\"]".to_owned(),
                "https://",
            ),
            (format!("{base}payments = []"), "payments is empty"),
            (format!("{base}payments = [\"cash\"]"), "cash"),
            (
                format!("{base}payments = [\"key\"]\nuncharged = [404]"),
                "500–599",
            ),
            (
                format!("{base}payments = [\"key\"]\nlisting = \"all\""),
                "{address}",
            ),
            (format!("{base}payments = [\"key\"]\nprise = 1"), "prise"),
        ] {
            let message = Provider::parse(&text, "x.toml").unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("x.toml"), "{message}");
        }
        let message = Provider::load("jarvis", Path::new(".")).unwrap_err().to_string();
        assert!(
            message.contains("jarvisclaw, blockrun or blockrun-key"),
            "{message}"
        );
    }
}
