//! The plugin packages: what `host dev` builds and watches, as cargo knows it.
//!
//! A plugin package has a cdylib target and depends on plugin-api itself. Where a workspace names default members, only
//! those are taken (the next version of a plugin lies beside it, outside of them), but for a package whose own folder was
//! asked for.

use super::failure::Failure;
use anyhow::Context as _;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::{
    collections::BTreeSet,
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    ffi::OsString,
    path::{Path, PathBuf},
};

/// How deep below a folder packages are looked for.
const DEPTH: usize = 3;

/// The cargo to use: that of the environment, else the one in the path.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// What stands in for an answer of cargo when there is no cargo.
pub(crate) fn no_cargo(cargo: &OsString, error: &std::io::Error) -> Failure {
    Failure::failed(
        "no_cargo",
        format!(
            "{} cannot be run: {error}. `host dev` needs cargo: install it from https://rustup.rs, or set CARGO to it; \
             `host run DIR` does without",
            Path::new(cargo).display()
        ),
    )
}

/// The plugin packages below some folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Their workspaces, each with at least one.
    pub(crate) workspaces: Vec<Workspace>,
    /// What cargo could not read, in its words.
    pub(crate) troubles: Vec<String>,
}

/// The plugin packages of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// The packages.
    pub(crate) plugins: Vec<PluginPackage>,
    /// The folders that they are built from: their own, and those of the packages they depend on by path.
    pub(crate) folders: BTreeSet<PathBuf>,
}

/// A package that makes a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginPackage {
    /// Its name.
    pub(crate) name: String,
    /// By what cargo tells it from all others.
    pub(crate) id: String,
    /// The name of the file it is built into.
    pub(crate) file_name: String,
}

impl Selection {
    /// The plugin packages below these folders. To have found none is a failure that says what was looked for.
    pub(crate) fn below(folders: &[PathBuf]) -> Result<Self, Failure> {
        let folders: Vec<PathBuf> = folders
            .iter()
            .map(|folder| {
                folder.canonicalize().map_err(|error| {
                    Failure::usage(format!("the folder {}: {error}", folder.display()))
                })
            })
            .collect::<Result<_, _>>()?;
        let mut selection = Selection::default();
        let mut known = BTreeSet::new();
        for manifest in folders.iter().flat_map(|folder| manifests(folder, DEPTH)) {
            if known.contains(&manifest) {
                continue;
            }
            match read(&manifest) {
                Ok(metadata) => {
                    let members = metadata.workspace_packages();
                    known.extend(
                        members
                            .iter()
                            .map(|package| PathBuf::from(&package.manifest_path)),
                    );
                    selection.workspaces.extend(select(&metadata, &folders));
                }
                Err(trouble) => selection.troubles.push(trouble?),
            }
        }
        if selection.workspaces.is_empty() {
            return Err(none_found(&folders, &selection.troubles));
        }
        Ok(selection)
    }

    /// The names of the packages.
    pub(crate) fn names(&self) -> Vec<String> {
        let plugins = self.plugins();
        plugins.map(|plugin| plugin.name.clone()).collect()
    }

    /// The names of the files they are built into.
    pub(crate) fn file_names(&self) -> Vec<String> {
        let plugins = self.plugins();
        plugins.map(|plugin| plugin.file_name.clone()).collect()
    }

    /// Where all of them are built, so that a host has one folder to watch: the first workspace's target folder.
    pub(crate) fn target(&self) -> PathBuf {
        let first = self.workspaces.first();
        first.map_or_else(PathBuf::new, |workspace| workspace.target.clone())
    }

    fn plugins(&self) -> impl Iterator<Item = &PluginPackage> {
        self.workspaces
            .iter()
            .flat_map(|workspace| &workspace.plugins)
    }
}

fn none_found(folders: &[PathBuf], troubles: &[String]) -> Failure {
    let folders: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let mut message = format!(
        "no plugin package below {}: one has `crate-type = [\"cdylib\"]` and depends on plugin-api. \
         `host new NAME` makes one",
        folders.join(", ")
    );
    for trouble in troubles {
        message.push_str(&format!("\n{trouble}"));
    }
    Failure::usage(message)
}

/// The manifest of the folder or, if it has none, those of the folders below it.
fn manifests(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let own = folder.join("Cargo.toml");
    if own.is_file() {
        return vec![own];
    }
    if depth == 0 {
        return Vec::new();
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut below: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|folder| !is_beside_sources(folder))
        .collect();
    below.sort();
    below
        .iter()
        .flat_map(|folder| manifests(folder, depth - 1))
        .collect()
}

/// Whether a file or folder of this name is never a source: what cargo builds, and what is hidden.
pub(crate) fn is_beside_sources(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "target" || name.starts_with('.')
}

/// What cargo says of the workspace of a package. What it refuses to read is a trouble to tell; that there is no cargo
/// ends everything.
fn read(manifest: &Path) -> Result<Metadata, Result<String, Failure>> {
    let metadata = metadata(manifest)?;
    let head = metadata.workspace_root.join("Cargo.toml");
    if head == manifest {
        return Ok(metadata);
    }
    // Seen from a member, that member is the only default one.
    self::metadata(head.as_std_path())
}

fn metadata(manifest: &Path) -> Result<Metadata, Result<String, Failure>> {
    let cargo = cargo();
    let mut command = MetadataCommand::new();
    command.cargo_path(&cargo).manifest_path(manifest).no_deps();
    command.exec().map_err(|error| match error {
        cargo_metadata::Error::Io(error) => Err(no_cargo(&cargo, &error)),
        cargo_metadata::Error::CargoMetadata { stderr } => Ok(stderr.trim_end().to_owned()),
        error => Ok(format!("{}: {error}", manifest.display())),
    })
}

