//! This module reads the names and expressions of the alert rules as text. `promtool.rs` runs the checks of Prometheus
//! on them.

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
        let test = format!("{{alertname=\"{alert}\"}}");
        assert!(ALERTS_TEST.contains(&test), "{alert} has no test in alerts_test.yml");
    }
    for part in ["severity: ", "summary: ", "description: "] {
        assert_eq!(ALERTS.matches(part).count(), alerts.len(), "each alert has one {part}");
    }
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
    assert_eq!(found.len(), 2, "one test in which the alert fires and one in which it does not");
    assert!(found.iter().all(|line| line.starts_with(&values)), "{found:?} is not {low}");
}
