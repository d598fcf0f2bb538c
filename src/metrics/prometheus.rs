//! Configures the Prometheus exporter for the metrics of the catalogue.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::{CATALOGUE, Kind};

/// Sets the buckets of each histogram in the [`CATALOGUE`]. Without buckets the exporter renders summaries, which can't
/// be aggregated over nodes.
///
/// # Example
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
///
/// let recorder = actix_gossipsub::metrics::with_buckets(PrometheusBuilder::new()).build_recorder();
/// let handle = recorder.handle();
/// // Call `handle.run_upkeep()` every few seconds: it moves observations into the buckets between scrapes.
/// assert_eq!(handle.render(), "");
/// ```
pub fn with_buckets(builder: PrometheusBuilder) -> PrometheusBuilder {
    CATALOGUE.iter().fold(builder, |builder, metric| match metric.kind {
        Kind::Histogram { buckets } => {
            let set = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets);
            // It fails only for an empty list, and a test checks that the catalogue has none.
            #[allow(clippy::expect_used)]
            set.expect("at least one bucket")
        }
        Kind::Counter | Kind::Gauge => builder,
    })
}
