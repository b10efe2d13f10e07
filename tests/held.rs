//! A hold: how a plugin stays where it is until a test lets go of it.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

/// Tells the test that listens on the socket `at` that the caller is here, and returns when the test hangs up.
pub(crate) fn until_released(at: &str) -> Result<(), String> {
    let wait = || {
        let mut test = UnixStream::connect(at)?;
        test.write_all(b"here")?;
        test.read_to_end(&mut Vec::new())
    };
    wait()
        .map_err(|error| format!("waiting at {at}: {error}"))
        .map(drop)
}
