//! The second stage: publishes images concurrently, each at a public address.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::{OnceCell, mpsc};

use super::inspected::{Evidence, Inspected};
use super::recorder::{failed, ledger_broke};
use super::{InspectStage, Published, Shutdown};
use crate::cast::Character;
use crate::event::{Event, Reporters, Stage};
use crate::exit::ExitCode;
use crate::inspect::Prepared;
use crate::ledger::{Ledger, Transition};
use crate::net::public_url::PublicUrl;
use crate::publish::{Fetcher, ProbeError, Publisher, object_key};
use crate::util::sha256::sha256;

/// The second stage: publishes images.
pub struct Publish {
    /// The S3 client.
    pub publisher: Publisher,
    /// Reads published addresses as an anonymous client.
    pub fetcher: Fetcher,
    /// The ledger.
    pub ledger: Ledger,
    /// The receivers of events.
    pub reporters: Arc<Reporters>,
    /// The request to stop.
    pub shutdown: Shutdown,
    /// Prepares an image again after its earlier upload disappeared.
    pub inspect: Arc<InspectStage>,
    /// The prefix of object keys.
    pub prefix: String,
    /// The maximum number of concurrent uploads.
    pub concurrency: usize,
    /// Whether to fetch each address once before it is paid for.
    pub probe: bool,
    /// Whether an address where nothing was written serves no image: asked once a run.
    pub unwritten: OnceCell<Result<(), ProbeError>>,
    /// Set by the first upload that was read back, or by one that failed for a reason that concerns all; the other
    /// uploads wait for it.
    pub first: OnceCell<Result<(), Trouble>>,
}

/// Why an image has no public address.
#[derive(Debug, Clone)]
pub struct Trouble {
    code: &'static str,
    message: String,
    /// It affects the whole run, not only this image.
    fatal: bool,
}

impl Publish {
    /// Publishes the characters from `input`, and passes them on to `output`; returns at the end of the input.
    pub async fn run(self: Arc<Self>, input: mpsc::Receiver<Inspected>, output: mpsc::Sender<Published>) {
        let input = futures_util::stream::unfold(input, |mut input| async {
            input.recv().await.map(|inspected| (inspected, input))
        });
        input
            .for_each_concurrent(self.concurrency, |inspected| {
                let station = Arc::clone(&self);
                let output = output.clone();
                async move {
                    if station.shutdown.is_requested() {
                        return;
                    }
                    if let Some(published) = station.one(inspected).await {
                        // The next stage is gone only when the run stops.
                        let _ = output.send(published).await;
                    }
                }
            })
            .await;
    }

    /// Publishes one image; a failure is reported.
    pub async fn one(&self, inspected: Inspected) -> Option<Published> {
        let Inspected {
            character,
            sha256,
            evidence,
            receipt_number,
            ..
        } = inspected;
        let (prepared, key) = match evidence {
            Evidence::Fresh { prepared, .. } => (prepared, None),
            Evidence::Cached { published, .. } => (None, published),
            Evidence::Kept | Evidence::Unreadable(_) => (None, None),
        };
        let published = match prepared {
            Some(prepared) => {
                let ready = self.upload(&prepared).await;
                self.end(character, ready).await
            }
            None => self.republish(character, &sha256, key).await,
        };
        published.map(|published| Published {
            receipt_number,
            ..published
        })
    }

    /// Publishes an image whose earlier object has `key`, if any; if that object is gone, prepares and uploads the
    /// image again.
    pub async fn republish(
        &self,
        character: Character,
        sha256: &str,
        key: Option<String>,
    ) -> Option<Published> {
        let there = match &key {
            Some(key) => self.there(key).await,
            None => None,
        };
        let ready = match key.zip(there) {
            Some(ready) => Ok(ready),
            None => self.prepare_and_upload(&character, sha256).await,
        };
        self.end(character, ready).await
    }

