//! Checks an image as the real service does: fetches the URL itself, over HTTPS and without credentials, and rejects
//! what exceeds API.md's limits.

use std::io::Cursor;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION, USER_AGENT};
use url::{Host, Url};

use super::faults::ProviderFetches;

/// The API's limit on the size of the file, in bytes.
const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The API's limits on each side, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 300..=6000;
/// The API's limits on width / height.
const RATIO: std::ops::RangeInclusive<f64> = 0.4..=2.5;
/// The longest URL that is accepted.
const MAX_URL: usize = 2048;
/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// Fetches images from this machine; trusts only the sandbox's own authority.
pub(super) struct Fetcher(reqwest::Client);

impl Fetcher {
    pub(super) fn new(ca_pem: &str) -> reqwest::Result<Self> {
        let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes())?;
        reqwest::Client::builder()
            .tls_certs_only([ca])
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .map(Self)
    }

    /// Checks an image; `Err` says why the real service would reply `invalid_image_url`.
    pub(super) async fn look(&self, image_url: &str, how: ProviderFetches) -> Result<(), String> {
        let mut url = check_url(image_url)?;
        if how == ProviderFetches::HeadFirst {
            let reply = self.0.head(url.clone()).send().await;
            let reply = reply.map_err(|e| format!("cannot be fetched: {}", cause(&e)))?;
            if reply.status() != 200 {
                return Err(format!("answered {}", reply.status().as_u16()));
            }
        }
        let agent = match how {
            ProviderFetches::AsBot => "provider-bot",
            ProviderFetches::Get | ProviderFetches::HeadFirst => "provider",
        };
        for _ in 0..=MAX_REDIRECTS {
            let mut reply = self
                .0
                .get(url.clone())
                .header(USER_AGENT, agent)
                .send()
                .await
                .map_err(|e| format!("cannot be fetched: {}", cause(&e)))?;
            if reply.status().is_redirection() {
                let next = reply
                    .headers()
                    .get(LOCATION)
                    .and_then(|to| to.to_str().ok())
                    .unwrap_or_default();
                let next = url
                    .join(next)
                    .map_err(|_| "redirects to an invalid URL".to_owned())?;
                url = check_url(next.as_str())?;
                continue;
            }
            if reply.status() != 200 {
                return Err(format!("answered {}", reply.status().as_u16()));
            }
            let kind = reply
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|t| t.to_str().ok())
                .unwrap_or_default();
            let kind = kind
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            if !matches!(kind.as_str(), "image/jpeg" | "image/png" | "image/webp") {
                return Err(format!("is of type {kind:?}, not JPEG, PNG or WebP"));
            }
            let mut bytes = Vec::new();
            while let Some(chunk) = reply
                .chunk()
                .await
                .map_err(|e| format!("was cut off: {}", cause(&e)))?
            {
                if bytes.len() + chunk.len() > MAX_BYTES {
                    return Err("is larger than 10 MB".to_owned());
                }
                bytes.extend_from_slice(&chunk);
            }
            return check_picture(&bytes);
        }
        Err("redirects too often".to_owned())
    }
}

/// The innermost cause: the outer ones would repeat the URL and its signature.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) {
        "the request failed".to_owned()
    } else {
        cause.to_string()
    }
}

/// Checks that a URL is HTTPS, short enough, and on this machine: the sandbox never accesses other hosts.
fn check_url(text: &str) -> Result<Url, String> {
    if text.len() >= MAX_URL {
        return Err(format!("is longer than {MAX_URL} characters"));
    }
    let url = Url::parse(text).map_err(|e| format!("is not a URL: {e}"))?;
    if url.scheme() != "https" {
        return Err("is not https".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("carries credentials".to_owned());
    }
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if !here {
        return Err("is not on this machine, the only host that the sandbox accesses".to_owned());
    }
    Ok(url)
}

fn check_picture(bytes: &[u8]) -> Result<(), String> {
    use image::ImageFormat::{Jpeg, Png, WebP};
    let reader = image::ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| format!("is not an image: {e}"))?;
    if !matches!(reader.format(), Some(Jpeg | Png | WebP)) {
        return Err("is not a JPEG, PNG or WebP".to_owned());
    }
    let (width, height) = reader
        .into_dimensions()
        .map_err(|e| format!("is not an image: {e}"))?;
    if !SIDES.contains(&width) || !SIDES.contains(&height) {
        return Err(format!("is {width}×{height}: each side must be 300 to 6000 px"));
    }
    let ratio = f64::from(width) / f64::from(height);
    if !RATIO.contains(&ratio) {
        return Err(format!("is {width}×{height}: width / height must be 0.4 to 2.5"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_on_this_machine_without_credentials() {
        for good in [
            "https://localhost:1/a",
            "https://127.0.0.1/a",
            "https://[::1]:8/a?x=1",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://localhost/a",
            "https://example.com/a",
            "https://localhost.example.com/a",
            "https://169.254.169.254/latest",
            "https://10.0.0.1/a",
            "https://user:pass@localhost/a",
            "file:///etc/passwd",
            "a.jpg",
            "",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        let long = format!("https://localhost/{}", "a".repeat(MAX_URL));
        assert!(check_url(&long).unwrap_err().contains("longer"));
        assert!(check_url(&long[..MAX_URL - 1]).is_ok());
        assert!(check_url(&long[..MAX_URL]).is_err());
    }

    #[test]
    fn sides_ratio_and_format_as_the_real_service_limits_them() {
        let png = |width, height| {
            let mut bytes = Cursor::new(Vec::new());
            image::GrayImage::new(width, height)
                .write_to(&mut bytes, image::ImageFormat::Png)
                .unwrap();
            check_picture(bytes.get_ref())
        };
        assert_eq!(png(300, 300), Ok(()));
        assert_eq!(png(750, 300), Ok(()));
        assert!(png(299, 300).is_err());
        assert!(png(300, 6001).is_err());
        assert!(png(751, 300).is_err());
        assert!(png(300, 751).is_err());
        assert!(check_picture(b"<html>").is_err());
        assert!(check_picture(b"\x89PNG\r\n\x1a\n").is_err());
    }
}
