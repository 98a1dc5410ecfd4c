//! In what providers of this API differ: a profile, written in TOML. A third provider needs no code, only a file
//! that `api.provider` names.

use std::path::Path;

use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

/// The profiles that castline brings along; the first is the default.
const KNOWN: [(&str, &str); 2] = [
    ("jarvisclaw", include_str!("providers/jarvisclaw.toml")),
    ("blockrun", include_str!("providers/blockrun.toml")),
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

/// What a provider promises beyond the API itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What it is called.
    pub name: String,
    /// What the paths of calls are appended to; `api.base_url` wins over it.
    #[serde(deserialize_with = "https")]
    pub base_url: Url,
    /// How it can be paid.
    pub payments: Vec<PaymentMode>,
    /// The 5xx statuses that it promises not to charge for. Calls that end in them may be made again; all
    /// other 5xx leave doubt.
    #[serde(default)]
    pub uncharged: Vec<u16>,
    /// Where it lists what a wallet has enrolled: below `base_url`, or from the host's root when it begins with
    /// `/`. `{address}` stands for the wallet's address.
    #[serde(default)]
    pub listing: Option<String>,
}

/// A profile can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It is neither known nor a file.
    #[error("no provider {0:?}: write jarvisclaw or blockrun, or the path of a profile (….toml)")]
    Unknown(String),
    /// The file can't be read.
    #[error("the profile {path} can't be read: {source}")]
    File {
        /// Which one.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no profile.
    #[error("the profile {path}: {problem}")]
    Malformed {
        /// Which one.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

impl Provider {
    /// JarvisClaw: settles before it forwards, so that every 5xx leaves doubt.
    pub fn jarvisclaw() -> Self {
        Self::known("jarvisclaw").expect("it is known")
    }

    /// BlockRun: wallets only, promises no charge on 502, lists what a wallet has enrolled.
    pub fn blockrun() -> Self {
        Self::known("blockrun").expect("it is known")
    }

    fn known(name: &str) -> Option<Self> {
        let (_, text) = KNOWN.iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text, name).expect("tests read every profile that is brought along"))
    }

    /// The profile that castline brings along as `name`; else, where `name` ends in `.toml`, the one in `file`.
    ///
    /// # Errors
    /// It is neither, or the file is no profile.
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
            let message = format!("uncharged holds {status}: such a promise can only be made for 500–599");
            return Err(malformed(message));
        }
        if profile.payments.is_empty() {
            return Err(malformed(
                "payments is empty: write [\"key\"], [\"wallet\"] or both".to_owned(),
            ));
        }
        if profile.listing.as_ref().is_some_and(|l| !l.contains("{address}")) {
            return Err(malformed("listing has no {address}".to_owned()));
        }
        Ok(profile)
    }

    /// Where what `address` has enrolled is listed, for an API at `base_url`; `None` when the provider has no
    /// listing.
    pub fn listing_of(&self, base_url: &Url, address: &str) -> Option<Url> {
        let path = self.listing.as_ref()?.replace("{address}", address);
        let mut url = base_url.clone();
        let below = base_url.path().trim_end_matches('/');
        url.set_path(&match path.strip_prefix('/') {
            Some(_) => path,
            None => format!("{below}/{path}"),
        });
        Some(url)
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
    url.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no https:// address")))
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
        let at = third.listing_of(&third.base_url, "0xabc").unwrap();
        assert_eq!(at.as_str(), "https://third.example/api/list/0xabc");
        assert!(third.uncharged.is_empty());
    }

    #[test]
    fn a_listing_may_stand_at_the_root_of_the_host() {
        let blockrun = Provider::blockrun();
        let at = blockrun.listing_of(&blockrun.base_url, "0xabc").unwrap();
        assert_eq!(at.as_str(), "https://blockrun.ai/v1/wallet/0xabc/portraits");
    }

    #[test]
    fn what_is_no_profile_is_told() {
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
        assert!(message.contains("jarvisclaw or blockrun"), "{message}");
    }
}
