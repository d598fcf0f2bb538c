//! The dashboards and alerts of `dashboards/`: well-formed, asking for what there is, and, with a real Prometheus
//! and real nodes, showing it.

#[path = "dashboards/fleet.rs"]
mod fleet;
#[path = "dashboards/http.rs"]
mod http;
#[path = "dashboards/lint.rs"]
mod lint;
#[path = "dashboards/live.rs"]
mod live;
#[path = "dashboards/model.rs"]
mod model;
#[path = "dashboards/node.rs"]
mod node;
#[path = "dashboards/peer.rs"]
mod peer;
#[path = "dashboards/picture.rs"]
mod picture;
#[path = "dashboards/process.rs"]
mod process;
#[path = "dashboards/promtool.rs"]
mod promtool;
#[path = "dashboards/queries.rs"]
mod queries;
#[path = "dashboards/rules.rs"]
mod rules;

const DASHBOARDS: [&model::Dashboard; 2] = [&node::NODE, &fleet::FLEET];
