//! Sizes: how large responses are, in percentiles, without keeping every one of them.
//!
//! A size is counted in a bucket. Buckets are one byte wide up to 15 bytes; from there on, each doubling is cut into
//! eight. So a percentile is told at most an eighth too large, and there are never more than [`BUCKETS`] numbers.

use std::collections::BTreeMap;

/// The cuts of each doubling, as a power of two.
const CUTS: u32 = 3;
/// The buckets that 64 bits can fall into.
const BUCKETS: u32 = (u64::BITS - CUTS + 1) << CUTS;

/// Responses by size.
#[plugin_api::data]
#[derive(Default)]
pub(crate) struct Sizes {
    responses: BTreeMap<u32, u64>,
}

/// Sizes that so many responses in a hundred do not exceed.
#[plugin_api::data]
pub(crate) struct Percentiles {
    /// The responses with a body.
    pub(crate) responses: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
}

impl Sizes {
    pub(crate) fn add(&mut self, bytes: u64) {
        *self.responses.entry(bucket(bytes)).or_default() += 1;
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        Percentiles {
            responses: self.responses.values().sum(),
            p50: self.percentile(50),
            p90: self.percentile(90),
            p99: self.percentile(99),
        }
    }

    /// The end of the bucket that the response of this rank lies in; 0 when there is none.
    fn percentile(&self, percent: u64) -> u64 {
        let all: u64 = self.responses.values().sum();
        let rank = (u128::from(all) * u128::from(percent)).div_ceil(100);
        let mut passed = 0;
        for (bucket, responses) in &self.responses {
            passed += u128::from(*responses);
            if passed >= rank {
                return end(*bucket);
            }
        }
        0
    }
}

/// The bucket of a size.
fn bucket(bytes: u64) -> u32 {
    // How often the size has been halved until its leading digits are the number of a cut.
    let halved = bytes.checked_ilog2().unwrap_or(0).saturating_sub(CUTS);
    (halved << CUTS) + (bytes >> halved) as u32
}

/// The largest size in a bucket.
fn end(bucket: u32) -> u64 {
    debug_assert!(bucket < BUCKETS);
    let halved = (bucket >> CUTS).saturating_sub(1);
    let cut = u64::from(bucket - (halved << CUTS));
    (cut << halved) | ((1 << halved) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        assert_eq!((bucket(0), bucket(15), bucket(16)), (0, 15, 16));
        assert_eq!(
            (bucket(u64::MAX), end(BUCKETS - 1)),
            (BUCKETS - 1, u64::MAX)
        );
        for number in 0..BUCKETS - 1 {
            assert_eq!(bucket(end(number)), number);
            assert_eq!(bucket(end(number) + 1), number + 1);
        }
    }

    #[test]
    fn percentiles_are_at_most_an_eighth_too_large() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.percentiles().p50, 0);
        for bytes in 1..=10_000 {
            sizes.add(bytes);
        }
        let percentiles = sizes.percentiles();
        assert_eq!(percentiles.responses, 10_000);
        for (told, exact) in [
            (percentiles.p50, 5_000),
            (percentiles.p90, 9_000),
            (percentiles.p99, 9_900),
        ] {
            assert!(
                (exact..=exact * 9 / 8).contains(&told),
                "{told} for {exact}"
            );
        }
    }
}
