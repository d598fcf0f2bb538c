//! These tests check that the catalogue equals the exported metrics in names, kinds, labels and label values. All
//! series exist from the start, and every metric becomes nonzero in a test.

use std::collections::BTreeSet;

use actix_gossipsub::{
    AppInput,
    metrics::{CATALOGUE, Values},
    protocol::{Event, Input},
};
use testkit::fragile::{FragileNetwork, POISON, fragile_message};

use super::{
    cluster::{Cluster, ValidationTiming},
    limits::{changed, limits},
    misbehaviour::misbehave,
    scrape::{Sample, Scrape},
};

/// The metrics that stay zero in this test: they need a timer, a transport, a slow reader of the HTTP stream, or an observation
/// of a busy engine.
const ZERO_HERE: [&str; 19] = [
    "gossipsub_http_stream_dropped_total",
    "gossipsub_heartbeats_skipped_total",
    "gossipsub_rpc_received_bytes_total",
    "gossipsub_rpc_sent_bytes_total",
    "gossipsub_rpc_malformed_total",
    "gossipsub_rpc_graylisted_total",
    "gossipsub_connections_refused_total",
    "gossipsub_transport_connections",
    "gossipsub_connections_by_protocol",
    "gossipsub_dials_total",
    "gossipsub_connections_failed_total",
    "gossipsub_peer_records_total",
    "gossipsub_px_dials_total",
    "gossipsub_transport_memory_bytes",
    "gossipsub_rpc_entries_ignored_total",
    "gossipsub_rpc_frames_lost_total",
    "gossipsub_replay_evictions_total",
    "gossipsub_streams_reopened_total",
    "gossipsub_signatures_verified_total",
];

/// The family of a sample: a histogram has several series.
fn family(sample: &Sample) -> &str {
    let name = sample.name.as_str();
    let stems = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
    let histogram = |stem: &&str| CATALOGUE.iter().any(|metric| metric.name == *stem);
    { stems }.find(histogram).unwrap_or(name)
}

/// Asserts that names, kinds, labels and label values equal the catalogue.
fn check(scrape: &Scrape) {
    let names: BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
    assert_eq!(scrape.kinds.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for metric in CATALOGUE {
        assert_eq!(scrape.kinds[metric.name], metric.kind.name(), "{}", metric.name);
        let samples = scrape.samples.iter().filter(|sample| family(sample) == metric.name);
        for sample in samples {
            let labels = sample.labels.iter().filter(|(label, _)| *label != "le");
            let expected: BTreeSet<_> = metric.labels.iter().map(|label| label.name).collect();
            assert_eq!(labels.clone().map(|(label, _)| label.as_str()).collect::<BTreeSet<_>>(), expected);
            for (label, value) in labels {
                let known = metric
                    .labels
                    .iter()
                    .find(|known| known.name == label)
                    .expect("the label names were compared above");
                if let Values::OneOf(values) = known.values {
                    assert!(values.contains(&value.as_str()), "{}: {label}={value}", metric.name);
                }
            }
        }
        for label in metric.labels {
            if let Values::OneOf(values) = label.values {
                let line = scrape
                    .samples
                    .iter()
                    .find(|sample| family(sample) == metric.name)
                    .expect("each metric has a sample");
                let values_found = scrape.values(&line.name, label.name);
                assert_eq!(
                    values_found.len(),
                    values.len(),
                    "{}: each {} from the start",
                    metric.name,
                    label.name
                );
            }
        }
    }
    let inputs = CATALOGUE.iter().find(|metric| metric.name == "gossipsub_inputs_total").expect("known");
    assert_eq!(inputs.labels[0].values, Values::OneOf(&Input::ALL.map(Input::name).to_vec().leak()[..]));
}

#[test]
fn all_series_exist_from_the_start() {
    actix::System::new().block_on(async {
        let mut cluster = Cluster::new(1, &limits(), ValidationTiming::Synchronous);
        check(&cluster.members[0].scrape());
        cluster.shutdown().await;
    });
}

#[test]
fn every_metric_becomes_nonzero() {
    actix::System::new().block_on(async {
        let limits = changed(|limits| {
            limits.bounds.max_output_items = 60;
            limits.bounds.max_input_items = 20;
            limits.bounds.max_validating_per_topic = 4;
            limits.bounds.max_history_per_topic = 60;
        });
        // The observer panics, which is counted. Only two topics get labels with their names.
        let set = |builder: actix_gossipsub::WorkerBuilder<FragileNetwork>| {
            let observer = |event: &Event<FragileNetwork>| assert!(!matches!(event, Event::SlowPeer { .. }));
            builder.max_topic_labels(2).observer(observer)
        };
        let mut cluster = Cluster::with(5, &limits, ValidationTiming::Asynchronous, set);
        cluster.connect_all().await;
        for topic in ["a", "b", "c"] {
            for member in 0..5 {
                cluster.join(member, topic).await;
            }
        }
        cluster.heartbeats(2).await;
        for _ in 0..3 {
            for number in 0..60 {
                let content = ["valid", "outdated", "unknown"][number % 3];
                let topic = ["a", "b", "c"][number % 3];
                cluster.publish_with_retry(number % 5, topic, content).await;
                if number % 7 == 0 {
                    cluster.pump().await;
                }
            }
            cluster.heartbeats(3).await;
            misbehave(&mut cluster).await;
        }
        cluster.publish(1, "a", "panic");
        cluster.pump().await;
        // The id panics, so that the topic is restarted.
        cluster.members[0].worker.p2p_input(fragile_message(1, "a", POISON)).expect("the input is accepted");
        cluster.decide_unknown();
        cluster.heartbeats(3).await;
        // A subscription that is dropped unread.
        let unread = cluster.members[0].worker.subscribe("unread".to_owned()).expect("the engine runs");
        cluster.members[0].worker.p2p_input(fragile_message(1, "unread", 1)).expect("the input is accepted");
        cluster.members[0].worker.settle().await;
        drop(unread);
        // No peer is subscribed to this topic.
        cluster.publish(0, "alone", "valid");
        cluster.members[0].worker.app_input(AppInput::Join("alone".to_owned())).expect("the engine runs");
        // These outputs are not read.
        for _ in 0..80 {
            cluster.publish_with_retry(0, "a", "valid").await;
        }
        cluster.members[0].worker.settle().await;
        cluster.members[0].worker.tick().await;
        let zero = zero_metrics(&cluster);
        let expected: BTreeSet<_> = ZERO_HERE.into_iter().collect();
        assert_eq!(zero, expected, "the metrics that are zero");
        for scrape in cluster.scrapes() {
            check(&scrape);
        }
        cluster.shutdown().await;
    });
}

/// The metrics that are zero on all engines.
fn zero_metrics(cluster: &Cluster) -> BTreeSet<&'static str> {
    let scrapes = cluster.scrapes();
    let is_nonzero = |name: &str| {
        let samples = scrapes.iter().flat_map(|scrape| &scrape.samples);
        samples.filter(|sample| family(sample) == name).any(|sample| sample.value != 0.0)
    };
    CATALOGUE.iter().map(|metric| metric.name).filter(|name| !is_nonzero(name)).collect()
}
