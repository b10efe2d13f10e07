//! A misfit that says it is a plugin, and exports nothing.
#![expect(unsafe_code, reason = "a note is a static in a section")]

use plugin_api::manifest::{Note, note, note_length};

const MANIFEST: &[&str] = &[concat!(
    r#"{"contract":2,"panic":"unwind","name":"has-no-header","version":"1.0.0","#,
    r#""mode":"overlap","schema":null,"abi_stable":"0.11.3","methods":[]}"#,
)];

#[used]
#[unsafe(link_section = ".note.plugin-api")]
static NOTE: Note<{ note_length(MANIFEST) }> = note(MANIFEST);
