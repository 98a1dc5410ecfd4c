//! Talks to S3: uploads once, never overwrites, and tells the public address.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use bytes::Bytes;
use url::Url;

use super::PublicUrl;

/// The longest that S3 lets a signature live.
const LONGEST_PRESIGN: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where pictures are published, and how.
#[derive(Debug, Clone)]
pub struct PublishSettings {
    /// The bucket.
    pub bucket: String,
    /// What object keys begin with.
    pub prefix: String,
    /// Its region; the AWS configuration's when `None`.
    pub region: Option<String>,
    /// Another S3 than Amazon's.
    pub endpoint: Option<Url>,
    /// endpoint/bucket/key rather than bucket.endpoint/key.
    pub force_path_style: bool,
    /// Where the bucket is seen by the public; its own address when `None`.
    pub public_base_url: Option<Url>,
    /// Signed addresses that live so long, instead of public ones.
    pub presign_expiry: Option<Duration>,
    /// The Cache-Control header of objects.
    pub cache_control: String,
    /// How often an upload is tried again.
    pub retries: u32,
    /// An extra root certificate, PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// Credentials that are given rather than found in the AWS chain: the sandbox's.
#[derive(Clone)]
pub struct StaticCredentials(Credentials);

impl StaticCredentials {
    /// From an access key and its secret.
    pub fn new(access_key: &str, secret_key: &str) -> Self {
        Self(Credentials::new(access_key, secret_key, None, None, "castline"))
    }
}

/// Why a picture can't be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Nothing can be published this way: bucket, credentials, region, endpoint, permission.
    #[error("{message}")]
    Setup {
        /// A fixed code.
        code: &'static str,
        /// What is wrong, and the mend.
        message: String,
    },
    /// This picture can't be published.
    #[error("S3 did not take the picture: {0}")]
    Object(String),
}

impl PublishError {
    /// A fixed code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup { code, .. } => code,
            Self::Object(_) => "upload_failed",
        }
    }

    /// Whether no other picture can be published either.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Setup { .. })
    }
}

/// Publishes pictures.
#[derive(Debug, Clone)]
pub struct Publisher {
    client: aws_sdk_s3::Client,
    settings: PublishSettings,
    /// Where objects are seen, up to their keys.
    base: Url,
}

impl Publisher {
    /// A publisher; without `credentials`, the AWS chain is asked (environment, profile, web identity,
    /// container, instance).
    ///
    /// # Errors
    /// No region is known, or a setting makes no sense.
    pub async fn new(
        settings: PublishSettings,
        credentials: Option<StaticCredentials>,
    ) -> Result<Self, PublishError> {
        crate::tls::install_provider();
        if settings
            .presign_expiry
            .is_some_and(|expiry| expiry > LONGEST_PRESIGN)
        {
            return Err(setup(
                "bad_presign_expiry",
                "s3.presign_expiry: S3 signs for at most 7 days (168h)",
            ));
        }
        let mut trust = TrustStore::default();
        if let Some(pem) = &settings.ca_pem {
            trust.add_pem_certificate(pem.clone());
        }
        let context = TlsContext::builder().with_trust_store(trust).build();
        let context = context.map_err(|e| setup("bad_ca_file", &format!("tls.ca_file: {e}")))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .tls_context(context)
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            // The one place where uploads are tried again: they carry If-None-Match, so that twice is once.
            .retry_config(RetryConfig::standard().with_max_attempts(settings.retries + 1));
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(StaticCredentials(credentials)) = credentials {
            loader = loader.credentials_provider(credentials);
        }
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint.as_str());
        }
        let config = loader.load().await;
        let region = config.region().map(ToString::to_string);
        let Some(region) = region else {
            let told = "no region: set s3.region in castline.toml, or export AWS_REGION";
            return Err(setup("no_region", told));
        };
        let config = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(settings.force_path_style)
            .build();
        let base = base(&settings, &region)?;
        Ok(Self {
            client: aws_sdk_s3::Client::from_conf(config),
            settings,
            base,
        })
    }

    /// Uploads a picture under `key` unless it is there already, and tells where it is seen.
    ///
    /// # Errors
    /// S3 can't be reached or refuses.
    pub async fn publish(
        &self,
        bytes: Bytes,
        content_type: &str,
        key: &str,
    ) -> Result<PublicUrl, PublishError> {
        let length = bytes.len() as i64;
        let put = || {
            self.client
                .put_object()
                .bucket(&self.settings.bucket)
                .key(key)
                .content_type(content_type)
                .cache_control(&self.settings.cache_control)
                .if_none_match("*")
                .body(bytes.clone().into())
                .send()
        };
        let mut sent = put().await;
        // 409: two uploads of the same bytes met; one of them has won by now.
        if sent.as_ref().is_err_and(|e| status(e) == Some(409)) {
            sent = put().await;
        }
        match sent {
            Ok(_) => {}
            // 412: the key tells the content, so what is there is what was to be uploaded, if it is whole.
            Err(error) if status(&error) == Some(412) => self.verify(key, length).await?,
            Err(error) => return Err(self.told(&error)),
        }
        self.address(key).await
    }

    /// Where the object `key` is seen.
    ///
    /// # Errors
    /// The address can't be signed: no credentials.
    pub async fn address(&self, key: &str) -> Result<PublicUrl, PublishError> {
        let Some(expiry) = self.settings.presign_expiry else {
            return Ok(PublicUrl::new(join(&self.base, key)));
        };
        let presigning = PresigningConfig::expires_in(expiry)
            .map_err(|e| setup("bad_presign_expiry", &format!("s3.presign_expiry: {e}")))?;
        let request = self
            .client
            .get_object()
            .bucket(&self.settings.bucket)
            .key(key)
            .presigned(presigning)
            .await;
        let request = request.map_err(|error| self.told(&error))?;
        let url = request
            .uri()
            .parse()
            .map_err(|e| setup("bad_endpoint", &format!("s3.endpoint: {e}")))?;
        Ok(PublicUrl::new(url))
    }

    /// Deletes the object `key`.
    ///
    /// # Errors
    /// S3 can't be reached or refuses.
    pub async fn delete(&self, key: &str) -> Result<(), PublishError> {
        let gone = self
            .client
            .delete_object()
            .bucket(&self.settings.bucket)
            .key(key)
            .send()
            .await;
        gone.map(drop).map_err(|error| self.told(&error))
    }

    async fn verify(&self, key: &str, length: i64) -> Result<(), PublishError> {
        let head = self
            .client
            .head_object()
            .bucket(&self.settings.bucket)
            .key(key)
            .send()
            .await;
        let there = head.map_err(|error| self.told(&error))?.content_length();
        if there == Some(length) {
            return Ok(());
        }
        let told =
            format!("{key} is there with {there:?} bytes instead of {length}; delete it and run again");
        Err(PublishError::Object(told))
    }

    /// What an error of the SDK means for the user.
    fn told<E: ProvideErrorMetadata + std::error::Error + 'static>(
        &self,
        error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
    ) -> PublishError {
        let bucket = &self.settings.bucket;
        let (code, message) = match error {
            SdkError::ServiceError(service) => (
                service.err().code().unwrap_or_default(),
                service.err().message().unwrap_or_default(),
            ),
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
                let told = format!(
                    "S3 can't be reached ({}): check s3.endpoint, s3.region and the network",
                    causes(error)
                );
                return setup("s3_unreachable", &told);
            }
            SdkError::ConstructionFailure(_) => {
                let told = format!(
                    "no AWS credentials ({}): export them, or name a profile",
                    causes(error)
                );
                return setup("no_credentials", &told);
            }
            _ => ("", ""),
        };
        let (fixed, told) = match (status(error), code) {
            (_, "NoSuchBucket") | (Some(404), _) => (
                "no_bucket",
                format!("there is no bucket {bucket:?}: check s3.bucket"),
            ),
            (_, "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "ExpiredToken" | "InvalidToken") => (
                "bad_credentials",
                format!("S3 refuses the AWS credentials ({code}): renew them"),
            ),
            (Some(401 | 403), _) => (
                "access_denied",
                format!(
                    "S3 denies access to bucket {bucket:?} ({code}): s3:PutObject and s3:GetObject are needed"
                ),
            ),
            (Some(301 | 307), _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => (
                "wrong_region",
                format!("bucket {bucket:?} is in another region: check s3.region"),
            ),
            _ => {
                return PublishError::Object(if message.is_empty() {
                    causes(error)
                } else {
                    format!("{code}: {message}")
                });
            }
        };
        setup(fixed, &told)
    }
}

