//! The engine's metrics, exported through the `metrics` facade, and the catalogue that lists them. An application
//! installs its own recorder and serves it; the engine opens no port.
//!
//! | item | contents |
//! |---|---|
//! | [`CATALOGUE`] | every metric: name, kind, unit, labels and help text |
//! | `with_buckets` | sets the histogram buckets of a Prometheus exporter (feature `prometheus`) |
//!
//! Each engine registers its own handles when it starts, with the recorder given to
//! [`WorkerBuilder::recorder`](crate::WorkerBuilder::recorder), or else with the recorder that is current on the
//! starting thread. Two engines in one process can therefore be recorded separately. With one recorder for both, give each
//! a name ([`WorkerBuilder::name`](crate::WorkerBuilder::name)): all series of a named engine have one more label,
//! `engine`. It is not in the catalogue, because those of an engine without a name lack it. All series exist from the start.
//! Gauges are updated at each heartbeat. Actors count in plain integers and flush them to the handles once per burst.

mod catalogue;
mod engine;
mod labels;
mod metric;
#[cfg(feature = "prometheus")]
mod prometheus;
mod registry;
mod state;
mod topic;

pub(crate) use engine::{Metrics, OutputCounts};
#[cfg(feature = "http")]
pub(crate) use labels::StreamItem;
pub(crate) use labels::{ByteQueue, EngineQueue, Handled, TimedQueue, Undelivered};
#[cfg(feature = "prometheus")]
pub use prometheus::with_buckets;
pub(crate) use registry::RecorderSource;
pub(crate) use state::QueueDepths;
pub(crate) use topic::{TopicLabels, TopicMeter, TopicSeries};
pub use {
    ::metrics::Unit,
    catalogue::{CATALOGUE, OTHER},
    metric::{Kind, Label, Metric, Values},
};
