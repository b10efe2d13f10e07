//! Certificates: an authority of a test's own, and a server on this machine and a client that it vouches for.

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The client's name.
pub const CLIENT: &str = "ada";

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

/// Where the client's certificate and its key are.
#[must_use]
pub fn client(folder: &Path) -> [PathBuf; 2] {
    [folder.join("client.pem"), folder.join("client.key")]
}

/// Makes an authority and two certificates in this folder: a server's, for `localhost` and `127.0.0.1`, and that of a client
/// who is called [`CLIENT`].
///
/// # Panics
/// When they cannot be made.
pub fn make(folder: &Path) {
    let mut params = CertificateParams::new([]).expect("no name is none");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("there is randomness");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let of_server = CertificateParams::new(names).expect("these are names");
    let mut of_client = CertificateParams::new([]).expect("no name is none");
    let name = &mut of_client.distinguished_name;
    name.push(DnType::CommonName, CLIENT);
    let write = |path: PathBuf, pem: String| fs::write(path, pem).expect("it is written");
    for (params, [certificate_file, key_file]) in
        [(of_server, server(folder)), (of_client, client(folder))]
    {
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.signed_by(&key, &issuer).expect("it is signed");
        write(certificate_file, certificate.pem());
        write(key_file, key.serialize_pem());
    }
    write(authority(folder), issuer.pem());
}
