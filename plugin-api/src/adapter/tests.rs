//! The life of a plugin as its host sees it, with a panic at every entry.

use super::*;
use crate::{
    export::parts,
    manifest::{Manifest, Mode, PanicStrategy},
    testing::{Host, alone},
};
use std::cell::Cell;

thread_local! {
    /// Which entry of `Fragile` panics on this thread.
    static PANICS_IN: Cell<&'static str> = const { Cell::new("") };
}

fn perhaps_panic(entry: &'static str) {
    if PANICS_IN.get() == entry {
        PANICS_IN.set("");
        panic!("{entry} went wrong");
    }
}

/// Panics "where" it is told to.
#[crate::state(schema = 2, migrate = from_old)]
#[derive(Default)]
struct Fragile {
    total: u64,
}

#[crate::state(schema = 1)]
struct OldFragile {
    total: u64,
}

fn from_old(old: OldFragile) -> Fragile {
    perhaps_panic("migrate");
    Fragile { total: old.total }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        perhaps_panic("drop");
    }
}

#[crate::plugin(name = "fragile", version = "1.2.3", unexported)]
impl Fragile {
    fn new(ctx: &Context) -> Result<Self, String> {
        perhaps_panic("new");
        if PANICS_IN.get() == "refuse" {
            PANICS_IN.set("");
            return Err(format!("not at {:?}", ctx.random()));
        }
        Ok(Fragile { total: 0 })
    }

    fn attach(&mut self, _ctx: &Context) -> Result<(), String> {
        perhaps_panic("attach");
        self.total += 100;
        Ok(())
    }

    /// Reads.
    fn read(&self, ctx: &Context) -> (u64, u64) {
        perhaps_panic("read");
        (self.total, ctx.random())
    }

    fn add(&mut self, by: u64, note: Option<String>) -> Result<u64, String> {
        perhaps_panic("add");
        if note.as_deref() == Some("no") {
            return Err("the note says no".to_owned());
        }
        self.total += by;
        Ok(self.total)
    }

    fn odd(&self) -> std::collections::BTreeMap<Vec<u8>, u8> {
        [(vec![1], 1)].into()
    }

    fn borrow(&self, names: &[String], path: &std::path::Path, r#type: &u8) -> String {
        format!("{names:?} {path:?} {}", r#type)
    }

    fn explode(&self) {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any(Bomb);
            }
        }
        std::panic::panic_any(Bomb);
    }
}

/// A plugin without state.
#[derive(Default)]
struct Greeter;

#[crate::plugin(name = "greeter", version = "0.1.0", stateless, unexported)]
impl Greeter {
    fn greet(&self, name: &str) -> String {
        format!("hello {name}")
    }
}

fn text(answer: Answer<RVec<u8>>) -> String {
    match answer.into_result() {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Err(fault) => format!("{:?}: {}", fault.kind, fault.message),
    }
}

fn read(plugin: &PluginObjectBox, method: u32, arguments: &str) -> String {
    text(plugin.call(method, FORMAT_JSON, arguments.as_bytes().into()))
}

fn write(plugin: &mut PluginObjectBox, method: u32, arguments: &str) -> String {
    text(plugin.call_exclusive(method, FORMAT_JSON, arguments.as_bytes().into()))
}

