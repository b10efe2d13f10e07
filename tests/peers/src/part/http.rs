//! HTTP: requests per second of our listener and of a bare axum handler that does the same work.

use crate::{
    arguments::Effort,
    http::{
        axum,
        client::{self, Manner},
        ours,
    },
    ratios::Ratios,
    rounds::{median, ratio},
    spread::Spread,
    telling::{Section, number, progress},
};
use anyhow::{Result, ensure};
use std::net::SocketAddr;

/// Connections at a time.
const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// Requests under way on a connection: one, and pipelined.
const DEPTHS: [usize; 2] = [1, 16];

/// One server in one manner.
struct Lane {
    rates: Vec<f64>,
    times: Spread,
}

/// A server, with what it has answered.
struct Server {
    address: SocketAddr,
    answered: u64,
}

/// Measures both servers, in turns.
pub(crate) fn measure(effort: &Effort, ratios: &mut Ratios) -> Result<Vec<Section>> {
    let (_ours, address, _folder) = ours::start()?;
    let mut ours = Server::at(address);
    let (_theirs, address) = axum::start()?;
    let mut theirs = Server::at(address);
    let bar = progress(
        "http",
        effort.http_rounds * CONNECTIONS.len() * DEPTHS.len(),
    );
    let mut section = Section::new(
        "HTTP: `POST /call/counter/add` with `[1]`",
        &[
            "connections",
            "pipelined",
            "ours, 1/s",
            "p50, us",
            "p99",
            "axum, 1/s",
            "p50, us",
            "p99",
            "ours / axum",
        ],
    );
    let mut least = f64::INFINITY;
    for depth in DEPTHS {
        for connections in CONNECTIONS {
            let manner = Manner { connections, depth };
            let (mut our_lane, mut their_lane) = (Lane::new()?, Lane::new()?);
            for _ in 0..effort.http_rounds {
                ours.run(manner, effort, &mut our_lane)?;
                theirs.run(manner, effort, &mut their_lane)?;
                bar.inc(1);
            }
            let ratio = ratio(&our_lane.rates, &their_lane.rates);
            if depth == 1 {
                least = least.min(ratio);
            }
            let mut cells = vec![
                connections.to_string(),
                if depth == 1 {
                    "no".to_owned()
                } else {
                    depth.to_string()
                },
            ];
            cells.extend(our_lane.cells());
            cells.extend(their_lane.cells());
            cells.push(number(ratio));
            section.row(cells);
        }
    }
    bar.finish_and_clear();
    ours.check()?;
    theirs.check()?;
    ratios.http_vs_axum = Some(least);
    section.note(&format!(
        "Medians of {} interleaved rounds of {} ms. Each server is a process of its own; the client is one thread of this one, and \
         all share the machine's processors. Each connection sends when its answers have come, and every request is timed; \
         pipelined ones from the moment their bundle is sent. Both totals were checked against the answers.",
        effort.http_rounds,
        effort.http_slice.as_millis()
    ));
    Ok(vec![section])
}

impl Server {
    fn at(address: SocketAddr) -> Self {
        Server {
            address,
            answered: 0,
        }
    }

    fn run(&mut self, manner: Manner, effort: &Effort, lane: &mut Lane) -> Result<()> {
        let answered = client::run(
            self.address,
            axum::PATH,
            manner,
            effort.http_slice,
            &mut lane.times,
        )?;
        self.answered += answered.requests;
        lane.rates.push(answered.per_second);
        Ok(())
    }

    /// Whether each request was counted once.
    fn check(&self) -> Result<()> {
        let total = client::total(self.address, axum::PATH)?;
        ensure!(
            total == self.answered,
            "{} were answered, and {total} are counted",
            self.answered
        );
        Ok(())
    }
}

impl Lane {
    fn new() -> Result<Self> {
        Ok(Lane {
            rates: Vec::new(),
            times: Spread::new()?,
        })
    }

    fn cells(&self) -> [String; 3] {
        let rate = median(self.rates.iter().copied());
        [rate, self.times.quantile(0.5), self.times.quantile(0.99)].map(number)
    }
}
