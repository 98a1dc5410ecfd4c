//! The third stage: enrolls published characters concurrently, at the rate that the API allows.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{Mutex, mpsc};

use super::enrollment::{Enroll, PaidCall, PaymentMethod, Published, Signed};
use super::wallet_payment::StoredPayment;
use crate::cast::NameKey;
use crate::enroll::{EnrollRequest, Outcome};
use crate::exit::ExitCode;
use crate::ledger::{Interrupted, Reader};
use crate::net::public_url::PublicUrl;

impl Enroll {
    /// Enrolls the characters from `input`; returns at its end, or when the run stops.
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

    /// Enrolls one character: see `Enroll::pay`. The outcome is written to the ledger; a real actor with a session
    /// error stays `published`, with the code of that error.
    pub async fn one(&self, published: Published) {
        let Published {
            character,
            url,
            object_key,
            group_id,
            receipt_number,
        } = published;
        let call = PaidCall {
            request: EnrollRequest {
                name: character.name.as_str().to_owned(),
                image_url: url,
            },
            name: character.name,
            object_key,
            group_id,
            receipt_number,
            claim: None,
        };
        self.pay(call, None).await;
    }

    /// Resends the payments that an interrupted run had signed and sent, while they are valid; returns the keys of
    /// their characters.
    pub async fn resume(&self) -> HashSet<NameKey> {
        match &self.payment_method {
            PaymentMethod::Key => HashSet::new(),
            PaymentMethod::Wallet(_) => self.resume_from_wallet().await,
        }
    }

    async fn resume_from_wallet(&self) -> HashSet<NameKey> {
        let interrupted = self.ledger.interrupted();
        join_all(interrupted.iter().map(|open| self.resume_one(open))).await;
        interrupted.iter().map(|open| open.name.key()).collect()
    }

    async fn resume_one(&self, Interrupted { name, payment }: &Interrupted) {
        let text = "castline ended while this call was in progress; it may have been charged";
        let (code, message) = ("interrupted".to_owned(), text.to_owned());
        let kept = serde_json::from_str(payment)
            .ok()
            .and_then(|kept: StoredPayment| {
                let image_url = kept.image_url.parse().ok()?;
                let record = self.ledger.get(&name.key()).ok()??;
                Some((kept, image_url, record.object_key?))
            });
        let Some((kept, image_url, object_key)) = kept else {
            let price = self.price.expected();
            self.settle(name, Outcome::InDoubt { code, message }, price, false)
                .await;
            return;
        };
        if let PaymentMethod::Wallet(payer) = &self.payment_method
            && let Err(why) = self.may_be_sent(payer, &kept.payment)
        {
            let message = format!("{message}; its payment may not be resent: {why}");
            let price = kept.payment.price();
            self.settle(name, Outcome::InDoubt { code, message }, price, false)
                .await;
            return;
        }
        let call = PaidCall {
            name: name.clone(),
            request: EnrollRequest {
                name: name.as_str().to_owned(),
                image_url: PublicUrl::new(image_url),
            },
            object_key,
            group_id: kept.group_id,
            receipt_number: None,
            claim: None,
        };
        let open = Signed {
            payment: kept.payment,
            doubt: Some((code, message)),
        };
        self.pay(call, Some(Box::new(open))).await;
    }
}
