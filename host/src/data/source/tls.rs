//! TLS: whom a source's client trusts, and whose cryptography it uses.

use anyhow::{Context, Result, ensure};
use rustls::crypto::{CryptoProvider, ring};
use std::path::Path;

/// Settles the cryptography of clients that take that of the process. A program that has chosen one keeps it.
///
/// It is global since `rustls` has it so. Such a client would choose the same by itself where it is the only one that is
/// built in, and panic where an embedding program has built in another.
pub(super) fn settle_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Somebody was faster, which is just as well.
        let _settled = ring::default_provider().install_default();
    }
}

/// The certificates in this file, in PEM. They are read at each connect, since they are renewed while a host runs.
///
/// # Errors
/// The file cannot be read, or holds none.
pub(super) fn authorities(ca_file: &Path) -> Result<String> {
    let pem = std::fs::read_to_string(ca_file)
        .with_context(|| format!("reading ca_file {}", ca_file.display()))?;
    ensure!(
        pem.contains("-----BEGIN CERTIFICATE-----"),
        "ca_file {} holds no certificate in PEM",
        ca_file.display()
    );
    Ok(pem)
}
