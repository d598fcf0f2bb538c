//! These tests check that the metrics and log lines of a named engine can be distinguished from those of another one.

use std::sync::Arc;

use actix_gossipsub::{Started, Worker, metrics::CATALOGUE, plain::PlainNetwork};

use crate::{recording::Recording, support::*};

#[test]
fn all_series_of_a_named_engine_have_its_label_and_only_those() {
    run(async {
        let recording = Recording::default();
        let start = |name: Option<&str>| {
            let builder = manual(PlainNetwork::new(), limits()).recorder(Arc::new(recording.clone()));
            let builder = name.into_iter().fold(builder, |builder, name| builder.name(name));
            let started = builder.start(["t".to_owned()]).expect("an actix system runs");
            // A topic without a label of its own at the start.
            started.worker.app_input(join("later")).expect("accepted");
            started
        };
        let engines = [Some("a"), Some("b"), None].map(start);
        for (Started { worker, .. }, peers) in engines.iter().zip([1, 2, 3]) {
            (0..peers).for_each(|peer| worker.p2p_input(connect(peer)).expect("accepted"));
            worker.settle().await;
            worker.tick().await;
        }
        let all = recording.series("");
        let of = |engine: &str| -> Vec<_> {
            let label = format!("engine={engine}}}");
            all.iter().filter(|series| series.ends_with(&label)).collect()
        };
        let (a, b) = (of("a"), of("b"));
        let unnamed: Vec<_> = all.iter().filter(|series| !series.contains("engine=")).collect();
        assert_eq!(a.len() + b.len() + unnamed.len(), all.len());
        assert_eq!((a.len(), b.len()), (unnamed.len(), unnamed.len()));
        // The recording has no histograms.
        let counted = CATALOGUE.iter().filter(|metric| metric.kind.name() != "histogram");
        for metric in counted {
            assert!(a.iter().any(|series| series.starts_with(metric.name)), "{}", metric.name);
        }
        let connections = |engine: &str| {
            let series = "gossipsub_connections{direction=inbound,kind=regular";
            recording.gauge(&format!("{series}{engine}}}"))
        };
        assert_eq!([",engine=a", ",engine=b", ""].map(connections), [1.0, 2.0, 3.0]);
        assert_eq!(recording.gauge("gossipsub_topics{engine=a}"), 2.0);
        let names: Vec<_> = engines.iter().map(|engine| engine.worker.name()).collect();
        assert_eq!(names, [Some("a"), Some("b"), None]);
        for Started { worker, .. } in &engines {
            Worker::shutdown(worker).await;
        }
    });
}
