//! What an engine can be watched by: its metrics, through the `metrics` facade, and the catalogue of them. The
//! only folder that names one. Installs no recorder, opens no port.
//!
//! | part | what it is |
//! |---|---|
//! | [`CATALOGUE`] | every metric: name, kind, unit, labels, and what it tells |
//! | `with_buckets` | prepares an exporter for Prometheus (feature `prometheus`) |
//!
//! Each engine has its own handles, made of the recorder that it is given
//! ([`WorkerBuilder::recorder`](crate::WorkerBuilder::recorder)) or of the one that is current when it starts: two in one
//! process are told apart. All series are there from the start; gauges are as of the last heartbeat. Actors count into
//! plain numbers, and into the handles once a burst.

mod catalogue;
mod engine;
mod metric;
#[cfg(feature = "prometheus")]
mod prometheus;
mod registry;
mod said;
mod state;
mod topic;

pub(crate) use engine::{Handled, Metrics, Queue};
#[cfg(feature = "prometheus")]
pub use prometheus::with_buckets;
pub(crate) use registry::Source;
pub(crate) use said::Said;
pub(crate) use state::Queues;
pub(crate) use topic::{TopicLabels, TopicMeter, TopicSeries};
pub use {
    ::metrics::Unit,
    catalogue::{CATALOGUE, OTHER},
    metric::{Kind, Label, Metric, Values},
};
