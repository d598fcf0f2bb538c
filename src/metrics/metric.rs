//! The description of a metric: name, kind, unit, labels and help text.

use ::metrics::Unit;

/// An entry of the [catalogue](super::CATALOGUE).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The full name, including the unit, as queries use it.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The unit of the values.
    pub unit: Unit,
    /// The labels of its series.
    pub labels: &'static [Label],
    /// The help text: one sentence without a full stop.
    pub description: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A value that only grows.
    Counter,
    /// A value that grows and shrinks.
    Gauge,
    /// Observations counted in buckets.
    Histogram {
        /// The upper bounds of the buckets, ascending, in the metric's unit.
        buckets: &'static [f64],
    },
}

/// A label and its possible values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name of the label.
    pub name: &'static str,
    /// The possible values.
    pub values: Values,
}

/// The possible values of a label. Peers and messages are never label values, so that the number of series is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// A closed list; each value has a series from the start.
    OneOf(&'static [&'static str]),
    /// Names of topics up to [`max_topic_labels`](crate::WorkerBuilder::max_topic_labels), and [`OTHER`](super::OTHER)
    /// for all other topics.
    Topics,
    /// One value, which the build of this package has.
    Build,
}

impl Kind {
    /// The name of the type in Prometheus' text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram { .. } => "histogram",
        }
    }
}

impl Metric {
    pub(super) const fn counter(
        name: &'static str,
        labels: &'static [Label],
        description: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Counter, unit: Unit::Count, labels, description }
    }

    pub(super) const fn gauge(
        name: &'static str,
        labels: &'static [Label],
        description: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Gauge, unit: Unit::Count, labels, description }
    }

    /// A histogram of seconds.
    pub(super) const fn histogram(
        name: &'static str,
        buckets: &'static [f64],
        labels: &'static [Label],
        description: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Histogram { buckets }, unit: Unit::Seconds, labels, description }
    }

    pub(super) const fn in_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }
}

impl Label {
    pub(super) const fn one_of(name: &'static str, values: &'static [&'static str]) -> Self {
        Self { name, values: Values::OneOf(values) }
    }
}
