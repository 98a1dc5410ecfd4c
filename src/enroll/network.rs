//! The chains that wallets can pay on.

use std::fmt;
use std::str::FromStr;

/// A chain that a wallet can pay on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Network {
    /// Base.
    #[default]
    Base,
    /// Base's test network, whose USDC is worth nothing.
    BaseSepolia,
}

/// The text names none of the supported networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network to pay on: write base or base-sepolia")]
pub struct ParseNetworkError(String);

impl Network {
    /// The chain id that wallets and contracts use.
    pub const fn chain_id(self) -> u64 {
        match self {
            Self::Base => 8453,
            Self::BaseSepolia => 84532,
        }
    }

    /// Whether `name` in an offer means this network: `eip155:8453`, or `base`.
    pub fn is_named(self, name: &str) -> bool {
        name == self.to_string() || name.strip_prefix("eip155:") == Some(&self.chain_id().to_string())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Base => "base",
            Self::BaseSepolia => "base-sepolia",
        })
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        [Self::Base, Self::BaseSepolia]
            .into_iter()
            .find(|network| network.is_named(text))
            .ok_or_else(|| ParseNetworkError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_known_by_its_word_and_by_its_number() {
        assert_eq!("eip155:8453".parse(), Ok(Network::Base));
        assert_eq!("base".parse(), Ok(Network::Base));
        assert_eq!("base-sepolia".parse(), Ok(Network::BaseSepolia));
        for text in ["", "eip155:1", "ethereum", "Base", "eip155:84532x", "eip155:"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