fn select(metadata: &Metadata, folders: &[PathBuf]) -> Option<Workspace> {
    let root = PathBuf::from(&metadata.workspace_root);
    let only_default = names_default_members(&root).unwrap_or(false);
    let chosen: Vec<&Package> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| {
            let folder = folder_of(package);
            let is_asked_for = folders.iter().any(|asked| asked == folder);
            let is_below = folders.iter().any(|asked| folder.starts_with(asked));
            let is_default = metadata.workspace_default_members.contains(&package.id);
            is_asked_for || is_below && (is_default || !only_default)
        })
        .collect();
    let plugins: Vec<(&Package, PluginPackage)> = chosen
        .iter()
        .filter_map(|package| Some((*package, plugin(package)?)))
        .collect();
    if plugins.is_empty() {
        return None;
    }
    let mut sources = BTreeSet::new();
    for (package, _) in &plugins {
        add_folders(package, metadata, &mut sources);
    }
    Some(Workspace {
        root,
        target: PathBuf::from(&metadata.target_directory),
        plugins: plugins.into_iter().map(|(_, plugin)| plugin).collect(),
        folders: sources,
    })
}

/// Whether the workspace says itself which of its members are the default ones.
fn names_default_members(root: &Path) -> anyhow::Result<bool> {
    let file = root.join("Cargo.toml");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let manifest: toml::Table = text.parse()?;
    let workspace = manifest.get("workspace");
    Ok(workspace.is_some_and(|workspace| workspace.get("default-members").is_some()))
}

fn plugin(package: &Package) -> Option<PluginPackage> {
    let depends = package.dependencies.iter().any(|dependency| {
        dependency.name == "plugin-api" && dependency.kind == DependencyKind::Normal
    });
    let library = package.targets.iter().find(|target| target.is_cdylib())?;
    depends.then(|| PluginPackage {
        name: package.name.to_string(),
        id: package.id.repr.clone(),
        file_name: format!("{DLL_PREFIX}{}{DLL_SUFFIX}", library.name.replace('-', "_")),
    })
}

fn add_folders(package: &Package, metadata: &Metadata, folders: &mut BTreeSet<PathBuf>) {
    if !folders.insert(folder_of(package).to_path_buf()) {
        return;
    }
    for dependency in &package.dependencies {
        let Some(path) = &dependency.path else {
            continue;
        };
        if dependency.kind == DependencyKind::Development {
            continue;
        }
        let member = metadata
            .packages
            .iter()
            .find(|package| folder_of(package) == path);
        match member {
            Some(package) => add_folders(package, metadata, folders),
            None => {
                folders.insert(PathBuf::from(path));
            }
        }
    }
}

fn folder_of(package: &Package) -> &Path {
    let manifest = package.manifest_path.as_std_path();
    manifest.parent().unwrap_or(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A workspace with these members, of which `plain` is no plugin.
    fn workspace(members: &[&str], head: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.toml"), head).unwrap();
        for member in members.iter().chain(&["plain", "api"]) {
            let name = match *member {
                "api" => "plugin-api",
                member => member,
            };
            let place = match *member {
                "api" => folder.path().join("api"),
                member => folder.path().join("plugins").join(member),
            };
            let rest = match *member {
                "api" | "plain" => "",
                _ => {
                    "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nplugin-api = { path = \"../../api\" }\n"
                }
            };
            fs::create_dir_all(place.join("src")).unwrap();
            fs::write(place.join("src/lib.rs"), "").unwrap();
            let package = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n{rest}");
            fs::write(place.join("Cargo.toml"), package).unwrap();
        }
        folder
    }

    const ALL: &str = "[workspace]\nresolver = \"3\"\nmembers = [\"plugins/*\", \"api\"]\n";

    fn names(folders: &[PathBuf]) -> Vec<String> {
        Selection::below(folders).unwrap().names()
    }

    #[test]
    fn plugins_are_told_from_other_packages() {
        let workspace = workspace(&["counter", "monitor-2"], ALL);
        let selection = Selection::below(&[workspace.path().join("plugins")]).unwrap();
        assert_eq!(selection.names(), ["counter", "monitor-2"]);
        assert_eq!(selection.file_names(), ["libcounter.so", "libmonitor_2.so"]);
        assert_eq!(
            selection.target(),
            workspace.path().canonicalize().unwrap().join("target")
        );
    }

    #[test]
    fn what_they_are_built_from_is_their_folders_and_those_they_depend_on() {
        let workspace = workspace(&["counter"], ALL);
        let selection = Selection::below(&[workspace.path().to_path_buf()]).unwrap();
        let root = workspace.path().canonicalize().unwrap();
        let folders: Vec<&PathBuf> = selection.workspaces[0].folders.iter().collect();
        assert_eq!(folders, [&root.join("api"), &root.join("plugins/counter")]);
    }

    #[test]
    fn where_default_members_are_named_others_are_taken_only_when_asked_for() {
        let head = format!("{ALL}default-members = [\"plugins/counter\", \"plugins/monitor\"]\n");
        let workspace = workspace(&["counter", "counter-2", "monitor"], &head);
        let plugins = workspace.path().join("plugins");
        assert_eq!(
            names(std::slice::from_ref(&plugins)),
            ["counter", "monitor"]
        );
        assert_eq!(names(&[plugins.join("counter-2")]), ["counter-2"]);
    }

    #[test]
    fn where_there_is_none_the_failure_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Selection::below(&[folder.path().to_path_buf()]).unwrap_err();
        assert!(failure.message.contains("host new NAME"), "{failure}");
    }
}
