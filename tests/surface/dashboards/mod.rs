//! These tests check the dashboards and alerts of `dashboards/`: they are well-formed, query only existing metrics, and
//! return data with a real Prometheus and real nodes.

mod connections;
mod defence;
mod fleet;
mod http;
mod lint;
mod live;
mod model;
mod node;
mod now;
mod peer;
mod process;
mod promtool;
mod queries;
mod rules;

const DASHBOARDS: [&model::Dashboard; 2] = [&node::NODE, &fleet::FLEET];
