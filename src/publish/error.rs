//! Errors of publishing: whether the setup or a single image is at fault.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Why an image can't be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No image can be published, because of bucket, credentials, region, endpoint or permissions.
    #[error("{message}")]
    Setup {
        /// A fixed code.
        code: &'static str,
        /// What is wrong, and how to fix it.
        message: String,
    },
    /// This image can't be published; others may.
    #[error("S3 did not accept the image: {message}")]
    Object {
        /// A fixed code.
        code: &'static str,
        /// What happened.
        message: String,
    },
}

impl PublishError {
    pub(crate) fn setup(code: &'static str, message: impl Into<String>) -> Self {
        Self::Setup {
            code,
            message: message.into(),
        }
    }

    pub(super) fn object(code: &'static str, message: impl Into<String>) -> Self {
        Self::Object {
            code,
            message: message.into(),
        }
    }

    /// A fixed code, such as `no_bucket`, `access_denied`, `no_credentials`, `wrong_region`, `s3_unreachable`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup { code, .. } | Self::Object { code, .. } => code,
        }
    }

    /// Whether other images can't be published either, so that the run should stop.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Setup { .. })
    }

    /// Converts an SDK error of a request to `bucket` that needs `permission`.
    pub(super) fn from_sdk<E>(bucket: &str, permission: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let (code, message) = (service.err().code(), service.err().message());
                let status = service.raw().status().as_u16();
                refused(
                    bucket,
                    permission,
                    status,
                    code.unwrap_or_default(),
                    message.unwrap_or_default(),
                )
            }
            // The SDK has retried; a slow upload concerns this image only.
            SdkError::TimeoutError(_) => Self::object("upload_timeout", "S3 did not respond in time"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::object("upload_timeout", innermost(error))
            }
            _ if caused_by::<CredentialsError>(error) => Self::setup(
                "no_credentials",
                format!(
                    "no usable AWS credentials ({}): export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or \
                     AWS_PROFILE; for SSO, eval \"$(aws configure export-credentials --format env)\"",
                    innermost(error)
                ),
            ),
            SdkError::DispatchFailure(_) => Self::setup(
                "s3_unreachable",
                format!(
                    "S3 can't be reached ({}): check s3.endpoint, s3.region, tls.ca_file and the network",
                    innermost(error)
                ),
            ),
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let text = format!("the response is not from S3 (HTTP {status}): check s3.endpoint");
                Self::setup("not_s3", text)
            }
            _ => Self::object("upload_failed", innermost(error)),
        }
    }
}

/// Converts an S3 error code.
fn refused(bucket: &str, permission: &str, status: u16, code: &str, message: &str) -> PublishError {
    let shown = if code.is_empty() {
        format!("HTTP {status}")
    } else {
        code.to_owned()
    };
    match (status, code) {
        (_, "NoSuchBucket") | (404, "" | "NotFound") => {
            let text = format!("there is no bucket {bucket:?}: check s3.bucket and s3.endpoint");
            PublishError::setup("no_bucket", text)
        }
        (_, "InvalidBucketName") => PublishError::setup(
            "no_bucket",
            format!("{bucket:?} is not a valid bucket name: check s3.bucket"),
        ),
        (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => {
            let text =
                format!("the AWS credentials have expired ({shown}): renew them, and run again to continue");
            PublishError::setup("expired_credentials", text)
        }
        (_, "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "InvalidToken" | "InvalidSecurity") => {
            let text =
                format!("S3 rejects the AWS credentials ({shown}): check the access key and its secret");
            PublishError::setup("bad_credentials", text)
        }
        (_, "RequestTimeTooSkewed") => PublishError::setup(
            "wrong_clock",
            "this machine's clock is wrong: S3 accepts a difference of at most 15 minutes",
        ),
        (
            _,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
        )
        | (301 | 307, _) => {
            let text =
                format!("bucket {bucket:?} is in another region ({shown}): set s3.region to that region");
            PublishError::setup("wrong_region", text)
        }
        (_, "AccountProblem" | "AllAccessDisabled" | "NotSignedUp" | "QuotaExceeded") => {
            PublishError::setup("account", format!("S3 rejects the account ({shown}): {message}"))
        }
        (401 | 403, _) => {
            let text = format!("S3 denies access to bucket {bucket:?} ({shown}): {permission} is needed");
            PublishError::setup("access_denied", text)
        }
        _ if message.is_empty() => PublishError::object("upload_failed", shown),
        _ => PublishError::object("upload_failed", format!("{shown}: {message}")),
    }
}

/// The innermost cause of an error: the outer errors of the SDK carry no details.
fn innermost(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        message = cause.to_string();
        next = cause.source();
    }
    message
}

fn caused_by<E: Error + 'static>(error: &dyn Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.is::<E>() {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_what_to_fix_and_whether_the_run_stops() {
        for (status, code, expected, fatal) in [
            (404, "NoSuchBucket", "no_bucket", true),
            (404, "", "no_bucket", true),
            (403, "AccessDenied", "access_denied", true),
            (403, "SignatureDoesNotMatch", "bad_credentials", true),
            (403, "InvalidAccessKeyId", "bad_credentials", true),
            (400, "ExpiredToken", "expired_credentials", true),
            (403, "RequestTimeTooSkewed", "wrong_clock", true),
            (301, "PermanentRedirect", "wrong_region", true),
            (301, "", "wrong_region", true),
            (400, "AuthorizationHeaderMalformed", "wrong_region", true),
            (400, "EntityTooLarge", "upload_failed", false),
            (503, "SlowDown", "upload_failed", false),
            (500, "", "upload_failed", false),
        ] {
            let error = refused("cast", "s3:PutObject", status, code, "");
            assert_eq!(
                (error.code(), error.is_fatal()),
                (expected, fatal),
                "{status} {code}"
            );
        }
        let message = refused("cast", "s3:PutObject", 403, "AccessDenied", "").to_string();
        assert_eq!(
            message,
            r#"S3 denies access to bucket "cast" (AccessDenied): s3:PutObject is needed"#
        );
    }
}
