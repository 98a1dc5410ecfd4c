//! Paying from a wallet (x402) instead of by key.
//!
//! ```text
//!  quote ─ 402 ─▶ Challenge ─ Policy ─▶ Accepted ─ Wallet ─▶ SignedPayment ─▶ ledger ─▶ send ─▶ step
//!                 what is asked         what may be           signed once                │       │
//!                 in any dialect        signed at all                                    ◀───────┘
//!                                                               the same one again, until it expires
//! ```
//!
//! What is signed is an EIP-3009 `TransferWithAuthorization` of USDC. The token contract settles one nonce once:
//! a signed payment can be sent as often as needed, and moves the money at most one time. So it is made durable
//! before it is sent, and after a lost reply the *same* one is sent again; a fresh one could be the second
//! charge. Signing and sending are therefore two calls, and [`step`] says what comes after each answer.

mod classify;
mod challenge;
mod payload;
mod policy;
mod send;
mod step;
mod token;
mod wallet;

pub use alloy_primitives::Address;
pub use challenge::{Challenge, ChallengeError};
pub use payload::{Authorization, SignedPayment};
pub use policy::{Accepted, Policy, PolicyError};
pub use send::Quote;
pub use step::{Step, step};
pub use wallet::{WALLET_VARIABLE, Wallet, WalletError, unix_now};
