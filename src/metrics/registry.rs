//! Makes handles for the series of the catalogue, all of them before anything happens: a rate sees the first
//! event only if there was a zero before it.

use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};

use super::{CATALOGUE, Kind, Metric, Values};

/// Where an engine's series are.
#[derive(Clone, Default)]
pub(crate) enum Source {
    /// The recorder that is current on the thread that asks.
    #[default]
    Current,
    /// This one, whoever asks.
    Given(Arc<dyn Recorder + Send + Sync>),
}

impl Source {
    pub(super) fn with<T>(&self, make: impl FnOnce(&Registry<'_>) -> T) -> T {
        match self {
            Self::Current => ::metrics::with_recorder(|recorder| make(&Registry(recorder))),
            Self::Given(recorder) => make(&Registry(&**recorder)),
        }
    }
}

pub(super) struct Registry<'a>(&'a dyn Recorder);

const METADATA: Metadata<'static> = Metadata::new("actix_gossipsub", Level::INFO, None);

impl Registry<'_> {
    pub(super) fn describe_all(&self) {
        for Metric { name, kind, unit, description, .. } in CATALOGUE {
            let (name, unit) = ((*name).into(), Some(*unit));
            match kind {
                Kind::Counter => self.0.describe_counter(name, unit, (*description).into()),
                Kind::Gauge => self.0.describe_gauge(name, unit, (*description).into()),
                Kind::Histogram { .. } => self.0.describe_histogram(name, unit, (*description).into()),
            }
        }
    }

    pub(super) fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        self.0.register_counter(&key(metric, values), &METADATA)
    }

    pub(super) fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        self.0.register_gauge(&key(metric, values), &METADATA)
    }

    pub(super) fn histogram(&self, metric: &Metric, values: &[&str]) -> Histogram {
        self.0.register_histogram(&key(metric, values), &METADATA)
    }

    /// One for each value of the last label, in their order; `first` are those of the labels before.
    pub(super) fn counters<const K: usize>(&self, metric: &Metric, first: &[&str]) -> [Counter; K] {
        each(metric, first, |values| self.counter(metric, values))
    }

    /// As [`counters`](Self::counters).
    pub(super) fn gauges<const K: usize>(&self, metric: &Metric, first: &[&str]) -> [Gauge; K] {
        each(metric, first, |values| self.gauge(metric, values))
    }

    /// As [`counters`](Self::counters).
    pub(super) fn histograms<const K: usize>(&self, metric: &Metric, first: &[&str]) -> [Histogram; K] {
        each(metric, first, |values| self.histogram(metric, values))
    }

    /// As [`counters`](Self::counters), of a metric with two labels.
    pub(super) fn table<const L: usize, const K: usize>(&self, metric: &Metric) -> [[Counter; K]; L] {
        each(metric, &[], |values| self.counters(metric, values))
    }

    /// As [`table`](Self::table).
    pub(super) fn gauge_table<const L: usize, const K: usize>(&self, metric: &Metric) -> [[Gauge; K]; L] {
        each(metric, &[], |values| self.gauges(metric, values))
    }
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let label = |(label, value): (&super::Label, &&str)| Label::new(label.name, (*value).to_owned());
    Key::from_parts(metric.name, metric.labels.iter().zip(values).map(label).collect::<Vec<_>>())
}

/// Makes one for each value of the label after `first`.
fn each<T, const K: usize>(metric: &Metric, first: &[&str], make: impl Fn(&[&str]) -> T) -> [T; K] {
    let label = metric.labels.get(first.len());
    let values = match label.map(|label| label.values) {
        Some(Values::OneOf(values)) => values,
        _ => &[],
    };
    debug_assert_eq!(values.len(), K, "{}", metric.name);
    std::array::from_fn(|place| make(&[first, &[values.get(place).copied().unwrap_or_default()]].concat()))
}
