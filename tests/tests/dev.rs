//! An author's day: a package made by `host new`, and `host dev` that builds it with the real cargo at every save.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tests::{Answer, Output, Program, repository, until};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A plugin that counts.
const SOURCE: &str = "\
//! Counts.

#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Tally {
    total: u64,
}

#[plugin_api::plugin]
impl Tally {
    fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        self.total
    }
}
";

/// What goes with a state that has another field under another schema number.
const MIGRATION: &str = "
#[plugin_api::state(schema = 1)]
struct Former {
    total: u64,
}

fn from_former(former: Former) -> Tally {
    Tally { sum: former.total }
}
";

/// Where all of these tests build: kept from run to run, so that only the first one compiles the dependencies. No two
/// tests have packages of the same name.
fn target() -> PathBuf {
    tests::target_dir().join("workshop")
}

/// The settings of cargo, for the program and for cargo itself.
fn prepare<'a>(command: &'a mut Command, here: &Path) -> &'a mut Command {
    command
        .current_dir(here)
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_NET_OFFLINE", "true")
}

fn build(here: &Path, arguments: &[&str]) {
    let mut cargo = Command::new("cargo");
    let output = prepare(&mut cargo, here)
        .args(["build", "--quiet"])
        .args(arguments)
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Removes what a former run of the tests has built under this name, which would serve until it is built anew.
fn forget(plugin: &str) {
    let file = format!("debug/lib{}.so", plugin.replace('-', "_"));
    match fs::remove_file(target().join(file)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
}

fn write(file: &Path, text: &str) {
    let folder = file.parent().expect("a file in a folder");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(file, text).expect("a file");
}

/// The versions that this repository is built with, which are there without a network.
fn lock_versions(here: &Path) {
    fs::copy(repository().join("Cargo.lock"), here.join("Cargo.lock")).expect("the lock file");
}

/// A workspace with a folder `plugins`.
struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    fn new() -> Self {
        let workspace = Workspace { folder: folder() };
        let root = workspace.root();
        let api = repository().join("plugin-api");
        let head = format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\"shared\"]\n\n\
             [workspace.dependencies]\nplugin-api = {{ path = \"{}\" }}\n",
            api.display()
        );
        write(&root.join("Cargo.toml"), &head);
        let shared = "[package]\nname = \"shared\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
                      [dependencies]\nplugin-api.workspace = true\n";
        write(&root.join("shared/Cargo.toml"), shared);
        write(&root.join("shared/src/lib.rs"), "//! No plugin.\n");
        fs::create_dir(root.join("plugins")).expect("a folder");
        lock_versions(root);
        static DEPENDENCIES: OnceLock<()> = OnceLock::new();
        // Here and without a limit, so that the program is ready soon.
        DEPENDENCIES.get_or_init(|| build(root, &["-p", "plugin-api"]));
        workspace
    }

    /// With a plugin made by `host new`, which then counts.
    fn with_tally(name: &str) -> Self {
        let workspace = Workspace::new();
        workspace.make(name);
        workspace.save(name, SOURCE);
        workspace
    }

    fn make(&self, name: &str) {
        let made = Output::of(self.root(), &["new", name]);
        assert_eq!(made.code, Some(0), "{made:?}");
        forget(name);
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn save(&self, plugin: &str, text: &str) {
        write(
            &self.root().join("plugins").join(plugin).join("src/lib.rs"),
            text,
        );
    }

    /// Saves as many editors do: to another name, which then takes the place of the old file.
    fn save_by_renaming(&self, plugin: &str, text: &str) {
        let source = self.root().join("plugins").join(plugin).join("src/lib.rs");
        let unfinished = source.with_file_name(".lib.rs.swp");
        write(&unfinished, text);
        fs::rename(unfinished, source).expect("a new name");
    }

    fn dev(&self, state: tempfile::TempDir) -> Program {
        dev(self.root(), &[], state)
    }
}

fn dev(here: &Path, arguments: &[&str], state: tempfile::TempDir) -> Program {
    Program::start_with(state, |command| {
        prepare(command, here)
            .args(["dev", "--listen", "127.0.0.1:0"])
            .args(arguments);
    })
}

fn generation(answer: &Answer) -> u64 {
    let header = answer.header("x-plugin-generation");
    let generation = header.and_then(|number| number.parse().ok());
    generation.unwrap_or_else(|| panic!("{answer:?}"))
}

/// Adds nothing, and gives the answer.
fn look(host: &Program, plugin: &str) -> Answer {
    let answer = host.post(plugin, "add", "0");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// Waits for a generation behind this one, and for the line that tells of it.
fn until_swapped(host: &Program, plugin: &str, before: u64) -> String {
    let now = until("a new build serves", || {
        let now = generation(&look(host, plugin));
        (now > before).then_some(now)
    });
    host.line(&format!("{plugin} 0.1.0 → generation {now} serves"))
}

#[test]
fn a_saved_edit_is_swapped_with_the_state_kept() {
    let workspace = Workspace::with_tally("abacus");
    let host = workspace.dev(folder());
    assert!(host.log().contains("building abacus"), "{}", host.log());
    let first = host.post("abacus", "add", "5");
    assert_eq!(first.body, "5");
    workspace.save("abacus", &SOURCE.replace("+= by;", "+= by * 100;"));
    let line = until_swapped(&host, "abacus", generation(&first));
    assert!(line.contains("ms after save, build "), "{line}");
    assert_eq!(host.post("abacus", "add", "1").body, "105");
    let events = host.command(&["events"]).stdout;
    assert!(events.contains("build of abacus"), "{events}");
    host.signal("TERM");
    let (status, state) = host.wait();
    assert_eq!(status.code(), Some(0), "{status:?}");
    let host = workspace.dev(state);
    assert_eq!(host.post("abacus", "add", "1").body, "205");
}

#[test]
fn a_syntax_error_is_shown_with_its_place_and_its_repair_goes_live() {
    let workspace = Workspace::with_tally("ledger");
    let host = workspace.dev(folder());
    let first = host.post("ledger", "add", "5");
    let broken = SOURCE.replace("+= by;", "+= ;");
    workspace.save("ledger", &broken);
    let line = host.line("build failed");
    assert!(line.contains("plugins/ledger/src/lib.rs:12:23: "), "{line}");
    assert!(line.ends_with("what served serves on"), "{line}");
    // In the compiler's own words too.
    assert!(host.log().contains("self.total += ;"), "{}", host.log());
    let now = look(&host, "ledger");
    assert_eq!(
        (now.body.as_str(), generation(&now)),
        ("5", generation(&first))
    );
    let events = host.command(&["events"]).stdout;
    assert!(events.contains("lib.rs:12:23: "), "{events}");
    workspace.save_by_renaming("ledger", &SOURCE.replace("+= by;", "+= by * 100;"));
    let line = until_swapped(&host, "ledger", generation(&first));
    assert!(line.contains("ms after save, build "), "{line}");
    assert_eq!(host.post("ledger", "add", "1").body, "105");
}

#[test]
fn a_build_that_fails_at_first_is_waited_for() {
    let workspace = Workspace::with_tally("slate");
    workspace.save("slate", &SOURCE.replace("u64,", "u65,"));
    let host = workspace.dev(folder());
    let line = host.line("build failed");
    assert!(line.contains("plugins/slate/src/lib.rs:6:12: "), "{line}");
    assert!(line.ends_with("waiting for the next save"), "{line}");
    assert_eq!(host.post("slate", "add", "5").status, 404);
    workspace.save("slate", SOURCE);
    until("the repair serves", || {
        (host.post("slate", "add", "0").status == 200).then_some(())
    });
    assert_eq!(host.post("slate", "add", "5").body, "5");
}

#[test]
fn a_changed_state_without_a_new_number_is_refused_until_it_has_one() {
    let workspace = Workspace::with_tally("census");
    let host = workspace.dev(folder());
    let first = host.post("census", "add", "5");
    let changed = SOURCE.replace("total", "sum");
    workspace.save("census", &changed);
    let line = host.line("census stopped at ");
    assert!(
        line.contains("missing field `sum`") && line.contains("a new schema number"),
        "{line}"
    );
    let serving = format!("0.1.0, generation {}, serves on", generation(&first));
    assert!(line.ends_with(&serving), "{line}");
    let now = look(&host, "census");
    assert_eq!(
        (now.body.as_str(), generation(&now)),
        ("5", generation(&first))
    );
    let status = host.command(&["status", "census", "--json"]).json();
    assert!(
        status["last_failure"]["reason"].is_string(),
        "the reason can be asked for: {status}"
    );
    let numbered = changed.replace("schema = 1", "schema = 2, migrate = from_former");
    workspace.save("census", &(numbered + MIGRATION));
    until_swapped(&host, "census", generation(&first));
    assert_eq!(host.post("census", "add", "1").body, "6");
}

#[test]
fn data_beside_the_sources_is_published_and_built_only_where_a_plugin_has_it_in_itself() {
    let workspace = Workspace::with_tally("scales");
    let root = workspace.root();
    let dataset = |name: &str| {
        format!(
            "[data.{name}]\nsource = {{ kind = \"file\", path = \"plugins/scales/{name}.json\" }}\n"
        )
    };
    write(
        &root.join("host.toml"),
        &(dataset("weights") + &dataset("names")),
    );
    let of_scales = root.join("plugins/scales");
    write(&of_scales.join("weights.json"), "1");
    write(&of_scales.join("names.json"), "1");
    let with_names = SOURCE.replace(
        "fn add",
        "fn names(&self) -> String {\n        include_str!(\"../names.json\").to_owned()\n    }\n\n    fn add",
    );
    workspace.save("scales", &with_names);
    let host = Program::start_with(folder(), |command| {
        prepare(command, root)
            .args(["dev", "--listen", "127.0.0.1:0"])
            .env("HOST__LOG__FILTER", "warn,host::program=debug");
    });
    assert!(host.log().contains("configured by /"), "{}", host.log());
    assert_eq!(host.post("scales", "names", "").body, "\"1\"");
    write(&of_scales.join("weights.json"), "2");
    let _seen = host.line("weights.json meaning=Nothing");
    until("the data is published", || {
        let data = host.command(&["data", "get", "weights"]);
        (data.stdout == "2").then_some(())
    });
    write(&of_scales.join("names.json"), "2");
    until("what a plugin has in itself is built", || {
        (host.post("scales", "names", "").body == "\"2\"").then_some(())
    });
    let builds = host.log().matches("building scales").count();
    assert_eq!(builds, 2, "{}", host.log());
}

#[test]
fn a_package_made_beside_running_ones_goes_live() {
    let workspace = Workspace::with_tally("elder");
    let host = workspace.dev(folder());
    assert_eq!(host.post("elder", "add", "5").body, "5");
    workspace.make("younger");
    let _line = host.line("younger is a plugin package now");
    until("the new one serves", || {
        (host.post("younger", "greetings", "").status == 200).then_some(())
    });
    let hello = host.command(&["call", "younger", "hello", "Ada"]);
    assert_eq!(hello.stdout.trim(), "\"Hello, Ada!\"", "{hello:?}");
    assert_eq!(look(&host, "elder").body, "5");
}

#[test]
fn a_new_package_that_stands_alone_builds_and_loads_as_it_is() {
    let here = folder();
    let made = Output::of(here.path(), &["new", "greeter", "--json"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let greeter = here.path().join("greeter");
    assert_eq!(made.json()["plugin"], "greeter");
    assert_eq!(made.json()["folder"], greeter.display().to_string());
    assert_eq!(
        all_below(here.path()),
        [
            "greeter",
            "greeter/.gitignore",
            "greeter/Cargo.toml",
            "greeter/src",
            "greeter/src/lib.rs",
        ]
    );
    lock_versions(&greeter);
    forget("greeter");
    build(&greeter, &[]);
    let library = target().join("debug/libgreeter.so");
    let vetted = Output::of(here.path(), &["vet", &library.display().to_string()]);
    assert_eq!(vetted.code, Some(0), "{vetted:?}");
    assert!(!vetted.stdout.contains("remark"), "{vetted:?}");
    let plugins = folder();
    fs::copy(&library, plugins.path().join("libgreeter.so")).expect("a copy");
    let host = Program::start(&["run", &plugins.path().display().to_string()]);
    let hello = host.post("greeter", "hello", "\"Ada\"");
    assert_eq!(hello.body, "\"Hello, Ada!\"", "{hello:?}");
    assert_eq!(hello.header("x-plugin-version"), Some("0.1.0"));
    assert_eq!(host.post("greeter", "greetings", "").body, "1");
    drop(host);
    // And where its author stands at the beginning.
    let host = dev(here.path(), &["greeter"], folder());
    assert_eq!(
        host.post("greeter", "hello", "\"Bob\"").body,
        "\"Hello, Bob!\""
    );
}

#[test]
fn a_new_package_in_a_workspace_is_a_member_that_builds_as_it_is() {
    let workspace = Workspace::new();
    let below = workspace.root().join("shared");
    let made = Output::of(&below, &["new", "rate-limit"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    forget("rate-limit");
    let head = fs::read_to_string(workspace.root().join("Cargo.toml")).expect("the manifest");
    assert!(
        head.contains("members = [\"shared\", \"plugins/rate-limit\"]"),
        "{head}"
    );
    assert_eq!(
        all_below(workspace.root()),
        [
            "Cargo.lock",
            "Cargo.toml",
            "plugins",
            "plugins/rate-limit",
            "plugins/rate-limit/Cargo.toml",
            "plugins/rate-limit/src",
            "plugins/rate-limit/src/lib.rs",
            "shared",
            "shared/Cargo.toml",
            "shared/src",
            "shared/src/lib.rs",
        ]
    );
    let host = workspace.dev(folder());
    let hello = host.post("rate-limit", "hello", "\"Ada\"");
    assert_eq!(hello.body, "\"Hello, Ada!\"", "{hello:?}");
}

#[test]
fn a_name_that_no_plugin_can_have_is_refused_and_nothing_is_made() {
    let workspace = Workspace::new();
    let before = all_below(workspace.root());
    let long = "a".repeat(65);
    for name in [
        "", "2a", "-a", "Greeter", "a b", "a.b", "ü", "../a", "a/b", "fn", "host", "test", &long,
    ] {
        for here in [workspace.root(), &workspace.root().join("shared")] {
            let output = Output::of(here, &["new", "--", name]);
            assert_eq!(output.code, Some(2), "{name}: {output:?}");
            assert!(!output.stderr.is_empty(), "{name}: {output:?}");
            assert_eq!(output.stdout, "", "{name}: {output:?}");
        }
    }
    assert_eq!(all_below(workspace.root()), before);
}

#[test]
fn what_is_there_already_is_left_as_it_is() {
    let workspace = Workspace::new();
    let root = workspace.root();
    write(&root.join("plugins/mine/notes"), "mine");
    write(&root.join("plugins/file"), "mine");
    std::os::unix::fs::symlink("/nowhere", root.join("plugins/link")).expect("a link");
    let before = all_below(root);
    let head = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    for name in ["mine", "file", "link"] {
        let output = Output::of(root, &["new", name]);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("is there already"), "{output:?}");
    }
    assert_eq!(all_below(root), before);
    let after = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    assert_eq!(after, head);
}

#[test]
fn where_there_is_no_package_an_author_is_told_how_to_make_one() {
    let here = folder();
    let output = Output::of(here.path(), &["dev", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("`host new NAME`"), "{output:?}");
    assert_eq!(all_below(here.path()), [""; 0]);
}

/// Everything below a folder, hidden or not, by its path from there.
fn all_below(folder: &Path) -> Vec<String> {
    fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let relative = path.strip_prefix(root).expect("below the root");
            found.push(relative.display().to_string());
            if path.is_dir() {
                collect(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, folder, &mut found);
    found.sort();
    found
}
