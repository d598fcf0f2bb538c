//! This test creates many topics. The number of series must stay within its bound, and topics without a label of their
//! own must be counted together.

use actix_gossipsub::{
    AppInput, P2pInput, P2pMessage, Started, Worker,
    metrics::{CATALOGUE, Kind, OTHER, Values, with_buckets},
    plain::PlainNetwork,
    protocol::Input,
};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{limits::changed, scrape::Scrape};

const TOPICS: usize = 10_000;
const LABELS: usize = 100;

/// The maximal number of series if `labels` topics have a label.
fn bound(labels: usize) -> usize {
    let input_series: usize = Input::ALL.iter().map(|input| input.outcomes().len()).sum();
    let series = |metric: &actix_gossipsub::metrics::Metric| {
        let values = metric.labels.iter().map(|label| match label.values {
            Values::OneOf(values) => values.len(),
            Values::Topics => labels + 1,
            Values::Build => 1,
        });
        match metric.name {
            "gossipsub_inputs_total" => input_series,
            _ => values.product(),
        }
    };
    let lines = |metric: &actix_gossipsub::metrics::Metric| match metric.kind {
        // A histogram has its buckets, the bucket of infinity, the sum and the count.
        Kind::Histogram { buckets } => series(metric) * (buckets.len() + 3),
        Kind::Counter | Kind::Gauge => series(metric),
    };
    CATALOGUE.iter().map(lines).sum()
}

#[test]
fn the_number_of_series_is_bounded_with_many_topics() {
    actix::System::new().block_on(async {
        let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        let limits = changed(|limits| limits.max_topics_per_peer = TOPICS);
        let builder = Worker::builder(PlainNetwork::new(), limits).manual().arbiters(2).seed(1);
        let started = builder.recorder(std::sync::Arc::new(recorder)).start(["own".to_owned()]);
        let Started { worker, mut p2p, .. } = started.expect("an actix system runs");
        let scrape = || Scrape::parse(&handle.render());
        worker.p2p_input(P2pInput::connected(1)).expect("the input is accepted");
        let send = async |message: P2pMessage<PlainNetwork>| {
            while worker.p2p_input(P2pInput::message(1, message.clone())).is_err() {
                worker.settle().await;
            }
        };
        // Topics that only a peer subscribes to get no labels.
        for number in 0..TOPICS {
            let topic = format!("theirs {number}");
            send(P2pMessage::subscribe(topic.clone())).await;
            send(P2pMessage::Graft { topic: topic.clone() }).await;
            send(P2pMessage::FullMessage(PlainNetwork::message(&topic, 1, "valid").into())).await;
        }
        worker.settle().await;
        worker.tick().await;
        let topic = "gossipsub_messages_received_total";
        assert_eq!(scrape().values(topic, "topic").len(), 2, "our topic, and `other`");
        assert_eq!(scrape().sum(topic, &[("topic", OTHER)]), TOPICS as f64);
        assert_eq!(scrape().sum("gossipsub_topic_label_overflow_total", &[]), 0.0);

        // The engine joins more topics than it has labels.
        for number in 0..TOPICS {
            worker.app_input(AppInput::Join(format!("ours {number}"))).expect("the input is accepted");
            if number.is_multiple_of(500) {
                worker.settle().await;
            }
        }
        worker.settle().await;
        while p2p.try_recv().is_some() {}
        worker.tick().await;
        let scraped = scrape();
        assert_eq!(scraped.values("gossipsub_mesh_peers", "topic").len(), LABELS + 1);
        assert_eq!(scraped.sum("gossipsub_topic_label_overflow_total", &[]), (TOPICS + 1 - LABELS) as f64);
        assert_eq!(scraped.sum("gossipsub_topic_subscribed", &[]), (TOPICS + 1) as f64);
        assert_eq!(
            scraped.sum("gossipsub_topic_subscribed", &[("topic", OTHER)]),
            (TOPICS + 1 - LABELS) as f64
        );
        assert_eq!(scraped.samples.len(), bound(LABELS), "all possible series exist");
        assert!(bound(LABELS) < 4_200, "{}", bound(LABELS));

        for number in 0..TOPICS {
            worker.app_input(AppInput::Leave(format!("ours {number}"))).expect("the input is accepted");
        }
        worker.app_input(AppInput::Leave("own".to_owned())).expect("the input is accepted");
        worker.settle().await;
        worker.tick().await;
        for gauge in ["gossipsub_topic_subscribed", "gossipsub_mesh_peers", "gossipsub_mesh_outbound_peers"] {
            assert_eq!(scrape().sum(gauge, &[]), 0.0, "{gauge}");
        }
        assert_eq!(scrape().samples.len(), bound(LABELS));
        worker.shutdown().await;
        assert_eq!(scrape().sum("gossipsub_topic_peers", &[]), 0.0);
    });
}

#[test]
fn without_labels_all_topics_are_counted_together() {
    actix::System::new().block_on(async {
        let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        let builder = Worker::builder(PlainNetwork::new(), changed(|_| {})).manual().max_topic_labels(0);
        let started = builder.recorder(std::sync::Arc::new(recorder)).start(["a".to_owned(), "b".to_owned()]);
        let Started { worker, .. } = started.expect("an actix system runs");
        for topic in ["a", "b"] {
            let message = PlainNetwork::message(topic, 1, "valid");
            worker.app_input(AppInput::Publish(message)).expect("the input is accepted");
        }
        worker.settle().await;
        let scrape = Scrape::parse(&handle.render());
        let published = "gossipsub_messages_published_total";
        assert_eq!(scrape.values(published, "topic").into_iter().collect::<Vec<_>>(), [OTHER]);
        assert_eq!(scrape.sum(published, &[]), 2.0);
        assert_eq!(scrape.samples.len(), bound(0));
        worker.shutdown().await;
    });
}
