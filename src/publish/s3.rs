//! Uploads to S3: once, without overwriting, and returns the public URL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use url::Url;

use super::error::PublishError;
use crate::net::public_url::PublicUrl;
use crate::util::sha256::sha256;

/// The longest validity of a signature that S3 allows.
const LONGEST_PRESIGN: Duration = Duration::from_secs(7 * 24 * 3600);
/// The API accepts URLs shorter than this, in bytes.
const LONGEST_URL: usize = 2048;
/// Timeout of one upload attempt: 10 MB at 1 Mbit/s take 80 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The pauses after a 409, which means that another upload of the same key is in progress.
pub(super) const CONFLICT: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// Where images are published, and how.
#[derive(Debug, Clone)]
pub struct PublishSettings {
    /// The bucket.
    pub bucket: String,
    /// Prefix of object keys: a folder, or empty.
    pub prefix: String,
    /// The bucket's region; when `None`, the AWS configuration's, or `us-east-1` if the endpoint is not
    /// Amazon's.
    pub region: Option<String>,
    /// Endpoint of an S3-compatible service; when `None`, the AWS configuration's (`AWS_ENDPOINT_URL_S3`), or Amazon's.
    pub endpoint: Option<Url>,
    /// Whether to address objects as endpoint/bucket/key rather than bucket.endpoint/key.
    pub force_path_style: bool,
    /// Public base URL of the bucket, such as a CDN; the bucket's own URL when `None`.
    pub public_base_url: Option<Url>,
    /// Validity of signed URLs, at most 7 days, which are used instead of public ones if set. Temporary credentials
    /// end it earlier.
    pub presign_expiry: Option<Duration>,
    /// The `Cache-Control` header of objects; no header when empty.
    pub cache_control: String,
    /// How often an upload is retried after a transient error.
    pub retries: u32,
    /// An extra root certificate to trust, in PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// Fixed credentials, used by the sandbox instead of the AWS chain.
#[derive(Clone)]
pub struct StaticCredentials(Credentials);

impl StaticCredentials {
    /// Credentials from an access key and its secret.
    pub fn new(access_key: &str, secret_key: &str) -> Self {
        Self(Credentials::new(access_key, secret_key, None, None, "castline"))
    }
}

/// Publishes images. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    pub(super) client: aws_sdk_s3::Client,
    pub(super) settings: PublishSettings,
    /// Whether uploads carry `x-amz-checksum-sha256`. Off once a store has refused such a header; the signature of a
    /// request covers its body as well.
    sends_checksums: Arc<AtomicBool>,
}

/// An object to upload.
struct Object<'a> {
    key: &'a str,
    content_type: &'a str,
    bytes: Bytes,
    /// SHA-256 in base64, as in S3 headers.
    sha256: String,
}

