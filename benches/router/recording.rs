//! What recording costs: the engine's message path with a recorder for Prometheus, against one with none. In
//! instructions, which do not depend on what else the machine does. Counts nothing itself.

use std::{error::Error, sync::Arc};

use metrics::Recorder;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::instructions::{Cell, Counted, NoCount, count};

/// The engine of a cell whose metrics are recorded.
pub const RECORDED: &str = "engine_recorded";
/// The same without.
const PLAIN: &str = "engine_1";
/// Recording may cost so much of the message path.
const MOST: f64 = 0.03;
/// Many messages a topic, and few.
const TOPICS: [usize; 2] = [10, 1000];

/// The recorder of the engine of this name, if its metrics are recorded.
pub fn recorder(engine: &str) -> Option<Arc<dyn Recorder + Send + Sync>> {
    (engine == RECORDED).then(|| Arc::new(PrometheusBuilder::new().build_recorder()) as _)
}

/// Recording costs too much.
#[derive(Debug, thiserror::Error)]
#[error("recording costs {:.1} % of the message path over {topics} topics; {:.1} % are allowed", cost * 100.0, MOST * 100.0)]
struct TooDear {
    topics: usize,
    cost: f64,
}

/// Compares, and shows what it finds.
///
/// # Errors
/// It can't be counted here, or recording costs more than it may.
pub fn check() -> Result<(), Box<dyn Error>> {
    let mut dearest = None;
    println!("| workload | topics | not recorded | recorded | cost |\n|---|---|---|---|---|");
    for workload in ["R", "W"] {
        for topics in TOPICS {
            let (plain, recorded) = (of(workload, PLAIN, topics)?, of(workload, RECORDED, topics)?);
            let cost = recorded / plain - 1.0;
            println!("| {workload} | {topics} | {plain:.0} | {recorded:.0} | {:.1} % |", cost * 100.0);
            if cost > MOST {
                dearest = Some(TooDear { topics, cost });
            }
        }
    }
    dearest.map_or(Ok(()), |dear| Err(dear.into()))
}

fn of(workload: &str, engine: &str, topics: usize) -> Result<f64, NoCount> {
    let (workload, engine) = (workload.to_owned(), engine.to_owned());
    count(&Cell { workload, engine, topics, peers: 50, payload: None, counted: Counted::Messages })
}
