//! Certificates: an authority of a test's own, and a server on this machine that it vouches for.

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the authority's certificate is, in the folder of a server.
#[must_use]
pub fn authority(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// Where the server's certificate and its key are.
#[must_use]
pub fn server(folder: &Path) -> [PathBuf; 2] {
    [folder.join("server.pem"), folder.join("server.key")]
}

/// Makes an authority and a server's certificate in this folder, for `localhost` and `127.0.0.1`.
///
/// # Panics
/// When they cannot be made.
pub fn make(folder: &Path) {
    let mut params = CertificateParams::new([]).expect("no name is none");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("there is randomness");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).expect("these are names");
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = params.signed_by(&key, &issuer).expect("it is signed");
    let [certificate_file, key_file] = server(folder);
    for (path, pem) in [
        (authority(folder), issuer.pem()),
        (certificate_file, certificate.pem()),
        (key_file, key.serialize_pem()),
    ] {
        fs::write(path, pem).expect("it is written");
    }
}
