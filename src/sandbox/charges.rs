//! The charges: every paid call that succeeded, in order, also in a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::util::money::Usd;

/// One paid enrollment, and its permanent asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// The number of the charge: 1, 2, 3, …
    pub seq: u64,
    /// The time of the charge, RFC 3339 in UTC.
    pub time: String,
    /// The paid call: `portrait/enroll` or `realface/enroll`.
    pub endpoint: String,
    /// The character's name, as it was sent.
    pub name: String,
    /// The image's URL without its query (a presigned URL's signature is a secret).
    pub image_url: String,
    /// The liveness session, for a real actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The asset id.
    pub asset_id: String,
    /// The price.
    pub price_usd: Usd,
    /// The address that paid, in wallet mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// The hash of the settlement's transaction, in wallet mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    /// The nonce of the payment's authorization, in wallet mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Whether the sandbox knows that the caller did not receive the asset id.
    pub reply_lost: bool,
}

/// A line of the file: a charge, or the note that the reply to one was lost after all.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Charge(Box<Charge>),
    Lost { seq: u64, reply_lost: bool },
}

/// The charges so far. A charge is written to the file before its reply is built, so that it survives a sandbox that is
/// killed.
pub(super) struct ChargeBook(Mutex<Inner>);

struct Inner {
    charges: Vec<Charge>,
    file: File,
}

impl ChargeBook {
    /// Opens `charges.ndjson` and continues at its end.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).read(true).open(path)?;
        let mut charges: Vec<Charge> = Vec::new();
        for line in BufReader::new(file.try_clone()?).lines() {
            // A last line cut short by a kill never led to a reply.
            match serde_json::from_str(&line?) {
                Ok(Line::Charge(charge)) => charges.push(*charge),
                Ok(Line::Lost { seq, reply_lost }) => set_lost(&mut charges, seq, reply_lost),
                Err(_) => writeln!(file)?,
            }
        }
        Ok(Self(Mutex::new(Inner { charges, file })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a charge under the next number.
    pub(super) fn add(&self, mut charge: Charge) -> io::Result<Charge> {
        let mut inner = self.lock();
        charge.seq = inner.charges.last().map_or(1, |last| last.seq + 1);
        write_line(&mut inner.file, &Line::Charge(Box::new(charge.clone())))?;
        inner.charges.push(charge.clone());
        Ok(charge)
    }

    /// Records that the caller was gone before the reply to charge `seq`, or received it after all.
    pub(super) fn lost(&self, seq: u64, reply_lost: bool) {
        let mut inner = self.lock();
        set_lost(&mut inner.charges, seq, reply_lost);
        let _ = write_line(&mut inner.file, &Line::Lost { seq, reply_lost });
    }

    pub(super) fn all(&self) -> Vec<Charge> {
        self.lock().charges.clone()
    }

    pub(super) fn count(&self) -> u64 {
        self.lock().charges.len() as u64
    }

    /// The charges that `keep` selects.
    pub(super) fn filter(&self, keep: impl Fn(&Charge) -> bool) -> Vec<Charge> {
        self.lock()
            .charges
            .iter()
            .filter(|charge| keep(charge))
            .cloned()
            .collect()
    }
}

fn set_lost(charges: &mut [Charge], seq: u64, lost: bool) {
    if let Ok(at) = charges.binary_search_by_key(&seq, |charge| charge.seq) {
        charges[at].reply_lost = lost;
    }
}

fn write_line(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    // One write: after it the operating system has the data, even if this process is killed.
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(name: &str) -> Charge {
        Charge {
            seq: 0,
            time: "2026-01-01T00:00:00Z".into(),
            endpoint: "portrait/enroll".into(),
            name: name.into(),
            image_url: "https://localhost/bucket/a.jpg".into(),
            group_id: None,
            asset_id: format!("ta_pt_sandbox_{name}"),
            price_usd: Usd::from_micros(10_000),
            payer: None,
            tx_hash: None,
            nonce: None,
            reply_lost: false,
        }
    }

    #[test]
    fn charges_outlive_the_process_and_a_torn_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("charges.ndjson");
        let book = ChargeBook::open(&path).unwrap();
        for name in ["Ada", "Ada", "Bo"] {
            book.add(charge(name)).unwrap();
        }
        book.lost(2, true);
        let before = book.all();
        assert_eq!(before.iter().map(|c| c.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(
            before.iter().map(|c| c.reply_lost).collect::<Vec<_>>(),
            [false, true, false]
        );
        drop(book);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"{\"seq\":4,\"na").unwrap();
        let again = ChargeBook::open(&path).unwrap();
        assert_eq!(again.all(), before);
        assert_eq!(again.add(charge("Cy")).unwrap().seq, 4);
        assert_eq!(ChargeBook::open(&path).unwrap().count(), 4);
    }
}
