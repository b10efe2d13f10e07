//! Latencies: how long calls took, as counts in buckets that widen with the time they stand for.
//!
//! Four buckets to each doubling: a quantile is told at most a quarter too long, and never too short.

use std::time::Duration;

/// Times below this have a bucket each, in nanoseconds.
const FINE: u64 = 8;
/// Buckets to each doubling above.
const PARTS: usize = 4;
/// The doublings told apart: from 8 ns to 137 s. What is longer is in the last bucket.
const DOUBLINGS: usize = 34;
const BUCKETS: usize = FINE as usize + DOUBLINGS * PARTS;

/// How long the calls took that were timed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Latency {
    buckets: Vec<u64>,
    longest: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Latency {
            buckets: vec![0; BUCKETS],
            longest: 0,
        }
    }
}

impl Latency {
    /// How many calls it stands for. Where only some were timed, those stand for the others too.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time that this share of the calls (0 to 1) did not exceed; `None` where none was timed.
    #[must_use]
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|calls| {
            seen += calls;
            seen >= rank
        })?;
        Some(Duration::from_nanos(end(bucket).min(self.longest)))
    }

    /// The longest time of a timed call; 0 where none was.
    #[must_use]
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// Counts calls that took this long.
    pub(super) fn count_in(&mut self, took: Duration, calls: u64) {
        if calls == 0 {
            return;
        }
        let nanos = nanos(took);
        self.buckets[bucket(nanos)] += calls;
        self.longest = self.longest.max(nanos);
    }

    /// Adds those that others have counted.
    pub(super) fn add(&mut self, others: &Latency) {
        for (sum, calls) in self.buckets.iter_mut().zip(&others.buckets) {
            *sum += calls;
        }
        self.longest = self.longest.max(others.longest);
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(0);
        self.longest = 0;
    }
}

/// The bucket of a time.
fn bucket(nanos: u64) -> usize {
    if nanos < FINE {
        return nanos as usize;
    }
    let doubling = nanos.ilog2() as usize;
    let part = (nanos >> (doubling - 2)) as usize % PARTS;
    let first = FINE.ilog2() as usize;
    (FINE as usize + (doubling - first) * PARTS + part).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn end(bucket: usize) -> u64 {
    if bucket < FINE as usize {
        return bucket as u64;
    }
    let above = bucket - FINE as usize;
    let doubling = FINE.ilog2() as usize + above / PARTS;
    (((PARTS + above % PARTS + 1) as u64) << (doubling - 2)) - 1
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_bucket_that_ends_next_after_it() {
        for nanos in (0..5_000).chain([u64::from(u32::MAX), 1 << 36, (1 << 37) - 1]) {
            let place = bucket(nanos);
            assert!(end(place) >= nanos, "{nanos}");
            assert!(place == 0 || end(place - 1) < nanos, "{nanos}");
            assert!(end(place) <= nanos + nanos / 4 + 1, "{nanos}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let mut own = Latency::default();
        own.count_in(Duration::from_nanos(5), 98);
        own.count_in(Duration::from_micros(1), 1);
        own.count_in(Duration::from_millis(1), 1);
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        latency.add(&own);
        assert_eq!(latency.count(), 100);
        assert_eq!(latency.quantile(0.0), Some(Duration::from_nanos(5)));
        assert_eq!(latency.quantile(0.98), Some(Duration::from_nanos(5)));
        let p99 = latency.quantile(0.99).expect("some were counted");
        assert!(p99 >= Duration::from_micros(1) && p99 < Duration::from_nanos(1250));
        assert_eq!(latency.quantile(1.0), Some(Duration::from_millis(1)));
        own.clear();
        latency = Latency::default();
        latency.add(&own);
        assert_eq!(latency, Latency::default());
    }
}
