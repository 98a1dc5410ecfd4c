//! The wallet: a private key that signs payments and is never printed.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use alloy_primitives::{Address, B256, Signature};
use k256::ecdsa::SigningKey;

use super::payload::{Authorization, SignedPayment};
use super::policy::Accepted;
use super::token::signing_hash;
use crate::enroll::key::first_line;
use crate::util::duration::unix_now;

/// The environment variable that holds the private key.
pub const WALLET_VARIABLE: &str = "CASTLINE_WALLET_KEY";

/// How far payments are backdated, so that a clock that is slightly fast doesn't make them invalid.
const BACKDATED: Duration = Duration::from_secs(600);

/// A private key. `Debug` shows only its address.
#[derive(Clone)]
pub struct Wallet(SigningKey);

/// No usable private key was found.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// Neither the environment nor a file holds a private key.
    #[error(
        "no wallet: export {WALLET_VARIABLE}, or name a file that holds the private key as payment.key_file"
    )]
    Missing,
    /// The value is not a private key.
    #[error("{0} is not a private key: give 64 hexadecimal digits, with or without 0x")]
    Malformed(String),
    /// The key file can't be read.
    #[error("payment.key_file {path} can't be read: {source}")]
    File {
        /// The path of the file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl Wallet {
    /// Reads the key from `CASTLINE_WALLET_KEY`, else from the first line of `file`. A variable that is set but empty
    /// counts as unset.
    ///
    /// # Errors
    /// Neither holds a private key.
    pub fn from_env_or_file(file: Option<&Path>) -> Result<Self, WalletError> {
        if let Ok(text) = std::env::var(WALLET_VARIABLE)
            && !text.trim().is_empty()
        {
            return Self::read(&text, WALLET_VARIABLE);
        }
        let file = file.ok_or(WalletError::Missing)?;
        let path = file.display().to_string();
        match first_line(file) {
            Ok(text) => Self::read(&text, &path),
            Err(source) => Err(WalletError::File { path, source }),
        }
    }

    /// Parses 64 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// The text is not 64 hexadecimal digits, or not a private key of the curve.
    pub fn new(digits: &str) -> Result<Self, WalletError> {
        Self::read(digits, "the private key")
    }

    fn read(text: &str, origin: &str) -> Result<Self, WalletError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let mut bytes = B256::ZERO;
        // The libraries' own errors may quote their input.
        let key = hex::decode_to_slice(digits, bytes.as_mut_slice())
            .ok()
            .and_then(|()| SigningKey::from_slice(bytes.as_slice()).ok());
        bytes.fill(0);
        key.map(Self)
            .ok_or_else(|| WalletError::Malformed(origin.to_owned()))
    }

    /// The payer's address.
    pub fn address(&self) -> Address {
        Address::from_private_key(&self.0)
    }

    /// A secret for `purpose` that is derived from the private key, and from which that can't be found.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        crate::util::secret::derive(self.0.to_bytes().as_slice(), purpose)
    }

    /// Signs a payment with a fresh nonce, valid from now. Make it durable before it is sent.
    pub fn sign(&self, accepted: &Accepted) -> SignedPayment {
        let mut nonce = B256::ZERO;
        getrandom::fill(nonce.as_mut_slice()).expect("the operating system provides random numbers");
        self.sign_at(accepted, unix_now(), nonce)
    }

    fn sign_at(&self, accepted: &Accepted, now: u64, nonce: B256) -> SignedPayment {
        let authorization = Authorization {
            from: self.address(),
            to: accepted.payee,
            value: accepted.price.micros(),
            valid_after: now.saturating_sub(BACKDATED.as_secs()),
            valid_before: now.saturating_add(accepted.validity.as_secs()),
            nonce,
        };
        let hash = signing_hash(&accepted.domain, accepted.network, &authorization);
        // RFC 6979, with the lower half of `s`, as the token contract requires.
        let signed = self.0.sign_prehash_recoverable(hash.as_slice());
        let signature = Signature::from(signed.expect("32 bytes can be signed"));
        SignedPayment {
            version: accepted.version,
            resource: accepted.resource.clone(),
            offer: accepted.offer.clone(),
            authorization,
            signature: signature.as_bytes().into(),
        }
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.address())
    }
}

#[cfg(test)]
#[path = "wallet_tests.rs"]
pub(super) mod tests;
