//! This module measures the cost of metrics: the instructions of an input on the engine with a Prometheus recorder,
//! compared with the engine without a recorder.

use std::{error::Error, sync::Arc};

use metrics::Recorder;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{
    instructions::Cell,
    matrix::{Engine, Workload, name},
};

/// The cost that fails the check, as a part of the instructions without a recorder.
const MAX_COST: f64 = 0.03;
/// The numbers of topics: many messages per topic, and few.
const TOPICS: [usize; 2] = [10, 1000];
const PEERS: usize = 50;

/// The error of metrics that cost too much.
#[derive(Debug, thiserror::Error)]
#[error("metrics cost {:.1} % of the instructions of {workload:?} with {topics} topics; the limit is {:.1} %", cost * 100.0, MAX_COST * 100.0)]
struct TooExpensive {
    workload: Workload,
    topics: usize,
    cost: f64,
}

pub fn recorder() -> Arc<dyn Recorder + Send + Sync> {
    Arc::new(PrometheusBuilder::new().build_recorder())
}

/// Counts with and without a recorder, and prints a table.
///
/// # Errors
/// There is no count, or metrics cost more than 3 %.
pub fn check() -> Result<(), Box<dyn Error>> {
    let mut result = Ok(());
    println!("| workload | topics | without metrics | with metrics | cost |\n|---|---|---|---|---|");
    for workload in [Workload::R, Workload::W] {
        for topics in TOPICS {
            let cell = Cell::new(workload, Engine::Engine1, topics, PEERS);
            let without = cell.count()?;
            let with = Cell { with_metrics: true, ..cell }.count()?;
            let cost = with / without - 1.0;
            let workload_name = name(workload);
            println!("| {workload_name} | {topics} | {without:.0} | {with:.0} | {:.1} % |", cost * 100.0);
            if cost > MAX_COST {
                result = Err(TooExpensive { workload, topics, cost }.into());
            }
        }
    }
    result
}
