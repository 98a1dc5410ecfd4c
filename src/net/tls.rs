//! The TLS stack: rustls with ring, the system's root certificates, and optionally an extra one.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Why an extra root certificate can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the extra root certificate can't be used: {0}")]
pub struct CertificateError(String);

impl CertificateError {
    /// The client rejected the certificate.
    pub(crate) fn refused(error: impl std::error::Error) -> Self {
        let cause = error.source().map(ToString::to_string);
        Self(cause.unwrap_or_else(|| error.to_string()))
    }
}

/// Makes ring the process's provider of cryptography. Can be called any number of times.
pub fn install_provider() {
    // An error only means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A builder for an HTTPS client that also trusts the certificates in `ca_pem`.
///
/// # Errors
/// `ca_pem` is not PEM, or contains no usable certificate.
pub fn http(ca_pem: Option<&[u8]>) -> Result<reqwest::ClientBuilder, CertificateError> {
    install_provider();
    let agent = concat!("castline/", env!("CARGO_PKG_VERSION"));
    let builder = reqwest::Client::builder()
        .user_agent(agent)
        .connect_timeout(Duration::from_secs(20));
    let Some(pem) = ca_pem else { return Ok(builder) };
    let roots = extra_roots(pem)?
        .iter()
        .map(|der| reqwest::Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(CertificateError::refused)?;
    Ok(builder.tls_certs_merge(roots))
}

/// The certificates of a PEM file, each checked to be a usable root: some libraries that are given the file panic
/// on invalid ones.
pub(crate) fn extra_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| CertificateError(format!("it is not PEM: {e}")))?;
    if certificates.is_empty() {
        return Err(CertificateError("it contains no PEM certificate".to_owned()));
    }
    for certificate in &certificates {
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|e| CertificateError(e.to_string()))?;
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_usable_certificate_is_refused() {
        let garbage = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
        for pem in ["", "not PEM", garbage] {
            assert!(http(Some(pem.as_bytes())).is_err(), "{pem:?}");
        }
    }
}
