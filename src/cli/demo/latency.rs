//! How long deliveries took: counts in buckets of 1.6 % width, so that a day takes no more memory than a
//! second. It measures nothing itself.

use std::time::Duration;

/// Buckets in each doubling.
const STEPS: u64 = 64;
/// Doublings: up to 2^32 us, more than an hour.
const DOUBLINGS: u64 = 27;
const BUCKETS: u64 = STEPS * (DOUBLINGS + 1);

/// A histogram of durations.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: Vec<u64>,
    max: Duration,
}

impl Latency {
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS as usize], max: Duration::ZERO }
    }

    pub fn record(&mut self, took: Duration) {
        self.counts[bucket(took)] += 1;
        self.max = self.max.max(took);
    }

    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.max = self.max.max(other.max);
    }

    /// The duration that `percent` of all did not exceed, and at most 1.6 % more.
    pub fn percentile(&self, percent: f64) -> Duration {
        let all: u64 = self.counts.iter().sum();
        let wanted = (all as f64 * percent / 100.0).ceil() as u64;
        let mut so_far = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            so_far += count;
            if so_far >= wanted.max(1) {
                return Duration::from_micros(upper_end(bucket as u64)).min(self.max);
            }
        }
        self.max
    }

    pub fn max(&self) -> Duration {
        self.max
    }
}

/// The first `STEPS` buckets are 1 us wide, the next `STEPS` after the same number 2 us, and so on.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let doubling = u64::from(micros.max(1).ilog2()).saturating_sub(u64::from(STEPS.ilog2()));
    let bucket = doubling * STEPS + (micros >> doubling);
    bucket.min(BUCKETS - 1) as usize
}

fn upper_end(bucket: u64) -> u64 {
    let doubling = (bucket / STEPS).saturating_sub(1);
    ((bucket - doubling * STEPS + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut latency = Latency::new();
        (1..=10_000).for_each(|micros| latency.record(Duration::from_micros(micros)));
        for (percent, exact) in [(0.01, 1), (50.0, 5_000), (90.0, 9_000), (99.0, 9_900), (100.0, 10_000)] {
            let found = latency.percentile(percent).as_micros() as u64;
            assert!((exact..=exact + exact / 60).contains(&found), "{percent}: {found}, not {exact}");
        }
        assert_eq!(latency.max(), Duration::from_millis(10));
    }

    #[test]
    fn every_duration_has_a_bucket_that_holds_it() {
        for micros in (0..100_000).chain([1 << 20, (1 << 31) + 7]) {
            let bucket = bucket(Duration::from_micros(micros)) as u64;
            assert!(upper_end(bucket) >= micros);
            assert!(bucket == 0 || upper_end(bucket - 1) < micros);
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS as usize - 1);
        assert_eq!(Latency::new().percentile(50.0), Duration::ZERO);
    }
}