impl Publisher {
    /// A publisher. Without `credentials` the AWS chain is used: environment, profile (with role assumption),
    /// web identity, container, instance; SSO and credential processes are not built in.
    ///
    /// Checks settings, finds credentials and builds one URL, so that an error that would affect every image occurs
    /// before the first.
    ///
    /// # Errors
    /// There is no region or no credentials, or a setting is invalid.
    pub async fn new(
        settings: PublishSettings,
        credentials: Option<StaticCredentials>,
    ) -> Result<Self, PublishError> {
        check(&settings)?;
        let bad_ca =
            |e: &dyn std::fmt::Display| PublishError::setup("bad_ca_file", format!("tls.ca_file: {e}"));
        let mut trust = TrustStore::default();
        if let Some(pem) = &settings.ca_pem {
            // The SDK panics on an invalid certificate.
            crate::net::tls::extra_roots(pem).map_err(|e| bad_ca(&e))?;
            trust.add_pem_certificate(pem.clone());
        }
        let context = TlsContext::builder().with_trust_store(trust).build();
        let context = context.map_err(|e| bad_ca(&e))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .tls_context(context)
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(timeouts)
            // The only place that retries uploads: they carry If-None-Match, so repeating one is harmless.
            .retry_config(RetryConfig::standard().with_max_attempts(settings.retries.saturating_add(1)));
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(StaticCredentials(credentials)) = credentials {
            loader = loader.credentials_provider(credentials);
        }
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(of_store(endpoint, &settings.bucket).as_str());
        }
        let config = loader.load().await;
        let mut of_s3 =
            aws_sdk_s3::config::Builder::from(&config).force_path_style(settings.force_path_style);
        if config.region().is_none() {
            if config.endpoint_url().is_none() {
                let message = "no region: set s3.region, or export AWS_REGION";
                return Err(PublishError::setup("no_region", message));
            }
            of_s3 = of_s3.region(Region::new("us-east-1"));
        }
        // `AWS_REQUEST_CHECKSUM_CALCULATION=when_required`, or the same in a profile.
        let sends_checksums =
            config.request_checksum_calculation() != Some(RequestChecksumCalculation::WhenRequired);
        // Where castline sends a checksum header it sends its own, so the SDK must not add one.
        let of_s3 = of_s3
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let client = aws_sdk_s3::Client::from_conf(of_s3.build());
        let publisher = Self {
            client,
            settings,
            sends_checksums: Arc::new(AtomicBool::new(sends_checksums)),
        };
        publisher.address("castline.jpg").await?;
        Ok(publisher)
    }

    /// Uploads an image under `key` unless it exists already, and returns its URL. `key` must identify the content,
    /// as [`object_key`](super::object_key) does: an existing object is taken for the same image.
    ///
    /// # Errors
    /// S3 is unreachable or refuses, or another object exists under `key`.
    pub async fn publish(
        &self,
        bytes: Bytes,
        content_type: &str,
        key: &str,
    ) -> Result<PublicUrl, PublishError> {
        let object = Object {
            key,
            content_type,
            sha256: sha256_base64(&bytes),
            bytes,
        };
        let mut pauses = CONFLICT.iter();
        loop {
            if self.put(&object).await? {
                return self.address(key).await;
            }
            let Some(pause) = pauses.next() else {
                let message =
                    format!("other uploads keep writing {key} at the same time (409): run again later");
                return Err(PublishError::object("conflict", message));
            };
            tokio::time::sleep(*pause).await;
        }
    }

    /// Uploads once. `false` when another upload of the same key was in progress: try again.
    async fn put(&self, object: &Object<'_>) -> Result<bool, PublishError> {
        let sent = self.send(object, true).await;
        let Err(error) = sent else { return Ok(true) };
        let status = error.raw_response().map(|response| response.status().as_u16());
        // A store may respond with 412 and hang up during the upload, so that only a broken pipe is seen. If the
        // object exists and is complete, nothing is wrong.
        if status.is_none() && self.is_there(object).await.unwrap_or(false) {
            return Ok(true);
        }
        match (status, error.code().unwrap_or_default()) {
            (Some(412), _) => self.is_there(object).await,
            (Some(409), _) => Ok(false),
            // Some stores don't support the condition. The key identifies the content, so nothing is lost.
            (Some(501), _) | (_, "NotImplemented") => {
                if self.is_there(object).await? {
                    return Ok(true);
                }
                let sent = self.send(object, false).await;
                sent.map_err(|error| self.access_error("s3:PutObject", &error))?;
                Ok(true)
            }
            (_, "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch") => {
                // Some stores keep the rejected object; the next upload would take it for the image.
                let _ = self.delete(object.key).await;
                Err(PublishError::object(
                    "damaged_on_the_way",
                    "the image was damaged in transit: run again",
                ))
            }
            _ => Err(self.access_error("s3:PutObject", &error)),
        }
    }

    async fn send(
        &self,
        object: &Object<'_>,
        if_new: bool,
    ) -> Result<PutObjectOutput, SdkError<PutObjectError>> {
        let cache_control = Some(&self.settings.cache_control).filter(|text| !text.is_empty());
        let put = || {
            self.client
                .put_object()
                .bucket(&self.settings.bucket)
                .key(object.key)
                .content_type(object.content_type)
                .set_cache_control(cache_control.cloned())
                .set_if_none_match(if_new.then(|| "*".to_owned()))
                .body(object.bytes.clone().into())
        };
        self.send_put(put, &object.sha256).await
    }

    /// Sends an upload with a checksum header, by which the store verifies it; without one if the store refuses it, now
    /// and from then on.
    pub(super) async fn send_put(
        &self,
        put: impl Fn() -> PutObjectFluentBuilder,
        sha256: &str,
    ) -> Result<PutObjectOutput, SdkError<PutObjectError>> {
        if !self.sends_checksums.load(Ordering::Relaxed) {
            return put().send().await;
        }
        let sent = put().checksum_sha256(sha256).send().await;
        if !sent.as_ref().is_err_and(refuses_checksums) {
            return sent;
        }
        let sent = put().send().await;
        if !sent.as_ref().is_err_and(refuses_checksums) {
            tracing::info!("the store refuses checksum headers: uploads are sent without");
            self.sends_checksums.store(false, Ordering::Relaxed);
        }
        sent
    }

    /// Whether the object exists and is complete. Without permission to read it, the key is trusted: the probe follows.
    async fn is_there(&self, object: &Object<'_>) -> Result<bool, PublishError> {
        let head = self
            .client
            .head_object()
            .bucket(&self.settings.bucket)
            .key(object.key)
            .set_checksum_mode(
                self.sends_checksums
                    .load(Ordering::Relaxed)
                    .then_some(ChecksumMode::Enabled),
            )
            .send()
            .await;
        let head = match head {
            Ok(head) => head,
            Err(error) => {
                return match error.raw_response().map(|response| response.status().as_u16()) {
                    Some(404) => Ok(false),
                    Some(403) => Ok(true),
                    _ => Err(self.access_error("s3:GetObject", &error)),
                };
            }
        };
        let length = head
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        let same = length == Some(object.bytes.len())
            && head
                .checksum_sha256()
                .is_none_or(|sha256| sha256 == object.sha256);
        if same {
            return Ok(true);
        }
        let message = format!(
            "another object already exists at {}: delete it and run again",
            object.key
        );
        Err(PublishError::object("other_object_there", message))
    }

    /// The public URL of the object `key`, freshly signed if URLs are signed. Nothing is sent.
    ///
    /// # Errors
    /// The URL is not `https://` or too long for the API, or there are no credentials to sign with.
    pub async fn address(&self, key: &str) -> Result<PublicUrl, PublishError> {
        let url = match (&self.settings.public_base_url, self.settings.presign_expiry) {
            (Some(base), None) => below(base, key),
            (None, None) => {
                // The SDK knows the URL of a bucket best: regions, partitions, dots in names, endpoints.
                let mut url = self.presigned(key, Duration::from_secs(60)).await?;
                url.set_query(None);
                url
            }
            (_, Some(expiry)) => self.presigned(key, expiry).await?,
        };
        if url.scheme() != "https" {
            let message = format!(
                "objects would be public at {}://…, but the API accepts only https://: set s3.public_base_url",
                url.scheme()
            );
            return Err(PublishError::setup("not_https", message));
        }
        if url.as_str().len() >= LONGEST_URL {
            let message = format!(
                "the signed URL has {} characters, but the API accepts fewer than {LONGEST_URL}: sign with long-lived \
                 credentials (temporary ones put their token into the URL), or use public URLs",
                url.as_str().len()
            );
            return Err(PublishError::setup("url_too_long", message));
        }
        Ok(PublicUrl::new(url))
    }

    async fn presigned(&self, key: &str, expiry: Duration) -> Result<Url, PublishError> {
        let bad = |e: &dyn std::fmt::Display| {
            PublishError::setup("bad_presign_expiry", format!("s3.presign_expiry: {e}"))
        };
        let presigning = PresigningConfig::expires_in(expiry).map_err(|e| bad(&e))?;
        let get = self.client.get_object().bucket(&self.settings.bucket).key(key);
        let request = get.presigned(presigning).await;
        let request = request.map_err(|error| self.access_error("s3:GetObject", &error))?;
        let url = request.uri().parse();
        url.map_err(|e| {
            PublishError::setup(
                "bad_endpoint",
                format!("the bucket has no valid URL: {e}; check s3.endpoint"),
            )
        })
    }

    /// Deletes the object `key`; a missing object is not an error.
    ///
    /// # Errors
    /// S3 is unreachable or refuses.
    pub async fn delete(&self, key: &str) -> Result<(), PublishError> {
        let delete = self.client.delete_object().bucket(&self.settings.bucket).key(key);
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(self.access_error("s3:DeleteObject", &error)),
        }
    }

    pub(super) fn access_error<E>(&self, permission: &str, error: &SdkError<E, HttpResponse>) -> PublishError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        PublishError::from_sdk(&self.settings.bucket, permission, error)
    }
}

