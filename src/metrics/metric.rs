//! What there is to know of one metric. Counts nothing.

use ::metrics::Unit;

/// A metric as the [catalogue](super::CATALOGUE) knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name, with its unit: what rules and dashboards ask for.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What is counted or measured.
    pub unit: Unit,
    /// What its series are told apart by.
    pub labels: &'static [Label],
    /// What it tells, in one sentence.
    pub description: &'static str,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// A present value.
    Gauge,
    /// Observations, counted in buckets.
    Histogram {
        /// Their upper bounds, ascending, in the metric's unit.
        buckets: &'static [f64],
    },
}

/// A label, and the values that it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// The values of a label. No value is ever a peer or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// These, all of which have a series from the start.
    OneOf(&'static [&'static str]),
    /// Names of topics: as many as may be labelled, and [`OTHER`](super::OTHER)
    /// for the rest.
    Topics,
    /// The version of this package.
    Version,
}

impl Kind {
    /// Its name, as Prometheus calls it.
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

    /// Of seconds.
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