fn status<E>(error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn setup(code: &'static str, message: &str) -> PublishError {
    PublishError::Setup {
        code,
        message: message.to_owned(),
    }
}

/// The innermost causes of an error: the SDK's own words are empty.
fn causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        told = cause.to_string();
        next = cause.source();
    }
    told
}

/// Where the bucket's objects are seen, up to their keys.
fn base(settings: &PublishSettings, region: &str) -> Result<Url, PublishError> {
    if let Some(base) = &settings.public_base_url {
        return Ok(base.clone());
    }
    let bucket = &settings.bucket;
    let url = match &settings.endpoint {
        Some(endpoint) if settings.force_path_style => join(endpoint, bucket).to_string(),
        Some(endpoint) => {
            let host = endpoint.host_str().unwrap_or_default();
            let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("https://{bucket}.{host}{port}")
        }
        // A bucket with dots has no certificate of its own at Amazon.
        None if settings.force_path_style || bucket.contains('.') => {
            format!("https://s3.{region}.amazonaws.com/{bucket}")
        }
        None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
    };
    url.parse().map_err(|e| {
        setup(
            "bad_endpoint",
            &format!("the bucket has no address ({e}): check s3.bucket and s3.endpoint"),
        )
    })
}

/// `base` + `/` + `path`, percent-encoded by the segments of the path.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(change: impl FnOnce(&mut PublishSettings)) -> String {
        let mut settings = PublishSettings {
            bucket: "cast".to_owned(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            force_path_style: false,
            public_base_url: None,
            presign_expiry: None,
            cache_control: String::new(),
            retries: 0,
            ca_pem: None,
        };
        change(&mut settings);
        join(&base(&settings, "eu-central-1").unwrap(), "a b/é.jpg").to_string()
    }

    #[test]
    fn objects_are_seen_where_the_settings_say() {
        assert_eq!(
            address(|_| {}),
            "https://cast.s3.eu-central-1.amazonaws.com/a%20b/%C3%A9.jpg"
        );
        assert_eq!(
            address(|s| s.bucket = "my.cast".to_owned()),
            "https://s3.eu-central-1.amazonaws.com/my.cast/a%20b/%C3%A9.jpg"
        );
        let cdn =
            |s: &mut PublishSettings| s.public_base_url = Some("https://cdn.example/art/".parse().unwrap());
        assert_eq!(address(cdn), "https://cdn.example/art/a%20b/%C3%A9.jpg");
        let other = |s: &mut PublishSettings| s.endpoint = Some("https://s3.example:9000".parse().unwrap());
        assert_eq!(address(other), "https://cast.s3.example:9000/a%20b/%C3%A9.jpg");
        let path = |s: &mut PublishSettings| {
            s.endpoint = Some("https://s3.example:9000".parse().unwrap());
            s.force_path_style = true;
        };
        assert_eq!(address(path), "https://s3.example:9000/cast/a%20b/%C3%A9.jpg");
    }
}
