//! `host new`: a plugin package to begin with. It builds and loads as it is.

use super::{failure::Failure, output::Output, workspace::Workspace};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// The longest name.
const LONGEST_NAME: usize = 64;
/// Names that cargo or the compiler take for something else.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "host",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "plugin-api",
    "plugin_api",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

const SOURCE: &str = r#"//! NAME: greets, and goes on counting its greetings across swaps.
//!
//! ```text
//! host call NAME hello Ada
//! ```

/// What one build hands over to the next.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Greeter {
    greetings: u64,
}

#[plugin_api::plugin]
impl Greeter {
    /// Greets somebody.
    fn hello(&mut self, name: String) -> String {
        self.greetings += 1;
        format!("Hello, {name}!")
    }

    /// How many greetings there have been.
    fn greetings(&self) -> u64 {
        self.greetings
    }
}
"#;

/// `host new`.
pub(crate) fn new(name: &str, output: &Output) -> Result<(), Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::failed("failed", format!("finding this folder: {error}")))?;
    let made = make(name, &here)?;
    if output.is_json() {
        return output.object(&serde_json::json!({
            "plugin": name,
            "folder": made.folder.display().to_string(),
            "plugin_api": made.plugin_api.to_string(),
        }));
    }
    let folder = made.folder.strip_prefix(&here).unwrap_or(&made.folder);
    output.line(&format!(
        "made {} with plugin-api from {}",
        folder.display(),
        made.plugin_api
    ));
    if made.joined {
        output.line("added it to the members of the workspace");
    }
    output.line(&format!(
        "next: `host dev {}`, and beside it `host call {name} hello Ada`",
        folder.display()
    ));
    Ok(())
}

/// A package that was made.
#[derive(Debug)]
struct NewPackage {
    folder: PathBuf,
    plugin_api: PluginApi,
    /// Whether the workspace's manifest had to name it.
    joined: bool,
}

/// Where a new package has plugin-api from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PluginApi {
    Workspace,
    Path(PathBuf),
    Registry,
}

impl PluginApi {
    /// The line under `[dependencies]`.
    fn dependency(&self) -> String {
        match self {
            PluginApi::Workspace => "plugin-api.workspace = true".to_owned(),
            PluginApi::Path(path) => {
                let path = toml_edit::Value::from(path.display().to_string());
                format!("plugin-api = {{ path = {path} }}")
            }
            PluginApi::Registry => "plugin-api = \"0.1\"".to_owned(),
        }
    }
}

impl fmt::Display for PluginApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PluginApi::Workspace => f.write_str("the workspace"),
            PluginApi::Path(path) => write!(f, "{}", path.display()),
            PluginApi::Registry => f.write_str("the registry (0.1)"),
        }
    }
}

/// Makes the package `name` for somebody who stands in `here`.
fn make(name: &str, here: &Path) -> Result<NewPackage, Failure> {
    if let Some(fault) = fault_of_name(name) {
        return Err(Failure::usage(format!(
            "\"{name}\" cannot be the name of a plugin: {fault}"
        )));
    }
    let mut workspace = Workspace::around(here)?;
    let shared = workspace
        .as_ref()
        .map(|workspace| workspace.root.join("plugins"))
        .filter(|plugins| plugins.is_dir());
    let is_shared = shared.is_some();
    let folder = shared.unwrap_or_else(|| here.to_path_buf()).join(name);
    if fs::symlink_metadata(&folder).is_ok() {
        let message = format!("{} is there already; nothing was changed", folder.display());
        return Err(Failure::failed("exists", message));
    }
    // The workspace that it is, or becomes, a member of; and by what path.
    let membership = workspace.as_mut().and_then(|workspace| {
        let member = folder.strip_prefix(&workspace.root).ok()?;
        let member = member.to_string_lossy().into_owned();
        let can_join = is_shared && !workspace.excludes(&member);
        (workspace.covers(&member) || can_join).then_some((workspace, member))
    });
    let plugin_api = match &membership {
        Some((workspace, _)) if workspace.offers("plugin-api") => PluginApi::Workspace,
        _ => plugin_api_elsewhere(),
    };
    let is_member = membership.is_some();
    let is_lodger = !is_member && Workspace::around(here)?.is_some();
    write(&folder, name, &plugin_api, is_member, is_lodger).map_err(|error| {
        Failure::failed("failed", format!("making {}: {error}", folder.display()))
    })?;
    let mut joined = false;
    if let Some((workspace, member)) = membership
        && workspace.add(&member)?
    {
        workspace.save()?;
        joined = true;
    }
    Ok(NewPackage {
        folder,
        plugin_api,
        joined,
    })
}