/// Whether a store refuses `x-amz-checksum-…` rather than the object: with 400 `InvalidArgument` and the like, or 501.
fn refuses_checksums(error: &SdkError<PutObjectError, HttpResponse>) -> bool {
    let Some(response) = error.raw_response() else {
        return false;
    };
    let message = error.message().unwrap_or_default().to_ascii_lowercase();
    let names_it = message.contains("checksum") || message.contains("x-amz-sdk");
    let code = error.code().unwrap_or_default();
    match response.status().as_u16() {
        400 => matches!(
            code,
            "InvalidArgument" | "InvalidRequest" | "UnsupportedHeader" | "UnsupportedArgument"
        ),
        501 => names_it,
        _ => false,
    }
}

/// SHA-256 in base64, as in S3 headers.
pub(super) fn sha256_base64(bytes: &[u8]) -> String {
    STANDARD.encode(sha256(bytes))
}

/// Checks the settings that can be validated without a request.
fn check(settings: &PublishSettings) -> Result<(), PublishError> {
    let bucket = &settings.bucket;
    if bucket.is_empty()
        || !bucket
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:/".contains(&b))
    {
        return Err(PublishError::setup(
            "no_bucket",
            format!("{bucket:?} is not a valid bucket name: check s3.bucket"),
        ));
    }
    if settings
        .presign_expiry
        .is_some_and(|expiry| expiry.is_zero() || expiry > LONGEST_PRESIGN)
    {
        return Err(PublishError::setup(
            "bad_presign_expiry",
            "s3.presign_expiry must be at least a second and at most 7 days (168h)",
        ));
    }
    let folders = settings.prefix.trim_matches('/');
    let odd = |folder: &str| {
        folder.is_empty() || folder == "." || folder == ".." || folder.contains(char::is_control)
    };
    if !folders.is_empty() && folders.split('/').any(odd) {
        return Err(PublishError::setup(
            "bad_prefix",
            format!(
                "s3.prefix {:?} is invalid: use folders such as cast/portraits",
                settings.prefix
            ),
        ));
    }
    if let Some(base) = &settings.public_base_url {
        let plain = base.query().is_none() && base.fragment().is_none() && base.username().is_empty();
        if base.scheme() != "https" || base.password().is_some() || !plain {
            return Err(PublishError::setup(
                "bad_public_base_url",
                "s3.public_base_url must be a plain https://host/path: no user, no query",
            ));
        }
    }
    Ok(())
}

/// `base` + `/` + `key`, with all bytes but unreserved ones percent-encoded: S3 decodes a bare `+` as a space.
fn below(base: &Url, key: &str) -> Url {
    let encoded: String = key
        .bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let mut url = base.clone();
    url.set_path(&format!("{}/{encoded}", base.path().trim_end_matches('/')));
    url
}

/// The address of a store without the bucket's name at its end, as consoles show it for a bucket; and with a slash after
/// its path, which the SDK puts the bucket behind.
fn of_store(endpoint: &Url, bucket: &str) -> Url {
    let mut url = endpoint.clone();
    let path = endpoint.path().trim_end_matches('/');
    let above = path.strip_suffix(bucket).filter(|above| above.ends_with('/'));
    url.set_path(&format!("{}/", above.unwrap_or(path).trim_end_matches('/')));
    url
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
