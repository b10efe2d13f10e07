//! The numbers of a generation as an operator sees them: how many calls it has had, how they ended, how long they took.

use crate::{
    generation::Generation,
    report::{Latency, Numbers},
};
use std::time::Duration;

/// The numbers of the calls into this generation.
pub(crate) fn of(generation: &Generation) -> Numbers {
    let counted = generation.life.tally.numbers();
    let took = &counted.latency;
    let nanos = |took: Duration| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let within = |share: f64| took.quantile(share).map(nanos);
    Numbers {
        calls: counted.calls,
        errors: counted.errors,
        panics: counted.panics,
        in_flight: counted.in_flight,
        latency: within(0.5).zip(within(0.99)).zip(within(0.999)).map(
            |((p50_nanos, p99_nanos), p999_nanos)| Latency {
                p50_nanos,
                p99_nanos,
                p999_nanos,
                max_nanos: nanos(took.longest()),
            },
        ),
    }
}