/// The plugin-api of the checkout that this program was built in, if it is still there.
fn plugin_api_elsewhere() -> PluginApi {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
    match beside.canonicalize() {
        Ok(path) if path.join("Cargo.toml").is_file() => PluginApi::Path(path),
        _ => PluginApi::Registry,
    }
}

/// Writes the package under a hidden name and renames it, so that nobody who watches sees half of it.
fn write(
    folder: &Path,
    name: &str,
    plugin_api: &PluginApi,
    is_member: bool,
    is_lodger: bool,
) -> std::io::Result<()> {
    let unfinished = folder.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::create_dir_all(unfinished.join("src"))?;
    let written = (|| {
        let manifest = manifest(name, plugin_api, is_lodger);
        fs::write(unfinished.join("Cargo.toml"), manifest)?;
        fs::write(unfinished.join("src/lib.rs"), SOURCE.replace("NAME", name))?;
        if !is_member {
            fs::write(unfinished.join(".gitignore"), "/target\n/.host\n")?;
        }
        fs::rename(&unfinished, folder)
    })();
    if written.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    written
}

fn manifest(name: &str, plugin_api: &PluginApi, is_lodger: bool) -> String {
    let dependency = plugin_api.dependency();
    let own_workspace = if is_lodger {
        "\n# It lies in the folder of another workspace, and is no member of it.\n[workspace]\n"
    } else {
        ""
    };
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\n\n[dependencies]\n{dependency}\n{own_workspace}"
    )
}

/// What is wrong with a plugin's name, if anything is.
fn fault_of_name(name: &str) -> Option<String> {
    let is_fitting = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter)
    };
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        Some("it must begin with a lower-case letter (a to z)".to_owned())
    } else if let Some(other) = name.chars().find(|letter| !is_fitting(*letter)) {
        let allowed = "lower-case letters, digits, `-` and `_`";
        Some(format!("it has {other:?}; only {allowed} are possible"))
    } else if name.len() > LONGEST_NAME {
        let length = name.len();
        Some(format!(
            "it has {length} characters; {LONGEST_NAME} are possible"
        ))
    } else if TAKEN.contains(&name) {
        Some("cargo or the compiler would take it for something else".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn manifest_of(package: &NewPackage) -> String {
        fs::read_to_string(package.folder.join("Cargo.toml")).unwrap()
    }

    #[test]
    fn a_name_is_what_a_manifest_can_hold() {
        for name in ["a", "counter", "rate-limit_2", &"a".repeat(64)] {
            assert_eq!(fault_of_name(name), None, "{name}");
        }
        for name in [
            "",
            "2a",
            "-a",
            "Counter",
            "a b",
            "ä",
            "../a",
            "fn",
            &"a".repeat(65),
        ] {
            assert!(fault_of_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn in_a_workspace_with_plugins_it_becomes_a_member() {
        let head = "[workspace]\nmembers = [\"plugin-api\"]\n\n[workspace.dependencies]\nplugin-api = { path = \"plugin-api\" }\n";
        let root = folder_with(&[("Cargo.toml", head), ("plugins/notes", "")]);
        let package = make("greeter", &root.path().join("plugins")).unwrap();
        assert_eq!(package.folder, root.path().join("plugins/greeter"));
        assert!(package.joined);
        assert!(manifest_of(&package).contains("plugin-api.workspace = true"));
        assert!(!package.folder.join(".gitignore").exists());
        let head = fs::read_to_string(root.path().join("Cargo.toml")).unwrap();
        assert!(head.contains("members = [\"plugin-api\", \"plugins/greeter\"]"));
    }

    #[test]
    fn elsewhere_it_stands_alone() {
        let root = folder_with(&[]);
        let package = make("greeter", root.path()).unwrap();
        assert_eq!(package.folder, root.path().join("greeter"));
        let manifest = manifest_of(&package);
        assert!(!manifest.contains("[workspace]"));
        assert!(manifest.contains("plugin-api = { path = "), "{manifest}");
        assert!(package.folder.join(".gitignore").exists());
    }

    #[test]
    fn in_a_workspace_that_does_not_take_it_it_is_a_workspace_of_its_own() {
        let head = "[workspace]\nmembers = [\"host\"]\n";
        let root = folder_with(&[("Cargo.toml", head)]);
        let package = make("greeter", root.path()).unwrap();
        assert!(manifest_of(&package).ends_with("[workspace]\n"));
        assert_eq!(
            fs::read_to_string(root.path().join("Cargo.toml")).unwrap(),
            head
        );
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let root = folder_with(&[("greeter/notes", "mine")]);
        let failure = make("greeter", root.path()).unwrap_err();
        assert_eq!(failure.kind, "exists");
        assert_eq!(
            fs::read_dir(root.path().join("greeter")).unwrap().count(),
            1
        );
    }
}
