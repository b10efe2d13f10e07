//! The commands: what can be asked of the program on its command line, with the help that tells it.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf};

/// A long-lived host for native plugins that are swapped while they are called.
#[derive(Debug, Parser)]
#[command(
    name = "host",
    version,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 usage or configuration, 3 no host, 4 busy or out of time.",
    after_long_help = "\
Examples:
  host dev                    build the plugins of this folder, run them, rebuild and swap on every save
  host new greeter            a plugin to begin with
  host call greeter hello Ada
  host run target/release     watch a folder of finished plugins
  host status greeter

Exit codes:
  0  done
  1  refused or failed
  2  usage or configuration
  3  no host there
  4  busy, or out of time"
)]
pub(crate) struct CommandLine {
    /// Write JSON for scripts: one object on standard output, failures as {"error":{"kind","message"}} on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where the host is.
    #[command(flatten)]
    pub(crate) place: Place,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Where a host is, or is to be.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// The folder where a host keeps its journal, artifacts, snapshots and socket.
    ///
    /// Default for `dev` and `run`: `.host` here. Default for the others: `.host` here or in the nearest parent folder
    /// that has one.
    #[arg(long, global = true, value_name = "DIR", env = "HOST__STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The socket by which a host is asked. Default: `host.sock` in the state folder.
    #[arg(long, global = true, value_name = "SOCKET")]
    pub(crate) admin: Option<PathBuf>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Build the plugin packages here, run them, and rebuild and swap them whenever a source changes
    #[command(
        long_about = "\
Build the plugin packages in the given folders, run them, watch their sources, and rebuild and swap them whenever one
changes. A plugin package has a cdylib target and depends on plugin-api; where the workspace names default members, only
those are taken, but for a package whose own folder is given.

A build that fails changes nothing: what serves serves on, and the next save is the next attempt. The log is quieter than
under `run` (warnings only) unless the configuration or the environment says otherwise.",
        after_long_help = "\
Examples:
  host dev
  host dev plugins/counter
  host dev --release --listen 127.0.0.1:0"
    )]
    Dev(Dev),
    /// Run the plugins of a folder, and swap them whenever a file in it changes
    #[command(
        long_about = "\
Watch a folder of finished plugins (cargo's target/release or target/debug works as it is), load what is in it, and swap
whatever changes. When it is ready it prints one line: `ready call=http://ADDRESS admin=SOCKET`.

SIGTERM and SIGINT: new calls are refused, calls inside run to their end, states are saved; a second one ends the process
at once. SIGHUP: the folder is looked at again.",
        after_long_help = "\
Examples:
  host run target/release
  host run --config /etc/host.toml --state-dir /var/lib/host --log-format json"
    )]
    Run(Run),
    /// Make a plugin package that builds and loads as it is
    #[command(
        long_about = "\
Make a plugin package that builds and loads as it is: in plugins/NAME of a workspace that has a folder `plugins`, in ./NAME
everywhere else. A name has lower-case letters, digits, `-` and `_`, begins with a letter and has at most 64 characters.",
        after_long_help = "\
Example:
  host new greeter && host dev greeter"
    )]
    New {
        /// The plugin's name.
        name: String,
    },
    /// Examine a plugin file, without a host and without loading it anywhere else than in a child process
    #[command(after_long_help = "\
Example:
  host vet target/debug/libcounter.so

Exit code 0 if it is sound, 1 otherwise.")]
    Vet {
        /// The file.
        file: PathBuf,
        /// How long the examination may take.
        #[arg(long, value_name = "TIME", default_value = "10s")]
        limit: humantime::Duration,
    },
    /// A line for each plugin
    List,
    /// All about the host, or about one plugin
    Status {
        /// The plugin; without it, the host.
        plugin: Option<String>,
    },
    /// Call a method of a plugin
    #[command(
        long_about = "\
Call a method of a plugin and print its result as JSON.

