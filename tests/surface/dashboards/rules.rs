//! This module reads the names and expressions of the alert rules as text. `promtool.rs` runs the checks of Prometheus
//! on them.

use actix_gossipsub::metrics::CATALOGUE;

use super::promtool::in_repository;

pub const ALERTS: &str = include_str!("../../../dashboards/alerts.yml");
pub const ALERTS_TEST: &str = include_str!("../../../dashboards/alerts_test.yml");

/// Each alert with its expression. The file has each expression on one line.
pub fn expressions(rules: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut alert = None;
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            assert_eq!(alert.replace(name.to_owned()), None, "an alert without an expression on one line");
        } else if let Some(expression) = line.strip_prefix("expr: ") {
            found.push((alert.take().expect("an alert before its expression"), expression.to_owned()));
        }
    }
    found
}

#[test]
fn each_alert_has_a_test_and_a_description() {
    let alerts = expressions(ALERTS);
    assert_eq!(alerts.len(), ALERTS.matches("- alert: ").count());
    assert!(alerts.len() >= 14, "{}", alerts.len());
    for (alert, _) in &alerts {
        let test = format!("{{alertname=\"{alert}\",job=\"gossipsub\"}}");
        assert!(ALERTS_TEST.contains(&test), "{alert} has no test in alerts_test.yml");
    }
    for part in ["severity: ", "summary: ", "description: ", "runbook_url: "] {
        assert_eq!(ALERTS.matches(part).count(), alerts.len(), "each alert has one {part}");
    }
}

#[test]
fn each_alert_has_a_runbook_with_its_meaning_and_what_to_do() {
    let alerts = expressions(ALERTS);
    for (alert, _) in &alerts {
        let path = format!("docs/runbooks/{alert}.md");
        assert!(ALERTS.contains(&format!("runbook_url: {path}\n")), "{alert} does not name {path}");
        let runbook = std::fs::read_to_string(in_repository(&path)).expect(&path);
        let headings: Vec<_> = runbook.lines().filter(|line| line.starts_with('#')).collect();
        let title = format!("# {alert}");
        assert_eq!(
            headings,
            [&title, "## Meaning", "## Impact", "## What to look at", "## What to do"],
            "{path}"
        );
        for metric in runbook.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let is_metric = metric.starts_with("gossipsub_");
            let name = metric.trim_end_matches("_bucket");
            assert!(!is_metric || CATALOGUE.iter().any(|known| known.name == name), "{path}: {metric}");
        }
    }
    let folder = std::fs::read_dir(in_repository("docs/runbooks")).expect("a folder");
    assert_eq!(folder.count(), alerts.len(), "each runbook has an alert");
}

/// The rules use the metric of D_low, and the rule tests must use its default value.
#[test]
fn the_rule_tests_use_the_default_d_low() {
    let below = expressions(ALERTS).into_iter().find(|(alert, _)| alert == "MeshBelowDlow");
    let (_, expression) = below.expect("an alert for small meshes");
    assert_eq!(expression.matches("gossipsub_mesh_degree{bound=\"low\"}").count(), 2, "{expression}");
    let low = actix_gossipsub::LimitsConfig::<String>::default().degree_low;
    let series = "- series: gossipsub_mesh_degree{instance=\"n\",job=\"gossipsub\",bound=\"low\"}";
    let values = format!("values: \"{low}x");
    let tests = ALERTS_TEST.split(series).skip(1);
    let found: Vec<_> = tests.map(|rest| rest.lines().nth(1).unwrap_or_default().trim()).collect();
    assert!(found.len() >= 3, "tests in which the alert fires, and in which it does not: {found:?}");
    assert!(found.iter().all(|line| line.starts_with(&values)), "{found:?} is not {low}");
}
