//! The engine's metrics, exported through the `metrics` facade, and the catalogue that lists them. An application
//! installs its own recorder and serves it; the engine opens no port.
//!
//! | item | contents |
//! |---|---|
//! | [`CATALOGUE`] | every metric: name, kind, unit, labels and help text |
//! | `with_buckets` | sets the histogram buckets of a Prometheus exporter (feature `prometheus`) |
//!
//! Each engine registers its own handles when it starts, with the recorder given to
//! [`WorkerBuilder::recorder`](crate::WorkerBuilder::recorder), or else with the recorder that is current on the starting
//! thread. Two engines in one process can therefore be recorded separately. All series exist from the start. Gauges are
//! updated at each heartbeat. Actors count in plain integers and flush them to the handles once per burst.

mod catalogue;
mod engine;
mod labels;
mod metric;
#[cfg(feature = "prometheus")]
mod prometheus;
mod registry;
mod state;
mod stopwatch;
mod topic;

#[cfg(feature = "prometheus")]
pub use self::prometheus::with_buckets;
pub(crate) use self::{
    engine::{Metrics, OutputCounts},
    labels::{ByteQueue, Handled, Queue, TimedQueue},
    registry::RecorderSource,
    state::QueueDepths,
    stopwatch::WaitTime,
    topic::{TopicLabels, TopicMeter, TopicSeries},
};
pub use {
    ::metrics::Unit,
    catalogue::{CATALOGUE, OTHER},
    metric::{Kind, Label, Metric, Values},
};