A single ARGUMENT is JSON: an array is the list of arguments, an object whose keys are the arguments' names serves too, any
other value is the one argument. What is not JSON is taken as text. Several ARGUMENTs are the list of arguments, one each.
With --json the result stands in an object beside the version and the generation that answered.",
        after_long_help = "\
Examples:
  host call counter add 5                      one number
  host call greeter hello Ada                  one text
  host call geo distance '[48.2, 16.3]' 7      two arguments, the first a list
  host call geo place '{\"lat\":48.2,\"lon\":16.3}'
  host call notes add -- --text--              what begins with a dash stands after `--`"
    )]
    Call {
        /// The plugin.
        plugin: String,
        /// The method.
        method: String,
        /// The arguments.
        #[arg(allow_negative_numbers = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Load a plugin file, or swap the plugin for it, and wait for the outcome
    Load {
        /// The file.
        file: PathBuf,
    },
    /// Drain a plugin and take it out of memory; it stays unloaded until it is loaded again
    Unload {
        /// The plugin.
        plugin: String,
    },
    /// Go back to an older artifact of a plugin, with its present state
    #[command(after_long_help = "\
Examples:
  host rollback counter                to the one before the current
  host rollback counter --to 1.2.0     to a version
  host rollback counter --to 7         to the artifact that was generation 7")]
    Rollback {
        /// The plugin.
        plugin: String,
        /// A version or, if it is a whole number, a generation. Default: the one before the current.
        #[arg(long, value_name = "VERSION|GENERATION")]
        to: Option<String>,
    },
    /// What the journal tells of a plugin, newest first
    History {
        /// The plugin.
        plugin: String,
        /// How many records.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Read and change the data that plugins depend on
    #[command(after_long_help = "\
Examples:
  host data list
  host data put rates rates.json
  host data put rates rates.json limits limits.toml    both in one step, or neither
  host data diff rates 6 7
  host data rollback rates                to the one before the current
  host data rollback rates --to 6 --pin   hold it against the source
  host data rollback rates --to 8         8 being held: lift the pin, and change nothing else")]
    Data {
        /// What to do.
        #[command(subcommand)]
        verb: DataVerb,
    },
    /// Apply versions of plugins and revisions of data that belong together: all of them, or none
    #[command(
        long_about = "\
Apply versions of plugins and revisions of data that belong together. Whatever fails changes nothing, or is put back.

The file says what belongs together; relative paths start at its folder:

  name = \"summer prices\"

  [plugins]
  pricing = \"target/release/libpricing.so\"
  counter = { version = \"1.2.0\" }          # what has served before; or { generation = 7 }

  [data]
  rates = \"rates.json\"
  limits = { revision = 7 }                  # a kept revision",
        after_long_help = "\
Examples:
  host release apply release.toml
  host release list
  host release rollback      the last one
  host release rollback 4    release 4"
    )]
    Release {
        /// What to do.
        #[command(subcommand)]
        verb: ReleaseVerb,
    },
    /// The last 100 events of the host
    Events {
        /// Go on with those to come, until ctrl-c.
        #[arg(short, long)]
        follow: bool,
    },
}

/// What can be asked about data.
#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// A line for each dataset
    List,
    /// Write the content of a revision to standard output, as it came
    Get {
        /// The dataset.
        name: String,
        /// The revision. Default: the one that is held.
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
    /// Publish the content of a file, or of several in one step; it holds until the source brings something newer
    Put {
        /// The dataset and the file; further datasets with their files.
        #[arg(required = true, num_args = 2.., value_names = ["NAME", "FILE"])]
        pairs: Vec<String>,
    },
    /// The revisions that are kept, newest first
    History {
        /// The dataset.
        name: String,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// What differs between two revisions, line by line of the parsed content
    Diff {
        /// The dataset.
        name: String,
        /// The older revision.
        #[arg(value_name = "A")]
        from: u64,
        /// The newer revision.
        #[arg(value_name = "B")]
        to: u64,
    },
    /// Publish the content of an older revision; it holds until the source brings something newer
    Rollback {
        /// The dataset.
        name: String,
        /// The revision to go back to. Default: the newest with another content than the current.
        #[arg(long, value_name = "N")]
        to: Option<u64>,
        /// Hold it against the source, until content is put or gone back to without this.
        #[arg(long)]
        pin: bool,
    },
}

/// What can be asked about releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseVerb {
    /// Apply what the file says: all of it, or nothing
    Apply {
        /// The file.
        file: PathBuf,
    },
    /// The releases, newest first
    List {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Go back to what was there before a release, as a release of its own
    Rollback {
        /// The release. Default: the last that is applied and not rolled back.
        number: Option<u64>,
    },
}

/// What `dev` takes.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Folders with plugin packages. Default: `plugins` if it exists, else the package here.
    #[arg(value_name = "DIR")]
    pub(crate) directories: Vec<PathBuf>,
    /// Build with the release profile.
    #[arg(long)]
    pub(crate) release: bool,
    /// What `run` takes too.
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What `run` takes.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The folder to watch. Default: `plugins.dir` of the configuration.
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// What `dev` takes too.
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What `dev` and `run` share. Each goes before the configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// The configuration file. Default: `host.toml` here, if it exists.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address for calls over HTTP; port 0 picks a free one. Default: 127.0.0.1:7878.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// How log records are written to standard error.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// How log records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_are_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_negative_number_is_an_argument_and_a_flag_stays_a_flag() {
        let command =
            CommandLine::try_parse_from(["host", "call", "counter", "add", "-5", "--json"])
                .unwrap_or_else(|error| panic!("{error}"));
        assert!(command.json);
        let Verb::Call { arguments, .. } = command.verb else {
            panic!("another verb");
        };
        assert_eq!(arguments, ["-5"]);
    }

    #[test]
    fn what_tells_the_place_may_stand_before_and_after_the_verb() {
        for line in [
            ["host", "--admin", "a.sock", "list"],
            ["host", "list", "--admin", "a.sock"],
        ] {
            let command =
                CommandLine::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(command.place.admin, Some(PathBuf::from("a.sock")));
        }
    }
}
