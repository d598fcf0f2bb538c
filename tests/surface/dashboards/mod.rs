//! The dashboards and alerts of `dashboards/`: well-formed, asking for what there is, and, with a real Prometheus
//! and real nodes, showing it.

mod fleet;
mod http;
mod lint;
mod live;
mod model;
mod node;
mod peer;
mod picture;
mod process;
mod promtool;
mod queries;
mod rules;

const DASHBOARDS: [&model::Dashboard; 2] = [&node::NODE, &fleet::FLEET];
