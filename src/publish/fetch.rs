//! Fetches pictures as a stranger would: without credentials, over HTTPS, from public hosts only.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use url::{Host, Url};

use super::PublicUrl;

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// More bytes of a picture are not fetched.
const MAX_BYTES: usize = 64 << 20;
const REDIRECTS: usize = 5;

/// Why an address does not give a picture.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not HTTPS, or its host is private.
    #[error("{0}")]
    NotPublic(String),
    /// Nobody answers there.
    #[error("{url} can't be reached: {problem}")]
    Unreachable {
        /// The address.
        url: PublicUrl,
        /// What happened.
        problem: String,
    },
    /// It answers, but not with a picture.
    #[error("{url} is not publicly seen as a picture: {problem}")]
    NoPicture {
        /// The address.
        url: PublicUrl,
        /// What it answers.
        problem: String,
    },
}

impl FetchError {
    /// A fixed code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotPublic(_) => "not_public",
            Self::Unreachable { .. } => "unreachable",
            Self::NoPicture { .. } => "not_public_picture",
        }
    }
}

/// Fetches pictures.
#[derive(Debug, Clone)]
pub struct Fetcher {
    http: reqwest::Client,
    allow_private: bool,
}

impl Fetcher {
    /// A fetcher; `allow_private` is for stand-ins on this machine.
    ///
    /// # Errors
    /// The extra root certificate is none.
    pub fn new(allow_private: bool, ca_pem: Option<&[u8]>) -> Result<Self, crate::tls::CertificateError> {
        let redirects = reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                attempt.error("too many redirects")
            } else if let Err(problem) = literal(attempt.url(), allow_private) {
                attempt.error(problem)
            } else {
                attempt.follow()
            }
        });
        let http = crate::tls::http(ca_pem)?
            .redirect(redirects)
            .https_only(true)
            .timeout(TIMEOUT)
            .build();
        Ok(Self {
            http: http.expect("the client's settings are valid"),
            allow_private,
        })
    }

    /// The whole picture at `url`.
    ///
    /// # Errors
    /// The address is not public, can't be reached, or gives no picture.
    pub async fn fetch(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let url = PublicUrl::new(url.clone());
        let mut response = self.open(&url).await?;
        let mut bytes = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|e| unreachable(&url, &e))?;
            let Some(chunk) = chunk else { return Ok(bytes) };
            if bytes.len() + chunk.len() > MAX_BYTES {
                let problem = format!("it is larger than {MAX_BYTES} bytes");
                return Err(FetchError::NoPicture { url, problem });
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    /// Whether `url` gives a picture to a stranger. A store may take a moment to show a new object: asked
    /// three times.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub async fn probe(&self, url: &PublicUrl) -> Result<(), FetchError> {
        let mut wait = Duration::from_millis(300);
        for _ in 0..2 {
            match self.open(url).await {
                Ok(_) => return Ok(()),
                Err(error @ FetchError::NotPublic(_)) => return Err(error),
                Err(_) => tokio::time::sleep(wait).await,
            }
            wait *= 4;
        }
        self.open(url).await.map(drop)
    }

    async fn open(&self, url: &PublicUrl) -> Result<reqwest::Response, FetchError> {
        self.public(url.url()).await?;
        let response = self
            .http
            .get(url.expose())
            .send()
            .await
            .map_err(|e| unreachable(url, &e))?;
        let no_picture = |problem: String| {
            Err(FetchError::NoPicture {
                url: url.clone(),
                problem,
            })
        };
        if response.status() != reqwest::StatusCode::OK {
            return no_picture(format!("it answers {}", response.status()));
        }
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or("nothing");
        if !kind.starts_with("image/") {
            return no_picture(format!("its content type is {kind}"));
        }
        Ok(response)
    }

    /// HTTPS, and a host whose every address is public.
    async fn public(&self, url: &Url) -> Result<(), FetchError> {
        literal(url, self.allow_private).map_err(FetchError::NotPublic)?;
        let (false, Some(Host::Domain(host))) = (self.allow_private, url.host()) else {
            return Ok(());
        };
        let port = url.port_or_known_default().unwrap_or(443);
        // A name that doesn't resolve is told by the fetch itself.
        let Ok(addresses) = tokio::net::lookup_host((host, port)).await else {
            return Ok(());
        };
        for address in addresses {
            if is_private(address.ip()) {
                let told = format!("{host} is a private host; see publish.allow_private_hosts");
                return Err(FetchError::NotPublic(told));
            }
        }
        Ok(())
    }
}

/// What the address itself tells: the scheme, and a literal IP or `localhost`.
fn literal(url: &Url, allow_private: bool) -> Result<(), String> {
    if url.scheme() != "https" {
        return Err(format!(
            "the address must begin with https://, not {}://",
            url.scheme()
        ));
    }
    let private = match url.host() {
        Some(Host::Ipv4(ip)) => is_private(ip.into()),
        Some(Host::Ipv6(ip)) => is_private(ip.into()),
        Some(Host::Domain(name)) => {
            name == "localhost" || name.ends_with(".localhost") || !name.contains('.')
        }
        None => return Err("the address has no host".to_owned()),
    };
    if private && !allow_private {
        let host = url.host_str().unwrap_or_default();
        return Err(format!(
            "{host} is a private host; see publish.allow_private_hosts"
        ));
    }
    Ok(())
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_broadcast()
                || ip.is_multicast()
                // Shared address space, 100.64.0.0/10 (RFC 6598).
                || (ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]))
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_private(mapped.into()),
            None => {
                ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local()
            }
        },
    }
}

fn unreachable(url: &PublicUrl, error: &reqwest::Error) -> FetchError {
    let mut problem = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        problem = next.to_string();
        cause = next.source();
    }
    FetchError::Unreachable {
        url: url.clone(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_https_addresses_pass() {
        for url in [
            "http://example.com/a.png",
            "ftp://example.com/a.png",
            "https://localhost/a.png",
            "https://127.0.0.1/a",
            "https://10.1.2.3/a",
            "https://169.254.169.254/latest",
            "https://[::1]/a",
            "https://[::ffff:10.0.0.1]/a",
            "https://100.64.0.1/a",
            "https://intranet/a",
        ] {
            assert!(literal(&url.parse().unwrap(), false).is_err(), "{url}");
        }
        for url in [
            "https://example.com/a.png",
            "https://93.184.216.34/a.png",
            "https://[2606:2800::1]/a",
        ] {
            assert_eq!(literal(&url.parse().unwrap(), false), Ok(()), "{url}");
        }
        assert_eq!(literal(&"https://127.0.0.1/a".parse().unwrap(), true), Ok(()));
    }
}
