//! This metrics recorder stores the series of one engine in memory, so that tests can read their values.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use actix_gossipsub::{Network, Started, WorkerBuilder};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Each series by name and labels, as `name{label=value,…}`.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Recording {
    /// Starts an engine that is recorded here.
    pub fn of<N: Network>(
        builder: WorkerBuilder<N>,
        topics: impl IntoIterator<Item = N::Topic>,
    ) -> (Self, Started<N>) {
        let recording = Self::default();
        let started = builder.recorder(Arc::new(recording.clone())).start(topics);
        (recording, started.expect("an actix system runs"))
    }

    /// The value of a counter.
    pub fn count(&self, series: &str) -> u64 {
        let all = self.0.lock().expect("the lock is not poisoned");
        let cell = all.get(series).unwrap_or_else(|| panic!("no {series} in {:?}", all.keys()));
        cell.load(Ordering::Relaxed)
    }

    /// The value of a gauge.
    pub fn gauge(&self, series: &str) -> f64 {
        f64::from_bits(self.count(series))
    }

    /// The sum of the counters whose series start with `prefix` and contain `label`, which may be empty.
    pub fn sum(&self, prefix: &str, label: &str) -> u64 {
        let series = self.series(prefix).into_iter().filter(|series| series.contains(label));
        series.map(|series| self.count(&series)).sum()
    }

    /// The sum of the gauges whose series start with `prefix`.
    pub fn gauges(&self, prefix: &str) -> f64 {
        self.series(prefix).iter().map(|series| self.gauge(series)).sum()
    }

    /// All series that start with `prefix`.
    pub fn series(&self, prefix: &str) -> Vec<String> {
        let all = self.0.lock().expect("the lock is not poisoned");
        all.keys().filter(|series| series.starts_with(prefix)).cloned().collect()
    }

    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let mut all = self.0.lock().expect("the lock is not poisoned");
        Arc::clone(all.entry(format!("{}{labels}", key.name())).or_default())
    }
}

impl Recorder for Recording {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
