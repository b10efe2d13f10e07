//! An ELF file: the form an artifact comes in, read as bytes, with none of its code run.

use object::{
    Endianness, FileKind,
    elf::{DF_1_NODELETE, DT_FLAGS_1, ET_DYN, FileHeader64, Machine, NoteType},
    read::elf::{Dyn, FileHeader, ProgramHeader},
};
use plugin_api::{
    contract::CONTRACT_LEVEL,
    manifest::{ABI_STABLE, Manifest, NOTE_OWNER, NOTE_TYPE, PanicStrategy},
};

/// The oldest contract level that this host takes.
pub(crate) const OLDEST_CONTRACT_LEVEL: u32 = 2;

/// Why bytes are not an artifact to go on with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// The file is not all there; the rest may follow.
    #[error("it is incomplete: {0}")]
    Incomplete(String),
    /// It does not claim to be a plugin.
    #[error("not a plugin: {0}")]
    Stranger(String),
    /// It claims to be one, and this host cannot take it.
    #[error("{reason}")]
    Refused {
        /// The plugin's name, where it could be read.
        name: Option<String>,
        /// Why, and what to do.
        reason: String,
    },
}

type Header = FileHeader64<Endianness>;

/// Reads the manifest of a plugin, without running any of it.
pub(crate) fn manifest(bytes: &[u8]) -> Result<Manifest, Unfit> {
    let (header, endian) = complete(bytes)?;
    let text = note(header, endian, bytes)?.ok_or_else(|| {
        Unfit::Stranger(
            "it carries no manifest; a plugin has #[plugin_api::plugin] on an impl block"
                .to_owned(),
        )
    })?;
    let refused = |name: Option<&str>, reason: String| Unfit::Refused {
        name: name.map(str::to_owned),
        reason,
    };
    // What every level of the contract has in common is read first, so that another level can be named as the reason.
    let common: serde_json::Value = serde_json::from_slice(text)
        .map_err(|error| refused(None, format!("its manifest cannot be read: {error}")))?;
    let name = common["name"].as_str();
    let level = common["contract"].as_u64().unwrap_or(0);
    if !(u64::from(OLDEST_CONTRACT_LEVEL)..=u64::from(CONTRACT_LEVEL)).contains(&level) {
        let advice = if level > u64::from(CONTRACT_LEVEL) {
            "update the host, or build the plugin against an older plugin-api"
        } else {
            "rebuild it against the current plugin-api"
        };
        let taken = match OLDEST_CONTRACT_LEVEL {
            CONTRACT_LEVEL => format!("level {CONTRACT_LEVEL}"),
            oldest => format!("levels {oldest} to {CONTRACT_LEVEL}"),
        };
        return Err(refused(
            name,
            format!(
                "it was built against contract level {level}, this host takes {taken}: {advice}"
            ),
        ));
    }
    let manifest: Manifest = serde_json::from_value(common.clone())
        .map_err(|error| refused(name, format!("its manifest cannot be read: {error}")))?;
    match objection(&manifest) {
        Some(reason) => Err(refused(name, reason)),
        None => Ok(manifest),
    }
}

/// What stands against a manifest, if anything does.
fn objection(manifest: &Manifest) -> Option<String> {
    if manifest.panic == PanicStrategy::Abort {
        return Some(
            "it is built with panic = \"abort\", so that a panic would end the whole host: build it with panic = \
             \"unwind\""
                .to_owned(),
        );
    }
    if manifest.abi_stable != ABI_STABLE {
        return Some(format!(
            "its contract is written in abi_stable {}, the host's in {ABI_STABLE}: rebuild it against this plugin-api",
            manifest.abi_stable
        ));
    }
    if !is_plugin_name(&manifest.name) {
        return Some(format!(
            "\"{}\" is no name for a plugin: lower-case letters, digits, - and _, beginning with a letter, at most 64",
            manifest.name
        ));
    }
    None
}

