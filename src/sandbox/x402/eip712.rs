//! EIP-712 by hand: the hash that a payer signs, and recovery of the signer.
//! <https://eips.ethereum.org/EIPS/eip-712>, <https://eips.ethereum.org/EIPS/eip-3009>

use alloy_primitives::{Address, B256, Signature, U256, keccak256};

use super::payment::Payment;

const DOMAIN: &str = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const TRANSFER: &str = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
                        uint256 validBefore,bytes32 nonce)";

/// The EIP-712 domain of the token contract.
pub(super) struct Domain<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) chain_id: u64,
    pub(super) contract: Address,
}

/// The hash to be signed, `keccak256(0x19 0x01 ‖ domain separator ‖ struct hash)`.
pub(super) fn digest(domain: &Domain<'_>, payment: &Payment) -> B256 {
    let separator = hash_words(&[
        keccak256(DOMAIN),
        keccak256(domain.name),
        keccak256(domain.version),
        B256::from(U256::from(domain.chain_id)),
        domain.contract.into_word(),
    ]);
    let transfer = hash_words(&[
        keccak256(TRANSFER),
        payment.from.into_word(),
        payment.to.into_word(),
        B256::from(payment.value),
        B256::from(payment.valid_after),
        B256::from(payment.valid_before),
        B256::from(payment.nonce),
    ]);
    keccak256([&[0x19, 0x01], separator.as_slice(), transfer.as_slice()].concat())
}

/// The signer's address. Like the USDC contract, it accepts only 65 bytes with the lower half of `s`.
pub(super) fn recover(domain: &Domain<'_>, payment: &Payment) -> Option<Address> {
    let bytes: &[u8; 65] = payment.signature.as_ref().try_into().ok()?;
    // The contract accepts only 27 and 28, where ERC-2098 and some libraries write 0 and 1.
    if !matches!(bytes[64], 27 | 28) {
        return None;
    }
    let signature = Signature::from_raw_array(bytes).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    signature
        .recover_address_from_prehash(&digest(domain, payment))
        .ok()
}

fn hash_words(words: &[B256]) -> B256 {
    keccak256(words.concat())
}
