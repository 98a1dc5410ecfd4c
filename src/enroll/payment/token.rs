//! USDC: its address on each chain, and the form of its signed transfers.

use alloy_primitives::{Address, B256, U256, address};
use alloy_sol_types::{Eip712Domain, SolStruct};

use super::payload::Authorization;
use crate::enroll::Network;

/// The only type that [EIP-3009](https://eips.ethereum.org/EIPS/eip-3009) needs; the names of its fields are hashed.
mod typed {
    alloy_sol_types::sol! {
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }
}

/// The address of Circle's USDC: <https://developers.circle.com/stablecoins/usdc-contract-addresses>.
pub(super) const fn usdc(network: Network) -> Address {
    match network {
        Network::Base => address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
        Network::BaseSepolia => address!("036CbD53842c5426634e7929541eC2318f3dCF7e"),
    }
}

/// Name and version of the token's EIP-712 domain, for offers without them.
pub(super) const fn domain(network: Network) -> (&'static str, &'static str) {
    match network {
        Network::Base => ("USD Coin", "2"),
        // The test token has a different name.
        Network::BaseSepolia => ("USDC", "2"),
    }
}

/// The hash to be signed, by [EIP-712](https://eips.ethereum.org/EIPS/eip-712).
pub(super) fn signing_hash(
    (name, version): &(String, String),
    network: Network,
    transfer: &Authorization,
) -> B256 {
    let domain = Eip712Domain::new(
        Some(name.clone().into()),
        Some(version.clone().into()),
        Some(U256::from(network.chain_id())),
        Some(usdc(network)),
        None,
    );
    let typed = typed::TransferWithAuthorization {
        from: transfer.from,
        to: transfer.to,
        value: U256::from(transfer.value),
        validAfter: U256::from(transfer.valid_after),
        validBefore: U256::from(transfer.valid_before),
        nonce: transfer.nonce,
    };
    typed.eip712_signing_hash(&domain)
}
