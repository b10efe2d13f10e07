//! The numbers of a generation: how many calls it has had, how they ended, and how long they took.

use crate::{
    gate::Inside,
    generation::Generation,
    report::{Latency, Numbers},
};
use plugin_api::contract::FaultKind;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Durations are told apart by their highest bit and the two bits below it: to a quarter.
const BUCKETS: usize = 64 * 4;

/// The numbers of a generation as an operator sees them; `inside` are the calls inside its gate.
pub(crate) fn of(generation: &Generation, inside: &[Inside]) -> Numbers {
    generation.tally.numbers(generation.life.number, inside)
}

/// Counts the calls of one generation.
pub(crate) struct Tally {
    calls: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    longest: AtomicU64,
    latency: Box<[AtomicU64]>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            latency: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Tally {
    /// Notes a call that has ended: with what fault, if with any, and how long it took.
    pub(crate) fn note(&self, fault: Option<FaultKind>, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(fault) = fault {
            self.errors.fetch_add(1, Ordering::Relaxed);
            if fault == FaultKind::PANICKED {
                self.panics.fetch_add(1, Ordering::Relaxed);
            }
        }
        if nanos > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(nanos, Ordering::Relaxed);
        }
        if let Some(bucket) = self.latency.get(bucket(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn numbers(&self, number: u64, inside: &[Inside]) -> Numbers {
        let counts: Vec<u64> = self
            .latency
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let longest = self.longest.load(Ordering::Relaxed);
        let quantile = |share: f64| quantile(&counts, share).map(|nanos| nanos.min(longest));
        Numbers {
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            in_flight: inside.iter().filter(|call| call.tenant == number).count() as u64,
            latency: quantile(0.5).map(|p50_nanos| Latency {
                p50_nanos,
                p99_nanos: quantile(0.99).unwrap_or(longest),
                p999_nanos: quantile(0.999).unwrap_or(longest),
                max_nanos: longest,
            }),
        }
    }
}

fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(4);
    let high = nanos.ilog2();
    (high * 4) as usize + ((nanos >> (high - 2)) & 3) as usize
}

/// The longest duration that falls into a bucket.
fn longest_in(bucket: usize) -> u64 {
    let (high, quarter) = (bucket as u32 / 4, bucket as u64 % 4);
    let width = 1_u64 << high.saturating_sub(2);
    // In this order: the last bucket's end is the largest number.
    (1_u64 << high) + quarter * width + (width - 1)
}

/// The duration below which this share of the calls lies; `None` where there are none.
fn quantile(counts: &[u64], share: f64) -> Option<u64> {
    let all: u64 = counts.iter().sum();
    let wanted = ((all as f64 * share).ceil() as u64).max(1);
    let mut seen = 0;
    counts.iter().zip(0..).find_map(|(count, bucket)| {
        seen += count;
        (seen >= wanted).then(|| longest_in(bucket))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket_to_a_quarter() {
        for nanos in (4..10_000).chain([1 << 40, u64::MAX - 1, u64::MAX]) {
            let longest = longest_in(bucket(nanos));
            assert!(nanos <= longest, "{nanos} {longest}");
            assert!(longest - nanos <= nanos / 4, "{nanos} {longest}");
        }
    }

    #[test]
    fn calls_are_counted_by_how_they_ended_and_how_long_they_took() {
        let tally = Tally::default();
        assert_eq!(tally.numbers(1, &[]).latency, None);
        for _ in 0..98 {
            tally.note(None, Duration::from_micros(1));
        }
        tally.note(Some(FaultKind::REFUSED), Duration::from_millis(1));
        tally.note(Some(FaultKind::PANICKED), Duration::from_millis(20));
        let numbers = tally.numbers(1, &[]);
        assert_eq!((numbers.calls, numbers.errors, numbers.panics), (100, 2, 1));
        let latency = numbers.latency.expect("there were calls");
        assert!((1_000..1_300).contains(&latency.p50_nanos), "{latency:?}");
        assert!(
            (1_000_000..1_300_000).contains(&latency.p99_nanos),
            "{latency:?}"
        );
        assert_eq!(
            (latency.p999_nanos, latency.max_nanos),
            (20_000_000, 20_000_000)
        );
    }
}
