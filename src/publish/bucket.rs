//! Small objects beside the images: created only where nothing is yet, read, replaced and listed.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use bytes::Bytes;

use super::error::PublishError;
use super::s3::{CONFLICT, Publisher, sha256_base64};

/// The largest object that is read, in bytes: a receipt has about 2 kB.
const LARGEST: i64 = 1 << 20;

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Nothing, as far as the store says. Without permission to list a bucket, S3 does not say so: see
    /// [`Stored::Denied`].
    Missing,
    /// The store denies access: the object may exist or not.
    Denied,
    /// An object.
    Found {
        /// Its contents.
        bytes: Bytes,
        /// When it was written, in seconds since 1970 by the store's clock.
        modified: Duration,
    },
}

impl Publisher {
    /// Creates an object under `key`, unless one exists; returns whether it did.
    ///
    /// A store that knows no conditions is asked first whether the object exists.
    ///
    /// # Errors
    /// S3 is unreachable or refuses.
    pub async fn create_object(&self, key: &str, json: &[u8]) -> Result<bool, PublishError> {
        let mut pauses = CONFLICT.iter();
        loop {
            let sent = self.put_json(key, json, true).await;
            let Err(error) = sent else {
                return Ok(true);
            };
            let status = error.raw_response().map(|response| response.status().as_u16());
            match (status, error.code().unwrap_or_default()) {
                (Some(412), _) => return Ok(false),
                (Some(409), _) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Ok(false),
                },
                (Some(501), _) | (_, "NotImplemented") => {
                    if matches!(self.read_object(key).await?, Stored::Found { .. }) {
                        return Ok(false);
                    }
                    self.replace_object(key, json).await?;
                    return Ok(true);
                }
                _ => return Err(self.access_error("s3:PutObject", &error)),
            }
        }
    }

    /// Writes the object `key`, whatever is there.
    ///
    /// # Errors
    /// S3 is unreachable or refuses.
    pub async fn replace_object(&self, key: &str, json: &[u8]) -> Result<(), PublishError> {
        let sent = self.put_json(key, json, false).await;
        sent.map(drop)
            .map_err(|error| self.access_error("s3:PutObject", &error))
    }

    async fn put_json(
        &self,
        key: &str,
        json: &[u8],
        if_new: bool,
    ) -> Result<PutObjectOutput, SdkError<PutObjectError>> {
        let put = || {
            self.client
                .put_object()
                .bucket(&self.settings.bucket)
                .key(key)
                .content_type("application/json")
                .cache_control("no-store")
                .set_if_none_match(if_new.then(|| "*".to_owned()))
                .body(Bytes::copy_from_slice(json).into())
        };
        self.send_put(put, &sha256_base64(json)).await
    }

    /// Reads the object `key`.
    ///
    /// # Errors
    /// S3 is unreachable or refuses, or the object is larger than a MiB.
    pub async fn read_object(&self, key: &str) -> Result<Stored, PublishError> {
        let get = self.client.get_object().bucket(&self.settings.bucket).key(key);
        let found = match get.send().await {
            Ok(found) => found,
            Err(error) => {
                let status = error.raw_response().map(|response| response.status().as_u16());
                return match (status, error.code().unwrap_or_default()) {
                    (_, "NoSuchKey") => Ok(Stored::Missing),
                    (_, "AccessDenied") => Ok(Stored::Denied),
                    _ => Err(self.access_error("s3:GetObject", &error)),
                };
            }
        };
        let broken = |what: String| PublishError::object("unreadable_object", format!("{key}: {what}"));
        if found.content_length().is_some_and(|length| length > LARGEST) {
            return Err(broken(
                "it is too large for what castline writes there".to_owned(),
            ));
        }
        let modified = found.last_modified().map_or(0, |time| time.secs());
        let body = found.body.collect().await.map_err(|e| broken(e.to_string()))?;
        Ok(Stored::Found {
            bytes: body.into_bytes(),
            modified: Duration::from_secs(u64::try_from(modified).unwrap_or_default()),
        })
    }

    /// The keys of all objects whose key begins with `prefix`.
    ///
    /// # Errors
    /// S3 is unreachable or refuses.
    pub async fn list_objects(&self, prefix: &str) -> Result<Vec<String>, PublishError> {
        let list = self
            .client
            .list_objects_v2()
            .bucket(&self.settings.bucket)
            .prefix(prefix);
        let mut pages = list.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.access_error("s3:ListBucket", &error))?;
            keys.extend(
                page.contents()
                    .iter()
                    .filter_map(|object| object.key().map(str::to_owned)),
            );
        }
        Ok(keys)
    }
}
