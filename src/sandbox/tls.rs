//! A throw-away certificate authority and one leaf for this machine's loopback names.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa};
use rcgen::{KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// The server's configuration, and the root that clients must trust.
pub(super) struct Tls {
    pub(super) server: Arc<ServerConfig>,
    pub(super) ca_pem: String,
}

/// Installs ring as the TLS provider of this process unless it has one.
///
/// reqwest and rustls are built without a default, so that one stack serves everything.
pub fn install_provider() {
    // An error only means that there already is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Generates fresh keys; the authority's key never leaves this function.
pub(super) fn generate() -> Result<Tls, rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "castline sandbox, throw-away authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut ca);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "castline sandbox");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    validity(&mut leaf);
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &ca)?;

    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![leaf.der().clone()], key.into())
        })
        .expect("a key and a certificate made for each other");
    // One request at a time on a connection: a fault can then cut exactly the intended call.
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls {
        server: Arc::new(server),
        ca_pem: ca.pem(),
    })
}

/// Sets the validity from last year to next year: short-lived, as system verifiers require, and clocks may be days off.
fn validity(params: &mut CertificateParams) {
    let year = i32::from(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year());
    params.not_before = date_time_ymd(year - 1, 12, 1);
    params.not_after = date_time_ymd(year + 1, 2, 1);
}
