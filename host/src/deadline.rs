//! A deadline: the moment at which a limit has passed, however long the limit.

use std::time::{Duration, Instant};

/// What counts as for ever.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The moment at which `limit` from now has passed. A limit that no clock can hold is a year.
pub(crate) fn after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit.min(LONGEST)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_ever_is_a_long_time_and_no_panic() {
        assert!(after(Duration::MAX) > Instant::now() + Duration::from_secs(60));
    }
}
