//! The types of the third stage and of its paid calls.

use std::sync::Arc;
use std::time::Duration;

use super::receipts::Claim;
use super::{Brake, Price, Shutdown};
use crate::cast::{Character, Name};
use crate::enroll::payment::{Policy, SignedPayment, Wallet};
use crate::enroll::{Client, EnrollRequest, RateLimiter, StopKind};
use crate::event::{Event, Reporters};
use crate::exit::ExitCode;
use crate::ledger::{Budget, Ledger};
use crate::net::public_url::PublicUrl;
use crate::publish::Publisher;
use crate::receipts::Receipts;
use crate::util::money::Usd;

/// The third stage: enrolls published characters.
pub struct Enroll {
    /// The API client.
    pub client: Client,
    /// How calls are paid.
    pub payment_method: PaymentMethod,
    /// Signs the address of an image just before the call, where addresses are signed: a call may wait for longer than
    /// a signature is valid.
    pub signer: Option<Publisher>,
    /// Limits the rate of calls.
    pub rate_limiter: RateLimiter,
    /// The ledger.
    pub ledger: Ledger,
    /// The receipts of paid calls in the bucket; `None` when they are off.
    pub receipts: Option<Receipts>,
    /// The receivers of events.
    pub reporters: Arc<Reporters>,
    /// The arguments after a suggested command that select the same cast.
    pub same_arguments: String,
    /// The request to stop.
    pub shutdown: Shutdown,
    /// Price of one enrollment, as far as known.
    pub price: Price,
    /// The limits on spending.
    pub budget: Budget,
    /// The maximum number of concurrent calls.
    pub concurrency: usize,
    /// How often a call that provably cost nothing is retried.
    pub retries: u32,
    /// Stops the run when too many calls in a row end in doubt.
    pub brake: Brake,
}

/// A character whose image is published.
#[derive(Debug)]
pub struct Published {
    /// The character.
    pub character: Character,
    /// The address of its image. A signed address may have expired when its turn comes: see [`Enroll::signer`].
    pub url: PublicUrl,
    /// The key of the published object.
    pub object_key: String,
    /// The passed liveness session of a real actor.
    pub group_id: Option<String>,
    /// The number of its next receipt, if the bucket was asked for it.
    pub receipt_number: Option<u32>,
}

/// The exit code of a run stopped by the API.
pub fn exit_of(kind: StopKind) -> ExitCode {
    match kind {
        StopKind::Address => ExitCode::Usage,
        StopKind::Key | StopKind::Plan | StopKind::Funds | StopKind::Quota | StopKind::Payment => {
            ExitCode::AuthOrPayment
        }
    }
}

/// How calls are paid.
#[derive(Debug)]
pub enum PaymentMethod {
    /// By the client's API key, from an account.
    Key,
    /// From a wallet, with a payment for each call.
    Wallet(Box<Payer>),
}

/// A call that enrolls one character.
pub(super) struct PaidCall {
    pub(super) name: Name,
    pub(super) request: EnrollRequest,
    pub(super) object_key: String,
    /// The passed liveness session of a real actor.
    pub(super) group_id: Option<String>,
    pub(super) receipt_number: Option<u32>,
    /// Its receipt; `None` before it is known, and when receipts are off.
    pub(super) claim: Option<Claim>,
}

/// The authorization of a call, once its intent is durable.
pub(super) enum Authorized {
    /// The API key, at this expected price.
    Key(Usd),
    /// A signed payment.
    Wallet(Box<Signed>),
}

/// The next step after a call.
pub(super) enum Next {
    /// Nothing: the outcome is written and reported.
    Done,
    /// An id is in the ledger: report it as soon as the receipt has it too.
    Report(Box<Event>),
    /// Repeat the call.
    Retry {
        /// The delay requested by the API; without it, back off.
        after: Option<Duration>,
        code: String,
        message: String,
        /// The payment to resend, whose intent is still open.
        open: Option<Box<Signed>>,
    },
}

impl Next {
    /// Repeat the call with a new intent.
    pub(super) fn retry(after: Option<Duration>, code: String, message: String) -> Self {
        Self::Retry {
            after,
            code,
            message,
            open: None,
        }
    }
}

/// A wallet, and the policy of what it may sign.
#[derive(Debug)]
pub struct Payer {
    /// The wallet that signs payments.
    pub wallet: Wallet,
    /// What it may sign.
    pub policy: Policy,
}

/// A signed payment whose intent is open.
pub(super) struct Signed {
    pub(super) payment: SignedPayment,
    /// Code and message of the first reply, if any, that left open whether it was charged.
    pub(super) doubt: Option<(String, String)>,
}