/// Whether `name` may name a plugin.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// The header of a whole shared library for this machine.
fn complete(bytes: &[u8]) -> Result<(&Header, Endianness), Unfit> {
    if bytes.len() < 64 && b"\x7fELF".starts_with(&bytes[..bytes.len().min(4)]) {
        return Err(Unfit::Incomplete(format!("{} bytes", bytes.len())));
    }
    let stranger = |reason: &str| Unfit::Stranger(reason.to_owned());
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf64) => {}
        Ok(FileKind::Elf32) => return Err(stranger("it is an ELF file of 32 bits")),
        _ => return Err(stranger("it is not an ELF file")),
    }
    let header = Header::parse(bytes).map_err(|_| stranger("its ELF header is damaged"))?;
    let endian = header
        .endian()
        .map_err(|_| stranger("its ELF header is damaged"))?;
    let end = header.e_shoff(endian).saturating_add(
        u64::from(header.e_shnum(endian)).saturating_mul(header.e_shentsize(endian).into()),
    );
    let length = bytes.len() as u64;
    if end > length {
        return Err(Unfit::Incomplete(format!("{length} of {end} bytes")));
    }
    if header.e_type(endian) != ET_DYN {
        return Err(stranger("it is an ELF file, but not a shared library"));
    }
    let machine = header.e_machine(endian);
    if machine != own_machine() {
        return Err(Unfit::Refused {
            name: None,
            reason: format!(
                "it is built for another machine (ELF machine {}, this one is {}): build it for {}",
                machine.0,
                own_machine().0,
                std::env::consts::ARCH
            ),
        });
    }
    Ok((header, endian))
}

fn own_machine() -> Machine {
    if cfg!(target_arch = "x86_64") {
        object::elf::EM_X86_64
    } else if cfg!(target_arch = "aarch64") {
        object::elf::EM_AARCH64
    } else if cfg!(target_arch = "riscv64") {
        object::elf::EM_RISCV
    } else {
        object::elf::EM_NONE
    }
}

/// The text of the manifest's note, looked up by the program headers, as the loader would.
fn note<'data>(
    header: &'data Header,
    endian: Endianness,
    bytes: &'data [u8],
) -> Result<Option<&'data [u8]>, Unfit> {
    let damaged = |_| Unfit::Stranger("its program headers are damaged".to_owned());
    for program in header.program_headers(endian, bytes).map_err(damaged)? {
        let Some(mut notes) = program.notes(endian, bytes).map_err(damaged)? else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == NOTE_OWNER.as_bytes() && note.n_type(endian) == NoteType(NOTE_TYPE) {
                return Ok(Some(note.desc()));
            }
        }
    }
    Ok(None)
}

/// Clears the flag by which a library forbids that it is ever unmapped. Says whether it was set.
pub(crate) fn clear_nodelete(bytes: &mut [u8]) -> bool {
    let Some(place) = flags_1(bytes) else {
        return false;
    };
    let Some(word) = bytes
        .get_mut(place..place + 8)
        .and_then(|word| <&mut [u8; 8]>::try_from(word).ok())
    else {
        return false;
    };
    let flags = u64::from_ne_bytes(*word);
    let cleared = flags & !DF_1_NODELETE.0;
    *word = cleared.to_ne_bytes();
    flags != cleared
}

/// Where in the file the value of `DT_FLAGS_1` stands.
fn flags_1(bytes: &[u8]) -> Option<usize> {
    let (header, endian) = complete(bytes).ok()?;
    for program in header.program_headers(endian, bytes).ok()? {
        let Ok(Some(entries)) = program.dynamic(endian, bytes) else {
            continue;
        };
        let index = entries
            .iter()
            .position(|entry| entry.tag(endian) == DT_FLAGS_1)?;
        let entry = size_of::<object::elf::Dyn64<Endianness>>();
        return usize::try_from(program.p_offset(endian))
            .ok()
            .map(|start| start + index * entry + entry / 2);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_elf_file_is_incomplete_and_other_text_is_a_stranger() {
        assert!(matches!(
            manifest(b"\x7fELF\x02\x01"),
            Err(Unfit::Incomplete(_))
        ));
        assert!(matches!(manifest(b""), Err(Unfit::Incomplete(_))));
        assert!(matches!(manifest(b"hello, world"), Err(Unfit::Stranger(_))));
        assert!(matches!(manifest(&[0; 4096]), Err(Unfit::Stranger(_))));
    }

    #[test]
    fn a_program_is_a_stranger_and_half_of_it_is_incomplete() {
        let program = std::env::current_exe().expect("this program has a path");
        let bytes = std::fs::read(program).expect("this program can be read");
        assert!(matches!(manifest(&bytes), Err(Unfit::Stranger(_))));
        assert!(matches!(
            manifest(&bytes[..bytes.len() / 2]),
            Err(Unfit::Incomplete(_))
        ));
    }

    #[test]
    fn names_of_plugins_are_plain() {
        assert!(is_plugin_name("counter-2_x"));
        for bad in ["", "2fast", "Counter", "a/b", "..", "ä", &"a".repeat(65)] {
            assert!(!is_plugin_name(bad), "{bad}");
        }
    }
}