#[test]
fn a_plugin_lives_from_create_to_retire() {
    let _alone = alone();
    let host = Host::default();
    let mut plugin = host.create::<Fragile>().unwrap();
    plugin.attach().into_result().unwrap();
    assert_eq!(write(&mut plugin, 1, "5"), "105");
    assert_eq!(write(&mut plugin, 1, r#"{"by":1,"note":"yes"}"#), "106");
    assert_eq!(read(&plugin, 0, ""), "[106,4]");
    let snapshot = plugin.snapshot(2).into_result().unwrap();
    let mut next = host.create::<Fragile>().unwrap();
    next.restore(2, snapshot.as_slice().into())
        .into_result()
        .unwrap();
    assert_eq!(read(&next, 0, ""), "[106,4]");
    plugin.retire().into_result().unwrap();
    assert_eq!(read(&plugin, 0, ""), "not_serving: this plugin is retired");
    next.retire().into_result().unwrap();
    assert_eq!(
        host.holders(),
        0,
        "nothing of the host is held after retire"
    );
}

#[test]
fn arguments_behind_references_are_read_as_what_they_refer_to() {
    let _alone = alone();
    let plugin = Host::default().create::<Fragile>().unwrap();
    assert_eq!(
        read(&plugin, 3, r#"[["a"],"/tmp",8]"#),
        r#""[\"a\"] \"/tmp\" 8""#
    );
    assert_eq!(
        read(&plugin, 3, "[[],1]"),
        "bad_arguments: borrow(names: &[String], path: &std::path::Path, type: &u8): argument `path`: \
         invalid type: integer `1`, expected path string at column 5"
    );
}

#[test]
fn a_call_that_does_not_fit_is_refused_in_its_own_word() {
    let _alone = alone();
    let mut plugin = Host::default().create::<Fragile>().unwrap();
    assert_eq!(
        write(&mut plugin, 1, r#"[1,"no"]"#),
        "refused: the note says no"
    );
    assert_eq!(
        read(&plugin, 1, "1"),
        "unknown_method: there is no `&self` method with number 1"
    );
    assert_eq!(
        write(&mut plugin, 0, ""),
        "unknown_method: there is no `&mut self` method with number 0"
    );
    assert_eq!(
        text(plugin.call(0, 2, "".as_bytes().into())),
        "bad_arguments: arguments have format 2, this plugin reads format 1 (JSON)"
    );
    assert_eq!(
        read(&plugin, 2, ""),
        "bad_result: odd was executed, but its result is no JSON: key must be a string"
    );
}

#[test]
fn a_panic_at_any_entry_becomes_a_fault_that_tells_its_place() {
    let _alone = alone();
    let host = Host::default();
    let panicked = |entry: &str, fault: Fault| {
        assert_eq!(fault.kind, FaultKind::PANICKED);
        let message = fault.message.as_str();
        let start = format!("{entry} went wrong at plugin-api/src/adapter/tests.rs:");
        assert!(message.starts_with(&start), "{message}");
    };
    PANICS_IN.set("new");
    panicked("new", host.create::<Fragile>().err().unwrap());
    assert_eq!(
        host.holders(),
        0,
        "a plugin that was not made holds nothing"
    );

    let mut plugin = host.create::<Fragile>().unwrap();
    PANICS_IN.set("attach");
    panicked("attach", plugin.attach().into_result().unwrap_err());
    PANICS_IN.set("read");
    let answer = plugin.call(0, FORMAT_JSON, "".as_bytes().into());
    panicked("read", answer.into_result().unwrap_err());
    PANICS_IN.set("add");
    let answer = plugin.call_exclusive(1, FORMAT_JSON, "1".as_bytes().into());
    panicked("add", answer.into_result().unwrap_err());
    assert_eq!(
        write(&mut plugin, 1, "1"),
        "1",
        "it is called on after a panic"
    );

    let old = OldFragile { total: 3 }.save(1).unwrap();
    PANICS_IN.set("migrate");
    let answer = plugin.restore(1, old.as_slice().into());
    panicked("migrate", answer.into_result().unwrap_err());

    drop(plugin);
    let mut plugin = host.create::<Fragile>().unwrap();
    PANICS_IN.set("drop");
    panicked(
        "drop",
        plugin
            .restore(1, old.as_slice().into())
            .into_result()
            .unwrap_err(),
    );
    PANICS_IN.set("drop");
    panicked("drop", plugin.retire().into_result().unwrap_err());
    let plugin = host.create::<Fragile>().unwrap();
    PANICS_IN.set("drop");
    drop(plugin);
    assert_eq!(host.seen(), [""; 0], "what is caught is not logged as well");
    assert_eq!(host.holders(), 0);
}

#[test]
fn a_payload_that_panics_when_dropped_does_not_escape() {
    let _alone = alone();
    let host = Host::default();
    let plugin = host.create::<Fragile>().unwrap();
    let answer = read(&plugin, 4, "");
    assert_eq!(host.seen(), [""; 0]);
    let start = "panicked: a panic whose payload is no text at plugin-api/src/adapter/tests.rs:";
    assert!(answer.starts_with(start), "{answer}");
    assert_eq!(read(&plugin, 0, ""), "[0,4]");
}

#[test]
fn a_panic_on_a_thread_of_the_plugins_own_is_logged() {
    let _alone = alone();
    let host = Host::default();
    let plugin = host.create::<Fragile>().unwrap();
    let ended = std::thread::spawn(|| panic!("alone")).join();
    assert!(ended.is_err());
    let seen = host.seen().join("\n");
    let start = "1 plugin_api::panic: a thread of the plugin panicked: alone at plugin-api/src/adapter/tests.rs:";
    assert!(seen.starts_with(start), "{seen}");
    drop(plugin);
}

#[test]
fn new_can_refuse() {
    let _alone = alone();
    PANICS_IN.set("refuse");
    let fault = Host::default().create::<Fragile>().err().unwrap();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::REFUSED, "not at 4")
    );
}

#[test]
fn state_that_does_not_fit_is_a_fault_of_the_state() {
    let _alone = alone();
    let host = Host::default();
    let mut plugin = host.create::<Fragile>().unwrap();
    let fault = plugin.snapshot(1).into_result().unwrap_err();
    assert_eq!(fault.kind, FaultKind::STATE);
    let fault = plugin
        .restore(2, b"rubbish".as_slice().into())
        .into_result()
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::STATE);
    let mut plugin = host.create::<Greeter>().unwrap();
    assert_eq!(read(&plugin, 0, r#""Ada""#), r#""hello Ada""#);
    let fault = plugin.snapshot(1).into_result().unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::STATE, "this plugin has no state")
    );
    let fault = plugin
        .restore(1, b"".as_slice().into())
        .into_result()
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::STATE);
}

fn manifest<P: Plugin>() -> Manifest {
    serde_json::from_str(&parts::<P>().concat()).unwrap()
}

#[test]
fn the_manifest_tells_what_the_author_wrote() {
    let fragile = manifest::<Fragile>();
    assert_eq!(
        (fragile.name.as_str(), fragile.version.as_str()),
        ("fragile", "1.2.3")
    );
    assert_eq!((fragile.mode, fragile.schema), (Mode::Barrier, Some(2)));
    assert_eq!(
        (fragile.encoding, fragile.panic),
        (Encoding::Messagepack, PanicStrategy::Unwind)
    );
    assert_eq!(fragile.doc, "Panics \"where\" it is told to.");
    let signatures: Vec<String> = fragile
        .methods
        .iter()
        .map(|method| method.signature())
        .collect();
    assert_eq!(
        signatures,
        [
            "read() -> (u64, u64)",
            "add(by: u64, note: Option<String>) -> Result<u64>",
            "odd() -> std::collections::BTreeMap<Vec<u8>, u8>",
            "borrow(names: &[String], path: &std::path::Path, type: &u8) -> String",
            "explode()",
        ]
    );
    assert_eq!(fragile.methods[0].doc, "Reads.");
    assert!(fragile.methods[1].exclusive && !fragile.methods[0].exclusive);

    let greeter = manifest::<Greeter>();
    assert_eq!((greeter.mode, greeter.schema), (Mode::Overlap, None));
}
