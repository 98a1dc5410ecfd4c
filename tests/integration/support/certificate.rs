//! A certificate for `localhost`, from an authority of its own.

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A certificate, its key, and the authority to trust.
pub struct Certified {
    pub ca_pem: Vec<u8>,
    pub leaf: Certificate,
    pub key: KeyPair,
}

/// Makes a new one.
pub fn certified() -> Certified {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    Certified {
        ca_pem: ca.pem().into_bytes(),
        leaf,
        key,
    }
}
