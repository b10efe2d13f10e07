//! The peers: measures the host beside what a user would pick instead, in one run on one machine.
//!
//! ```text
//! cargo run --release --manifest-path tests/peers/Cargo.toml [-- --only calls] [--quick] [--json]
//! ```
//!
//! Ratios are taken between times of the same round, so that a machine that is busy for a while is so for everybody.
//! Contenders know nothing of measuring, and the other way round; `contender/ours.rs` is all that knows how the host is
//! called.

mod arguments;
mod builds;
mod contender;
/// The host's own sources, compiled here once more: what is private there is measured as it is.
#[path = "../../../host/src"]
mod host_sources {
    #[allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "the host uses all of it"
    )]
    pub(crate) mod gate;
}
mod http;
mod library;
mod machine;
mod part;
mod process;
mod ratios;
mod rounds;
mod spread;
mod telling;

use anyhow::Result;
use arguments::{Arguments, Errand, Part};
use clap::Parser as _;
use ratios::Ratios;
use telling::Section;

fn main() -> Result<()> {
    // First of all: the host examines artifacts in a child process, which is this program once more.
    host::examiner();
    let arguments = Arguments::parse();
    match &arguments.errand {
        Some(Errand::ServeSocket { path }) => contender::unix_socket::serve(path),
        Some(Errand::ServeAxum) => http::axum::serve(),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let effort = arguments.effort();
    let libraries = builds::libraries()?;
    let mut ratios = Ratios::default();
    let mut sections = Vec::new();
    let load = machine::load()?;
    for part in Part::ALL {
        if arguments.only.is_none_or(|only| only == part) {
            sections.extend(part.measure(&libraries, &effort, &mut ratios)?);
        }
    }
    let mut report = vec![machine::section(load)?];
    report.append(&mut sections);
    report.push(ratios.section());
    telling::tell(&report)?;
    if arguments.json {
        telling::last_line(&ratios)?;
    }
    Ok(())
}

impl Part {
    fn measure(
        self,
        libraries: &builds::Libraries,
        effort: &arguments::Effort,
        ratios: &mut Ratios,
    ) -> Result<Vec<Section>> {
        match self {
            Part::Calls => part::calls::measure(libraries, effort, ratios),
            Part::Pause => part::pause::measure(libraries, effort, ratios),
            Part::Http => part::http::measure(effort, ratios),
            Part::Swap => part::swap::measure(libraries, effort, ratios),
        }
    }
}
