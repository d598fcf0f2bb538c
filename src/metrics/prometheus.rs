//! What an exporter for Prometheus must know of the catalogue. Installs nothing.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::{CATALOGUE, Kind};

/// Gives each histogram of the [`CATALOGUE`] its buckets: without them an exporter renders a summary, which
/// can't be added up over nodes.
///
/// # Example
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
///
/// let recorder = actix_gossipsub::metrics::with_buckets(PrometheusBuilder::new()).build_recorder();
/// let handle = recorder.handle();
/// // Call `handle.run_upkeep()` every few seconds while nobody scrapes: observations wait until then.
/// assert_eq!(handle.render(), "");
/// ```
pub fn with_buckets(builder: PrometheusBuilder) -> PrometheusBuilder {
    CATALOGUE.iter().fold(builder, |builder, metric| match metric.kind {
        Kind::Histogram { buckets } => {
            let set = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets);
            // It fails for an empty list only, and a test of the catalogue says that there is none.
            #[allow(clippy::expect_used)]
            set.expect("buckets")
        }
        Kind::Counter | Kind::Gauge => builder,
    })
}
