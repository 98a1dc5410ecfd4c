//! Payment from a wallet (x402) instead of by key.
//!
//! ```text
//!  quote ─ 402 ─▶ Challenge ─ Policy ─▶ Accepted ─ Wallet ─▶ SignedPayment ─▶ ledger ─▶ send ─▶ step
//!                 the request           what may be           signed once                │       │
//!                 in any dialect        signed at all                                    ◀───────┘
//!                                                               the same one again, until it expires
//! ```
//!
//! What is signed is an EIP-3009 `TransferWithAuthorization` of USDC. The token contract settles a nonce once:
//! a signed payment can be sent as often as needed, and moves the money at most once. It is therefore made durable
//! before it is sent, and after a lost reply the *same* payment is resent; a fresh one could be a second charge.
//! Signing and sending are separate calls, and [`step()`] decides what follows each answer.

mod chain;
mod classify;
mod challenge;
mod payload;
mod policy;
mod send;
mod step;
mod token;
mod wallet;

pub use crate::util::duration::unix_now;
pub use alloy_primitives::Address;
pub use chain::{Chain, ChainError, Settlement};
pub use challenge::{Challenge, ChallengeError};
pub use payload::{Authorization, SignedPayment};
pub use policy::{Accepted, Policy, PolicyError};
pub use send::Quote;
pub use step::{Step, step};
pub use wallet::{WALLET_VARIABLE, Wallet, WalletError};
