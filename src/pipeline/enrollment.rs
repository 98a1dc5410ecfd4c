//! What the third station is, and what a paid call goes through in it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::{Price, Shutdown};
use crate::cast::{Character, Name};
use crate::enroll::payment::{Policy, SignedPayment, Wallet};
use crate::enroll::{Client, EnrollRequest, RateLimiter, StopKind};
use crate::event::Reporters;
use crate::exit::ExitCode;
use crate::ledger::{Budget, Ledger};
use crate::net::public_url::PublicUrl;
use crate::publish::Publisher;
use crate::util::money::Usd;

/// The third station.
pub struct Enroll {
    /// Speaks the API.
    pub client: Client,
    /// How calls are paid.
    pub payment_method: PaymentMethod,
    /// Signs the address of an image just before the call, where addresses are signed and live for a short time:
    /// a call may wait for its turn for longer than that.
    pub signer: Option<Publisher>,
    /// Keeps to the rate.
    pub rate_limiter: RateLimiter,
    /// What is durable.
    pub ledger: Ledger,
    /// Where events go.
    pub reporters: Arc<Reporters>,
    /// What follows the name of another command in a message, so that it works on the same cast.
    pub same_arguments: String,
    /// The request to stop.
    pub shutdown: Shutdown,
    /// Price of one enrollment, as far as known.
    pub price: Price,
    /// What may be spent.
    pub budget: Budget,
    /// Calls under way at once.
    pub concurrency: usize,
    /// How often a call that provably cost nothing is tried again.
    pub retries: u32,
    /// Stop after so many calls in a row that are in doubt.
    pub max_consecutive_in_doubt: u32,
    /// How many there are now.
    pub consecutive_in_doubt: AtomicU32,
}

/// A character whose image has its public address.
#[derive(Debug)]
pub struct Published {
    /// The character.
    pub character: Character,
    /// Where its image is. A signed address may be too old when its turn comes: see [`Enroll::signer`].
    pub url: PublicUrl,
    /// The key of the published object.
    pub object_key: String,
    /// Of a real actor: the liveness session that was passed.
    pub group_id: Option<String>,
}

/// The exit code of a run that the API stops.
pub fn exit_of(kind: StopKind) -> ExitCode {
    match kind {
        StopKind::Address => ExitCode::Usage,
        StopKind::Key | StopKind::Funds | StopKind::Quota | StopKind::Payment => ExitCode::AuthOrPayment,
    }
}

/// How calls are paid.
#[derive(Debug)]
pub enum PaymentMethod {
    /// By the client's key, from an account.
    Key,
    /// From a wallet, call by call.
    Wallet(Box<Payer>),
}

/// A call that enrolls one character.
pub(super) struct PaidCall {
    pub(super) name: Name,
    pub(super) request: EnrollRequest,
    pub(super) object_key: String,
    /// Of a real actor: the liveness session that was passed.
    pub(super) group_id: Option<String>,
}

/// By what a call is authorized, once its intent is durable.
pub(super) enum Authorized {
    /// By the key, at this expected price.
    Key(Usd),
    /// By a signed payment.
    Wallet(Box<Signed>),
}

/// What to do after a call.
pub(super) enum Next {
    /// Nothing more: its outcome is written and reported.
    Done,
    /// Make it again.
    Retry {
        /// As the API asked; without it, back off.
        after: Option<Duration>,
        code: String,
        message: String,
        /// The payment to make it with again, whose intent is still open.
        open: Option<Box<Signed>>,
    },
}

impl Next {
    /// Make the call again, with a new intent.
    pub(super) fn retry(after: Option<Duration>, code: String, message: String) -> Self {
        Self::Retry {
            after,
            code,
            message,
            open: None,
        }
    }
}

/// Who pays from a wallet, and what may be signed.
#[derive(Debug)]
pub struct Payer {
    /// Signs.
    pub wallet: Wallet,
    /// What it may sign.
    pub policy: Policy,
}

/// A signed payment whose intent is open.
pub(super) struct Signed {
    pub(super) payment: SignedPayment,
    /// Code and message of the first answer, if any, that left open whether it was charged.
    pub(super) doubt: Option<(String, String)>,
}
