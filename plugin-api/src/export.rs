//! The export: what a plugin's library shows to the outside, its note and its header.

use crate::{
    adapter::{Keeping, Plugin, create, parse},
    contract::{CONTRACT_LEVEL, PluginModule, PluginModuleRef},
    manifest::{ABI_STABLE, Decimal, RUSTC},
};
use abi_stable::{
    library::{__call_root_module_loader, CheckTypeLayout, RootModuleResult},
    prefix_type::WithMetadata,
};
use std::marker::PhantomData;

pub use abi_stable::library::LibHeader;

/// The manifest's word for a panic that unwinds.
pub const PANIC_UNWIND: &str = "unwind";
/// The manifest's word for a panic that ends the process.
pub const PANIC_ABORT: &str = "abort";

/// The text of a plugin's manifest, in parts.
pub const fn parts<P: Plugin>() -> [&'static str; 23] {
    [
        "{\"contract\":",
        const { &Decimal::new(CONTRACT_LEVEL) }.text(),
        ",\"panic\":\"",
        P::PANIC,
        "\",",
        P::IDENTITY,
        ",\"schema\":",
        P::Keeping::SCHEMA,
        ",\"encoding\":\"",
        P::Keeping::ENCODING,
        "\",\"rustc\":\"",
        RUSTC,
        "\",\"abi_stable\":\"",
        ABI_STABLE,
        "\",\"doc\":\"",
        // That of the `impl` block, where it has one.
        if P::DOC.is_empty() {
            P::Keeping::DOC
        } else {
            P::DOC
        },
        "\",\"methods\":",
        P::METHODS,
        ",\"interfaces\":",
        P::INTERFACES,
        ",\"reads\":",
        P::READ_NAMES,
        "}",
    ]
}

/// The header behind the exported symbol.
#[must_use]
#[expect(
    unsafe_code,
    reason = "abi_stable's header takes an erased constructor"
)]
pub const fn header<P: Plugin>() -> LibHeader {
    // SAFETY: `root` erases a `PrefixRef<PluginModule>`, the prefix reference of `PluginModuleRef`.
    unsafe { LibHeader::from_constructor::<PluginModuleRef>(root::<P>, CheckTypeLayout::Yes) }
}

extern "C" fn root<P: Plugin>() -> RootModuleResult {
    __call_root_module_loader(Module::<P>::root)
}

struct Module<P>(PhantomData<P>);

impl<P: Plugin> Module<P> {
    abi_stable::staticref! {
        const METADATA: WithMetadata<PluginModule> =
            WithMetadata::new(PluginModule { create: create::<P>, parse: parse::<P> });
    }

    fn root() -> PluginModuleRef {
        PluginModuleRef(Self::METADATA.static_as_prefix())
    }
}

/// Exports a plugin from the author's library.
///
/// A macro of this crate, so that the lints of the author's crate do not take its attributes for the author's.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:ty) => {
        const _: () = {
            const PARTS: &[&str] = &$crate::__private::parts::<$plugin>();

            #[used]
            #[unsafe(link_section = ".note.plugin-api")]
            static NOTE: $crate::manifest::Note<{ $crate::manifest::note_length(PARTS) }> =
                $crate::manifest::note(PARTS);

            #[unsafe(export_name = "plugin_api_header")]
            pub static HEADER: $crate::__private::LibHeader =
                $crate::__private::header::<$plugin>();
        };
    };
}
