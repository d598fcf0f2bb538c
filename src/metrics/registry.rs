//! Registers the series of the catalogue with a recorder. All series are registered before the engine runs, because a
//! rate misses the first event of a series that did not exist before it.

use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use enum_map::{Enum, EnumArray, EnumMap};
use strum::VariantNames;

use super::{CATALOGUE, Kind, Metric, Values};

/// The recorder that an engine registers its series with, and what distinguishes them from those of other engines.
#[derive(Clone, Default)]
pub(crate) struct RecorderSource {
    /// `None`: the recorder that is current on the calling thread.
    pub(crate) recorder: Option<Arc<dyn Recorder + Send + Sync>>,
    /// The value of the label `engine`; without one, the series have no such label.
    pub(crate) engine: Option<Arc<str>>,
}

impl RecorderSource {
    pub(super) fn with<T>(&self, register: impl FnOnce(&Registry<'_>) -> T) -> T {
        let engine = self.engine.as_deref();
        match &self.recorder {
            None => ::metrics::with_recorder(|recorder| register(&Registry { recorder, engine })),
            Some(recorder) => register(&Registry { recorder: &**recorder, engine }),
        }
    }
}

pub(super) struct Registry<'a> {
    recorder: &'a dyn Recorder,
    engine: Option<&'a str>,
}

/// The label that every series of a named engine has after its own labels.
const ENGINE: &str = "engine";

const METADATA: Metadata<'static> = Metadata::new("actix_gossipsub", Level::INFO, None);

/// An enum whose variants are the values of a label.
pub(super) trait LabelValue: Enum + VariantNames {}

impl<K: Enum + VariantNames> LabelValue for K {}

impl Registry<'_> {
    pub(super) fn describe_all(&self) {
        for Metric { name, kind, unit, description, .. } in CATALOGUE {
            let (name, unit) = ((*name).into(), Some(*unit));
            match kind {
                Kind::Counter => self.recorder.describe_counter(name, unit, (*description).into()),
                Kind::Gauge => self.recorder.describe_gauge(name, unit, (*description).into()),
                Kind::Histogram { .. } => self.recorder.describe_histogram(name, unit, (*description).into()),
            }
        }
    }

    pub(super) fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&self.key(metric, values), &METADATA)
    }

    pub(super) fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&self.key(metric, values), &METADATA)
    }

    pub(super) fn histogram(&self, metric: &Metric, values: &[&str]) -> Histogram {
        self.recorder.register_histogram(&self.key(metric, values), &METADATA)
    }

    /// One counter for each value of the last label. `first` holds the values of the labels before it.
    pub(super) fn counters<K>(&self, metric: &Metric, first: &[&str]) -> EnumMap<K, Counter>
    where
        K: LabelValue + EnumArray<Counter>,
    {
        each(metric, first, |values| self.counter(metric, values))
    }

    /// One gauge for each value of the last label. `first` holds the values of the labels before it.
    pub(super) fn gauges<K>(&self, metric: &Metric, first: &[&str]) -> EnumMap<K, Gauge>
    where
        K: LabelValue + EnumArray<Gauge>,
    {
        each(metric, first, |values| self.gauge(metric, values))
    }

    /// One histogram for each value of the only label.
    pub(super) fn histograms<K>(&self, metric: &Metric) -> EnumMap<K, Histogram>
    where
        K: LabelValue + EnumArray<Histogram>,
    {
        each(metric, &[], |values| self.histogram(metric, values))
    }

    /// The counters of a metric with two labels.
    pub(super) fn counter_table<J, K>(&self, metric: &Metric) -> EnumMap<J, EnumMap<K, Counter>>
    where
        J: LabelValue + EnumArray<EnumMap<K, Counter>>,
        K: LabelValue + EnumArray<Counter>,
    {
        each(metric, &[], |values| self.counters(metric, values))
    }

    /// The gauges of a metric with two labels.
    pub(super) fn gauge_table<J, K>(&self, metric: &Metric) -> EnumMap<J, EnumMap<K, Gauge>>
    where
        J: LabelValue + EnumArray<EnumMap<K, Gauge>>,
        K: LabelValue + EnumArray<Gauge>,
    {
        each(metric, &[], |values| self.gauges(metric, values))
    }

    fn key(&self, metric: &Metric, values: &[&str]) -> Key {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let label = |(label, value): (&super::Label, &&str)| Label::new(label.name, (*value).to_owned());
        let labels = metric.labels.iter().zip(values).map(label);
        let engine = self.engine.map(|engine| Label::new(ENGINE, engine.to_owned()));
        Key::from_parts(metric.name, labels.chain(engine).collect::<Vec<_>>())
    }
}

/// Registers one handle for each value of the label that follows the `first` ones.
fn each<K, T>(metric: &Metric, first: &[&str], register: impl Fn(&[&str]) -> T) -> EnumMap<K, T>
where
    K: LabelValue + EnumArray<T>,
{
    let values = metric.labels.get(first.len()).map(|label| label.values);
    debug_assert_eq!(values, Some(Values::OneOf(K::VARIANTS)), "{}", metric.name);
    EnumMap::from_fn(|value: K| register(&[first, &[K::VARIANTS[value.into_usize()]]].concat()))
}
