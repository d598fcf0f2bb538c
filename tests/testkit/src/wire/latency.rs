//! Latencies of messages, as histograms that add up.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A histogram of latencies in microseconds, with two significant digits. As JSON: pairs of value and count.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new(2).expect("two digits are valid"))
    }
}

impl From<Vec<(u64, u64)>> for Latency {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut latency = Self::default();
        for (micros, count) in counts {
            latency.0.record_n(micros, count).expect("a histogram that resizes takes all values");
        }
        latency
    }
}

impl From<Latency> for Vec<(u64, u64)> {
    fn from(latency: Latency) -> Self {
        let counts = latency.0.iter_recorded();
        counts.map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
    }
}

impl Latency {
    pub fn add(&mut self, other: Self) {
        self.0.add(other.0).expect("a histogram that resizes takes all values");
    }

    pub fn record(&mut self, nanos: u64) {
        self.0.record(nanos / 1_000).expect("a histogram that resizes takes all values");
    }

    /// The latency in milliseconds that `quantile` of the deliveries did not exceed. NaN without deliveries.
    pub fn quantile(&self, quantile: f64) -> f64 {
        if self.0.is_empty() { f64::NAN } else { self.0.value_at_quantile(quantile) as f64 / 1_000.0 }
    }
}
