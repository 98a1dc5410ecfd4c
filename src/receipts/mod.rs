//! Receipts: the bucket as the second witness of what was paid.
//!
//! Before a paid call leaves, a [`Receipt`] is created in the bucket, on the condition that there is none yet; after the
//! call it says what became of it. So any machine with the same key finds out that a character was paid for with an
//! image, whatever became of the ledger that paid.
//!
//! The receipts of one character and image are numbered from 1. The next number is used only when the one before says
//! that it was not charged, or that a person decided to pay again.

mod key;
mod receipt;
mod series;

use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::cast::{Kind, Name};
use crate::ledger::{CallState, ReceiptRef};
use crate::publish::{PublishError, Publisher, Stored};
use crate::util::duration::unix_now;

pub use key::ReceiptSecret;
pub use receipt::Receipt;
pub use series::{Series, SeriesError};

/// How much longer than a call a receipt without outcome is believed to be under way: the call may wait for its reply
/// until the time-out, then for the ledger, then for the bucket.
const SLACK: Duration = Duration::from_secs(120);
/// How long after its expiry a signed payment is no longer expected to be charged: clocks differ.
const EXPIRY_SLACK: Duration = Duration::from_secs(60);
/// The most receipts of one character and image. Each of them but the last is a call that was not charged.
const MOST: u32 = 10_000;
/// The number of receipts read concurrently.
const READS: usize = 32;

/// A character with one image, enrolled in one way: what a series of receipts is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The name.
    pub name: &'a Name,
    /// How it is enrolled.
    pub kind: Kind,
    /// SHA-256 of the image, in hex.
    pub source_sha256: &'a str,
}

/// What the receipts of a character and image say.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing is paid or in doubt: the next receipt has this number.
    Free(u32),
    /// It has an asset id.
    Enrolled(Box<Receipt>),
    /// A call has no outcome, and is not under way any more.
    InDoubt(Box<Receipt>),
    /// A call may still be under way, on another machine or for another ledger.
    UnderWay(Box<Receipt>),
}

/// Why receipts can't be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] PublishError),
    /// A receipt exists and can't be read.
    #[error(
        "a receipt exists at {0} and can't be read: allow s3:GetObject on it, or set receipts.enabled = false, which \
         gives up the protection against paying twice from another ledger"
    )]
    Denied(String),
    /// Something else is stored where a receipt belongs.
    #[error("{key} is not a receipt of castline ({problem}): move it away, and look at what it says first")]
    Damaged {
        /// The key of the object.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

impl ReceiptError {
    /// A fixed code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bucket(error) => error.code(),
            Self::Denied(_) => "receipts_denied",
            Self::Damaged { .. } => "receipt_damaged",
        }
    }

    /// Whether no receipt can be read or written, so that the run should stop.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Bucket(error) => error.is_fatal(),
            Self::Denied(_) => true,
            Self::Damaged { .. } => false,
        }
    }
}

/// The receipts of one payer at one API.
#[derive(Debug, Clone)]
pub struct Receipts {
    bucket: Publisher,
    secret: ReceiptSecret,
    /// The folder of all receipts: `prefix/receipts`.
    folder: String,
    api: String,
    cast: String,
    /// The longest time that a paid call may take.
    call: Duration,
}

impl Receipts {
    /// The receipts below `prefix` of the bucket, for the payer with `secret` at the API `api`. `cast` is the name of the
    /// cast's file or folder, and `timeout` the longest time that a paid call may take.
    pub fn new(
        bucket: Publisher,
        prefix: &str,
        secret: ReceiptSecret,
        api: &str,
        cast: &str,
        timeout: Duration,
    ) -> Self {
        let folder = match prefix.trim_matches('/') {
            "" => "receipts".to_owned(),
            prefix => format!("{prefix}/receipts"),
        };
        Self {
            bucket,
            secret,
            folder,
            api: api.to_owned(),
            cast: cast.to_owned(),
            call: timeout + SLACK,
        }
    }

    /// The public name of the payer's key: what its receipts are filed under.
    pub fn fingerprint(&self) -> String {
        self.secret.fingerprint()
    }

