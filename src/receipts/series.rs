//! Under which keys a bucket holds receipts. A new key begins a new series only when a person says so: with it, nothing
//! that was paid under another key is found.

use serde::{Deserialize, Serialize};

use super::{Receipt, ReceiptError, Receipts};
use crate::publish::Stored;

/// The fingerprints of all keys under which a bucket holds receipts: the contents of `receipts/series.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Series {
    /// The version of the form.
    pub castline_receipts: u32,
    /// The fingerprints, the oldest first.
    pub payers: Vec<String>,
}

/// Why a run can't use the bucket's receipts.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The bucket holds receipts under another key.
    #[error(
        "the bucket holds receipts under another key ({theirs}) than yours ({ours}): with yours, nothing that they record \
         would be found, and all of it paid again. If your key replaces that one, run `castline ledger rebind`, which \
         carries the receipts over; if it is another account's, `castline ledger rebind --new-series`"
    )]
    OtherKey {
        /// The fingerprints of the other keys.
        theirs: String,
        /// The fingerprint of this key.
        ours: String,
    },
    /// The receipts can't be read or written.
    #[error(transparent)]
    Receipts(#[from] ReceiptError),
}

impl Receipts {
    fn series_key(&self) -> String {
        format!("{}/series.json", self.folder)
    }

    async fn series(&self) -> Result<Option<Series>, ReceiptError> {
        let key = self.series_key();
        match self.bucket.read_object(&key).await? {
            Stored::Found { bytes, .. } => {
                let series = serde_json::from_slice(&bytes).map_err(|e| ReceiptError::Damaged {
                    key,
                    problem: e.to_string(),
                })?;
                Ok(Some(series))
            }
            Stored::Missing | Stored::Denied => Ok(None),
        }
    }

    /// Checks that this key has its receipts in the bucket, or begins the first series.
    ///
    /// # Errors
    /// The bucket holds receipts under other keys only, or it can't be read or written.
    pub async fn check_series(&self) -> Result<(), SeriesError> {
        let first = Series {
            castline_receipts: 1,
            payers: vec![self.fingerprint()],
        };
        let json = serde_json::to_vec_pretty(&first).expect("plain data");
        let key = self.series_key();
        let series = match self.series().await? {
            Some(series) => series,
            None if self
                .bucket
                .create_object(&key, &json)
                .await
                .map_err(ReceiptError::from)? =>
            {
                first
            }
            // Another machine was faster, or it can't be read.
            None => self.series().await?.ok_or(ReceiptError::Denied(key))?,
        };
        self.check_among(&series)
    }

    /// As [`Receipts::check_series`], but begins no series.
    ///
    /// # Errors
    /// As there.
    pub async fn check_existing_series(&self) -> Result<(), SeriesError> {
        match self.series().await? {
            Some(series) => self.check_among(&series),
            None => Ok(()),
        }
    }

    fn check_among(&self, series: &Series) -> Result<(), SeriesError> {
        let ours = self.fingerprint();
        match series.payers.contains(&ours) {
            true => Ok(()),
            false => Err(SeriesError::OtherKey {
                theirs: series.payers.join(", "),
                ours,
            }),
        }
    }

    /// Makes this key one of the bucket's, and with `carry_over` copies the receipts of all other keys under it, and its
    /// own of the API `before`; returns how many. What this key has already is kept.
    ///
    /// # Errors
    /// The bucket can't be listed, read or written.
    pub async fn rebind(&self, before: Option<&str>, carry_over: bool) -> Result<usize, ReceiptError> {
        let ours = self.fingerprint();
        let mut series = self.series().await?.unwrap_or(Series {
            castline_receipts: 1,
            payers: Vec::new(),
        });
        let mut carried = 0;
        if carry_over {
            for payer in &series.payers {
                for receipt in self.filed_under(payer).await? {
                    let moved = before == Some(receipt.api.as_str()) && receipt.api != self.api;
                    if moved || (*payer != ours && receipt.api == self.api) {
                        carried += usize::from(self.carry(receipt).await?);
                    }
                }
            }
        }
        if !series.payers.contains(&ours) {
            series.payers.push(ours);
        }
        let json = serde_json::to_vec_pretty(&series).expect("plain data");
        self.bucket.replace_object(&self.series_key(), &json).await?;
        Ok(carried)
    }

    /// Copies a receipt of another key, or of the same API under another address, into this series; `false` if it is
    /// there already.
    async fn carry(&self, receipt: Receipt) -> Result<bool, ReceiptError> {
        let receipt = Receipt {
            api: self.api.clone(),
            ..receipt
        };
        let key = self.key_for(&receipt);
        Ok(self.bucket.create_object(&key, &receipt.to_json()).await?)
    }
}
