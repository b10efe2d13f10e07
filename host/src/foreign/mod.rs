//! Foreign code: all that touches a plugin's library, behind a safe face.
//!
//! Inside: mapping and unmapping a library ([`library`]), calling the object it made ([`instance`], [`lock`], [`tables`]),
//! having it parse data ([`parsed`]), and what the C library is kept from holding of it ([`interpose`]). Outside, nobody uses
//! `libloading` or a raw address. This module knows nothing of slots, gates or journeys.

#[expect(
    unsafe_code,
    reason = "shares an object between callers behind its own lock"
)]
pub(crate) mod instance;
#[expect(unsafe_code, reason = "stands in for functions of the C library")]
pub(crate) mod interpose;
#[expect(unsafe_code, reason = "maps, checks and unmaps libraries")]
pub(crate) mod library;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod parsed;
#[expect(unsafe_code, reason = "reaches the tables of loaded plugins")]
pub(crate) mod tables;