    /// The API whose calls the receipts are about.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// The name of the cast's file or folder.
    pub fn cast(&self) -> &str {
        &self.cast
    }

    /// The key of a receipt: nobody finds it without the payer's key.
    fn key(&self, subject: &Subject<'_>, number: u32) -> String {
        self.key_of(
            subject.name.key().as_str(),
            subject.kind,
            subject.source_sha256,
            number,
        )
    }

    fn key_for(&self, receipt: &Receipt) -> String {
        self.key_of(
            &receipt.name_key(),
            receipt.kind,
            &receipt.source_sha256,
            receipt.number,
        )
    }

    fn key_of(&self, name_key: &str, kind: Kind, sha256: &str, number: u32) -> String {
        let name = self.secret.object_name(&self.api, name_key, kind, sha256, number);
        format!("{}/{}/{name}.json", self.folder, self.fingerprint())
    }

    /// Reads the receipts of a character and image, from number `from` on.
    ///
    /// # Errors
    /// The bucket can't be read, or what is there is no receipt.
    pub async fn find(&self, subject: &Subject<'_>, from: u32) -> Result<Found, ReceiptError> {
        for number in from.max(1)..=MOST {
            let key = self.key(subject, number);
            let (receipt, modified) = match self.bucket.read_object(&key).await? {
                // Without permission to list the bucket, S3 says "denied" of what is not there. If it is there, it
                // can't be created, and then the error is reported.
                Stored::Missing | Stored::Denied => return Ok(Found::Free(number)),
                Stored::Found { bytes, modified } => (Receipt::read(&key, &bytes)?, modified),
            };
            let receipt = Box::new(receipt);
            match receipt.state {
                CallState::NotCharged | CallState::Retried => {}
                CallState::Enrolled => return Ok(Found::Enrolled(receipt)),
                CallState::InDoubt => return Ok(Found::InDoubt(receipt)),
                CallState::Open => {
                    let age = self.store_time().await?.saturating_sub(modified);
                    return Ok(match age > self.call {
                        true => Found::InDoubt(receipt),
                        false => Found::UnderWay(receipt),
                    });
                }
                CallState::SetAside => {
                    let until = Duration::from_secs(receipt.valid_until.unwrap_or(u64::MAX));
                    if Duration::from_secs(unix_now()) <= until.saturating_add(EXPIRY_SLACK) {
                        return Ok(Found::UnderWay(receipt));
                    }
                }
            }
        }
        Err(ReceiptError::Damaged {
            key: self.key(subject, MOST),
            problem: format!("{MOST} calls for one image"),
        })
    }

    /// Creates a receipt; `false` if one with that number exists. One that this call has created before, whose reply was
    /// lost, is its own.
    ///
    /// # Errors
    /// The bucket can't be written.
    pub async fn create(&self, receipt: &Receipt) -> Result<bool, ReceiptError> {
        let key = self.key_for(receipt);
        let created = self.bucket.create_object(&key, &receipt.to_json()).await;
        if let Ok(true) = created {
            return Ok(true);
        }
        match self.bucket.read_object(&key).await {
            Ok(Stored::Found { bytes, .. }) => Ok(Receipt::read(&key, &bytes)?.call == receipt.call),
            Ok(Stored::Denied) if created.is_ok() => Err(ReceiptError::Denied(key)),
            _ => Ok(created?),
        }
    }

    /// Writes over a receipt that this call has created. Over any other, [`Receipts::complete`].
    ///
    /// # Errors
    /// The bucket can't be written.
    pub async fn replace(&self, receipt: &Receipt) -> Result<(), ReceiptError> {
        let key = self.key_for(receipt);
        Ok(self.bucket.replace_object(&key, &receipt.to_json()).await?)
    }