    /// Writes the result to the ledger, and reports it.
    async fn end(
        &self,
        character: Character,
        ready: Result<(String, PublicUrl), Trouble>,
    ) -> Option<Published> {
        match ready {
            Ok((key, url)) => {
                let published = Transition::Publish {
                    object_key: key.clone(),
                    url: url.unsigned(),
                };
                if let Err(error) = self.ledger.write(&character.name, [published]).await {
                    ledger_broke(&self.shutdown, &error);
                    return None;
                }
                let name = character.name.as_str().to_owned();
                self.reporters.emit(Event::Published {
                    name,
                    url: url.unsigned(),
                });
                Some(Published {
                    character,
                    url,
                    object_key: key,
                    group_id: None,
                    receipt_number: None,
                })
            }
            Err(trouble) => {
                // Lets `castline retry` find it.
                let fail = Transition::Fail {
                    code: trouble.code.to_owned(),
                    message: trouble.message.clone(),
                };
                if let Err(error) = self.ledger.write(&character.name, [fail]).await {
                    ledger_broke(&self.shutdown, &error);
                }
                if trouble.fatal {
                    self.shutdown
                        .request(ExitCode::Usage, trouble.code, trouble.message.clone());
                }
                failed(
                    &self.reporters,
                    &character.name,
                    Stage::Publish,
                    trouble.code,
                    trouble.message,
                );
                None
            }
        }
    }

    /// The address of an earlier upload, if it still serves the bytes that were uploaded: their digest is in the key.
    async fn there(&self, key: &str) -> Option<PublicUrl> {
        let url = self.publisher.address(key).await.ok()?;
        let served = self.fetcher.probe(&url).await.ok()?;
        let (_, extension) = key.rsplit_once('.')?;
        (self.key_of(&served, extension) == key).then_some(url)
    }

    fn key_of(&self, bytes: &[u8], extension: &str) -> String {
        let digest = sha256(bytes);
        object_key(&self.prefix, self.ledger.key_secret(), &digest, extension)
    }

    async fn prepare_and_upload(
        &self,
        character: &Character,
        sha256: &str,
    ) -> Result<(String, PublicUrl), Trouble> {
        let prepared = self.inspect.prepare_for_reupload(character, sha256).await;
        let prepared = prepared.map_err(|(code, message)| Trouble {
            code,
            message,
            fatal: false,
        })?;
        self.upload(&prepared).await
    }

    /// Uploads an image, and reads it back. The first one of a run goes alone: what is wrong with the bucket is then
    /// known before the whole cast is in it.
    async fn upload(&self, prepared: &Prepared) -> Result<(String, PublicUrl), Trouble> {
        let mut own = None;
        let first = self.first.get_or_try_init(|| async {
            let uploaded = self.upload_now(prepared).await;
            let outcome = match &uploaded {
                Ok(_) => Ok(Ok(())),
                Err(trouble) if trouble.fatal => Ok(Err(trouble.clone())),
                // It concerns this image only: the next one is the first.
                Err(_) => Err(()),
            };
            own = Some(uploaded);
            outcome
        });
        let first = first.await.cloned();
        match own {
            Some(uploaded) => uploaded,
            None => {
                first.unwrap_or(Ok(()))?;
                self.upload_now(prepared).await
            }
        }
    }

    async fn upload_now(&self, prepared: &Prepared) -> Result<(String, PublicUrl), Trouble> {
        let key = self.key_of(&prepared.bytes, prepared.format.extension());
        let url = self
            .publisher
            .publish(
                prepared.bytes.clone().into(),
                prepared.format.content_type(),
                &key,
            )
            .await
            .map_err(|e| Trouble {
                code: e.code(),
                message: e.to_string(),
                fatal: e.is_fatal(),
            })?;
        if self.probe {
            self.read_back(&url, prepared).await?;
        }
        Ok((key, url))
    }

    /// Checks that an address serves what was uploaded to it: the same bytes, or the same picture, since a CDN may encode
    /// images anew.
    async fn read_back(&self, url: &PublicUrl, prepared: &Prepared) -> Result<(), Trouble> {
        let unwritten = || self.publisher.check_unwritten(&self.fetcher);
        self.unwritten.get_or_init(unwritten).await.clone()?;
        let served = self.fetcher.probe(url).await?;
        if served == prepared.bytes {
            return Ok(());
        }
        let (inspector, uploaded) = (Arc::clone(&self.inspect.inspector), prepared.bytes.clone());
        let same = tokio::task::spawn_blocking(move || inspector.show_the_same(&served, &uploaded));
        if same.await.unwrap_or(false) {
            return Ok(());
        }
        Err(Trouble {
            code: "other_picture",
            message: format!(
                "{} serves another picture than the one that was uploaded; check what the CDN or s3.public_base_url \
                 puts before the bucket",
                url.unsigned()
            ),
            fatal: false,
        })
    }
}

impl From<ProbeError> for Trouble {
    fn from(error: ProbeError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            fatal: error.is_fatal(),
        }
    }
}
