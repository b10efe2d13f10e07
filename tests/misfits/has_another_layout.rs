//! A misfit that exports a module whose layout is not the contract's.
#![expect(unsafe_code, reason = "notes and headers are statics with link names")]

use abi_stable::{
    StableAbi,
    library::{
        __call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult,
    },
    package_version_strings,
    prefix_type::WithMetadata,
    sabi_types::VersionStrings,
};
use plugin_api::manifest::{Note, note, note_length};

const MANIFEST: &[&str] = &[concat!(
    r#"{"contract":2,"panic":"unwind","name":"has-another-layout","version":"1.0.0","#,
    r#""mode":"overlap","schema":null,"abi_stable":"0.11.3","methods":[]}"#,
)];

#[used]
#[unsafe(link_section = ".note.plugin-api")]
static NOTE: Note<{ note_length(MANIFEST) }> = note(MANIFEST);

#[unsafe(export_name = "plugin_api_header")]
static HEADER: LibHeader = {
    // SAFETY: `root` erases the prefix reference of the `PluginModuleRef` named here.
    unsafe { LibHeader::from_constructor::<PluginModuleRef>(root, CheckTypeLayout::Yes) }
};

extern "C" fn root() -> RootModuleResult {
    __call_root_module_loader(|| PluginModuleRef(PluginModule::METADATA.static_as_prefix()))
}

/// Named like the contract's, with another field.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef, prefix_fields = PluginModulePrefix)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    /// Not what the contract calls so.
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(u32) -> u32,
}

impl PluginModule {
    abi_stable::staticref! {
        const METADATA: WithMetadata<PluginModule> = WithMetadata::new(PluginModule { create });
    }
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "plugin";
    const NAME: &'static str = "plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

extern "C" fn create(number: u32) -> u32 {
    number
}