    /// Writes what has become of a call, unless its receipt already says more, or belongs to another call; returns
    /// whether it did. For calls of an earlier process, whose ledger may be older than the receipt.
    ///
    /// # Errors
    /// The bucket can't be read or written.
    pub async fn complete(&self, receipt: &Receipt) -> Result<bool, ReceiptError> {
        let key = self.key_for(receipt);
        let cast = match self.bucket.read_object(&key).await? {
            Stored::Found { bytes, .. } => {
                let there = Receipt::read(&key, &bytes)?;
                if there.call != receipt.call
                    || there.state.is_final() && !receipt.corrects(&there)
                    || !receipt.state.is_final() && there.state == CallState::InDoubt
                {
                    return Ok(false);
                }
                there.cast
            }
            Stored::Denied => return Err(ReceiptError::Denied(key)),
            // The process ended before it was created: nothing was sent.
            Stored::Missing if receipt.state == CallState::NotCharged => return Ok(false),
            // Somebody may create one in this moment, which must stay.
            Stored::Missing => return Ok(self.bucket.create_object(&key, &receipt.to_json()).await?),
        };
        // A command that settles a doubt may not know the cast.
        let receipt = Receipt {
            cast,
            ..receipt.clone()
        };
        self.bucket.replace_object(&key, &receipt.to_json()).await?;
        Ok(true)
    }

    /// Reads one receipt.
    ///
    /// # Errors
    /// The bucket can't be read, or what is there is no receipt.
    pub async fn read(&self, subject: &Subject<'_>, number: u32) -> Result<Option<Receipt>, ReceiptError> {
        let key = self.key(subject, number);
        match self.bucket.read_object(&key).await? {
            Stored::Found { bytes, .. } => Ok(Some(Receipt::read(&key, &bytes)?)),
            Stored::Missing | Stored::Denied => Ok(None),
        }
    }

    /// Reads all receipts of this payer, for all APIs.
    ///
    /// # Errors
    /// The bucket can't be listed or read.
    pub async fn all(&self) -> Result<Vec<Receipt>, ReceiptError> {
        self.filed_under(&self.fingerprint()).await
    }

    /// Reads all receipts that are filed under a fingerprint.
    async fn filed_under(&self, fingerprint: &str) -> Result<Vec<Receipt>, ReceiptError> {
        let keys = self
            .bucket
            .list_objects(&format!("{}/{fingerprint}/", self.folder))
            .await?;
        let receipts = keys.iter().filter(|key| !key.ends_with(CLOCK));
        let mut read = stream::iter(receipts)
            .map(|key| async move {
                match self.bucket.read_object(key).await? {
                    Stored::Found { bytes, .. } => Receipt::read(key, &bytes).map(Some),
                    Stored::Missing => Ok(None),
                    Stored::Denied => Err(ReceiptError::Denied(key.clone())),
                }
            })
            .buffered(READS);
        let mut receipts = Vec::new();
        while let Some(receipt) = read.next().await {
            receipts.extend(receipt?);
        }
        Ok(receipts)
    }

    /// Tries what receipts need, with an object of its own: whether of two conditional writes the second is refused.
    ///
    /// # Errors
    /// The bucket can't be written, or what was written can't be read.
    pub async fn try_conditions(&self) -> Result<bool, ReceiptError> {
        let key = format!("{}/try-{}.json", self.folder, new_call(1).call);
        self.bucket.create_object(&key, b"{}").await?;
        let refused = !self.bucket.create_object(&key, b"{}").await?;
        let read = self.bucket.read_object(&key).await?;
        // A run deletes nothing, so that this permission may be missing.
        let _ = self.bucket.delete(&key).await;
        match read {
            Stored::Found { .. } => Ok(refused),
            Stored::Missing | Stored::Denied => Err(ReceiptError::Denied(key)),
        }
    }

    /// The time by the store's clock, since 1970: this machine's may be wrong, and receipts are dated by the store's.
    async fn store_time(&self) -> Result<Duration, ReceiptError> {
        let key = format!("{}/{}/{CLOCK}", self.folder, self.fingerprint());
        self.bucket.replace_object(&key, b"{}").await?;
        Ok(match self.bucket.read_object(&key).await? {
            Stored::Found { modified, .. } => modified,
            Stored::Missing | Stored::Denied => Duration::from_secs(unix_now()),
        })
    }
}

/// The object whose date is the store's time.
const CLOCK: &str = "clock.json";

/// A new random id of a call.
pub fn new_call(number: u32) -> ReceiptRef {
    let mut id = [0u8; 12];
    getrandom::fill(&mut id).expect("the operating system provides random numbers");
    ReceiptRef {
        number,
        call: hex::encode(id),
    }
}
