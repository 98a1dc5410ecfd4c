//! The third station: enrolls what is published, several at once, at the rate that the API allows.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio::sync::{Mutex, mpsc};

use super::paid_call::{PaidCall, PaymentMethod};
use super::{Price, Shutdown};
use crate::cast::{Character, NameKey};
use crate::enroll::{Client, EnrollRequest, RateLimiter, StopKind};
use crate::event::Reporters;
use crate::exit::ExitCode;
use crate::ledger::{Budget, Ledger};
use crate::net::public_url::PublicUrl;
use crate::publish::Publisher;

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

impl Enroll {
    /// Enrolls what comes in, and ends with its input or when the run stops.
    pub async fn run(self: Arc<Self>, input: mpsc::Receiver<Published>) {
        let input = Arc::new(Mutex::new(input));
        let callers = (0..self.concurrency).map(|_| {
            let (station, input) = (Arc::clone(&self), Arc::clone(&input));
            tokio::spawn(async move { station.caller(&input).await })
        });
        for caller in callers.collect::<Vec<_>>() {
            if caller.await.is_err() {
                let message = "internal error: a paid call panicked; please report it";
                self.shutdown.request(ExitCode::Internal, "internal", message);
            }
        }
    }

    async fn caller(&self, input: &Mutex<mpsc::Receiver<Published>>) {
        loop {
            let next = async { input.lock().await.recv().await };
            let published = tokio::select! {
                biased;
                () = self.shutdown.requested() => return,
                published = next => published,
            };
            let Some(published) = published else { return };
            self.one(published).await;
        }
    }

    /// Enrolls one character: see [`Enroll::pay`]. What is written in the ledger says how it ended; a real actor whose
    /// session is the matter stays `published`, with the code of that.
    pub async fn one(&self, published: Published) {
        let Published {
            character,
            url,
            object_key,
            group_id,
        } = published;
        let call = PaidCall {
            request: EnrollRequest {
                name: character.name.as_str().to_owned(),
                image_url: url,
            },
            name: character.name,
            object_key,
            group_id,
        };
        self.pay(call, None).await;
    }

    /// Sends again what an interrupted run had signed and sent, as long as that is valid; returns whose it was.
    pub async fn resume(&self) -> HashSet<NameKey> {
        match &self.payment_method {
            PaymentMethod::Key => HashSet::new(),
            PaymentMethod::Wallet(_) => self.resume_from_wallet().await,
        }
    }
}
