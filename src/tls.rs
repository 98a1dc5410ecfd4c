//! The one TLS stack: rustls with ring, the system's roots, and an extra one when asked for.

use std::time::Duration;

/// An extra root certificate that is none.
#[derive(Debug, thiserror::Error)]
#[error("the extra root certificate is not PEM: {0}")]
pub struct CertificateError(String);

/// Makes ring the process's provider of cryptography; any number of times.
pub fn install_provider() {
    // An error only says that it was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The beginning of an HTTPS client.
///
/// # Errors
/// The extra root certificate is none.
pub fn http(ca_pem: Option<&[u8]>) -> Result<reqwest::ClientBuilder, CertificateError> {
    install_provider();
    let agent = concat!("castline/", env!("CARGO_PKG_VERSION"));
    let builder = reqwest::Client::builder()
        .user_agent(agent)
        .connect_timeout(Duration::from_secs(20));
    let Some(pem) = ca_pem else { return Ok(builder) };
    let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| CertificateError(e.to_string()))?;
    if roots.is_empty() {
        return Err(CertificateError("it holds no certificate".to_owned()));
    }
    Ok(builder.tls_certs_merge(roots))
}
