//! These tests check that every query is valid PromQL and names existing metrics, and that every metric is on a panel.

use std::collections::BTreeSet;

use actix_gossipsub::metrics::{CATALOGUE, Kind, Label, Values};
use promql_parser::{
    label::MatchOp,
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};

use super::{
    DASHBOARDS,
    rules::{ALERTS, expressions},
};

/// The metrics of Prometheus itself, and those of the process that the binary exports.
const OF_OTHERS: [&str; 7] = [
    "up",
    "ALERTS",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
];

/// A query with the values of all variables.
pub fn resolved(query: &str, interval: &str, values: &[(&str, &str)]) -> String {
    let query = query.replace("$__rate_interval", interval);
    values.iter().fold(query, |query, (name, value)| query.replace(&format!("${name}"), value))
}

/// Each query with the panel or the alert that contains it.
fn queries() -> Vec<(String, String)> {
    let panels = DASHBOARDS.iter().flat_map(|dashboard| {
        dashboard.panels().flat_map(|panel| {
            let location = format!("{}: {}", dashboard.file, panel.title);
            panel.queries.iter().map(move |(query, _)| ((*query).to_owned(), location.clone()))
        })
    });
    let values = [("node", "n"), ("topic", "t"), ("job", "j")];
    let panels = panels.map(|(query, location)| (resolved(&query, "1m", &values), location));
    panels.chain(expressions(ALERTS).into_iter().map(|(alert, query)| (query, alert))).collect()
}

/// The selectors of a query.
#[derive(Default)]
struct Selectors(Vec<VectorSelector>);

impl ExprVisitor for Selectors {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        match expr {
            Expr::VectorSelector(selector) => self.0.push(selector.clone()),
            Expr::MatrixSelector(selector) => self.0.push(selector.vs.clone()),
            _ => {}
        }
        Ok(true)
    }
}

fn selectors(query: &str) -> Result<Vec<VectorSelector>, String> {
    let expr = parser::parse(query)?;
    let mut found = Selectors::default();
    walk_expr(&mut found, &expr)?;
    Ok(found.0)
}

/// The metric of the catalogue that a series belongs to.
fn metric_of(series: &str) -> Option<&'static actix_gossipsub::metrics::Metric> {
    CATALOGUE.iter().find(|metric| match metric.kind {
        Kind::Histogram { .. } => {
            ["_bucket", "_sum", "_count"].iter().any(|part| series == format!("{}{part}", metric.name))
        }
        Kind::Counter | Kind::Gauge => series == metric.name,
    })
}

#[test]
fn every_query_is_valid_promql_with_existing_metrics_and_labels() {
    let mut count = 0;
    for (query, location) in queries() {
        let selectors = selectors(&query).unwrap_or_else(|error| panic!("{location}: {query}: {error}"));
        assert!(!selectors.is_empty() || query.contains("vector("), "{location} selects no metric");
        for selector in selectors {
            let name =
                selector.name.as_deref().unwrap_or_else(|| panic!("{location}: a selector without name"));
            count += 1;
            if OF_OTHERS.contains(&name) {
                continue;
            }
            let metric =
                metric_of(name).unwrap_or_else(|| panic!("{location}: {name} is not in the catalogue"));
            for matcher in &selector.matchers.matchers {
                let known = metric.labels.iter().find(|label| label.name == matcher.name);
                let prometheus = ["instance", "job"].contains(&matcher.name.as_str());
                assert!(known.is_some() || prometheus, "{location}: {name} has no label {}", matcher.name);
                if let Some(Label { values: Values::OneOf(values), .. }) = known {
                    let alternatives: Vec<_> = match &matcher.op {
                        MatchOp::Re(_) | MatchOp::NotRe(_) => matcher.value.split('|').collect(),
                        MatchOp::Equal | MatchOp::NotEqual => vec![matcher.value.as_str()],
                    };
                    for value in alternatives {
                        assert!(
                            values.contains(&value),
                            "{location}: {name} has no {}={value}",
                            matcher.name
                        );
                    }
                }
            }
        }
    }
    assert!(count > 80, "only {count} selectors found");
}

#[test]
fn every_metric_is_on_a_panel() {
    let mut queried = BTreeSet::new();
    for (query, _) in queries() {
        for selector in selectors(&query).expect("PromQL") {
            queried.extend(selector.name.as_deref().and_then(metric_of).map(|metric| metric.name));
        }
    }
    let all: BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
    let missing: Vec<_> = all.difference(&queried).collect();
    assert!(missing.is_empty(), "metrics without a panel: {missing:?}");
}

#[test]
fn legends_use_labels_of_the_metric() {
    for dashboard in DASHBOARDS {
        for panel in dashboard.panels() {
            for (query, legend) in panel.queries {
                let query = resolved(query, "1m", &[("node", "n"), ("topic", "t"), ("job", "j")]);
                let labels: BTreeSet<_> = selectors(&query)
                    .expect("PromQL")
                    .iter()
                    .filter_map(|selector| metric_of(selector.name.as_deref()?))
                    .flat_map(|metric| metric.labels)
                    .map(|label| label.name)
                    .chain(["instance", "job", "alertname", "le"])
                    .collect();
                for reference in legend.split("{{").skip(1) {
                    let name = reference.split("}}").next().expect("a name");
                    assert!(labels.contains(name), "{}: {legend}: no label {name}", panel.title);
                }
            }
        }
    }
}
