//! This module finds and runs the tools of Prometheus, from Debian's package `prometheus`.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// With this environment variable or `CI`, the tests fail if Prometheus is not installed.
const REQUIRED: &str = "GOSSIPSUB_REQUIRE_PROMETHEUS";

/// Whether Prometheus is installed. If it is not, prints that the test is skipped, or panics if it is required.
pub fn is_installed(test: &str) -> bool {
    let is_installed = ["prometheus", "promtool"].iter().all(|tool| {
        let run = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    });
    if !is_installed {
        let problem = format!("{test}: prometheus and promtool are missing: install Debian's `prometheus`");
        testkit::skip::skip(REQUIRED, &problem);
    }
    is_installed
}

pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs promtool on some input.
fn promtool(arguments: &[&str], input: &str) -> Result<(), String> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().ok_or("no input")?;
    // promtool may end before it has read all input.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let out = child.wait_with_output().map_err(|error| error.to_string())?;
    let output = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    if out.status.success() { Ok(()) } else { Err(format!("promtool {arguments:?}: {output}")) }
}

/// Checks the format of a scrape with promtool.
pub fn check_scrape(scrape: &str) -> Result<(), String> {
    promtool(&["check", "metrics"], scrape)
}

fn on_file(arguments: &[&str], file: &Path) -> Result<(), String> {
    promtool(&[arguments, &[file.to_str().ok_or("a path in UTF-8")?]].concat(), "")
}

#[test]
fn every_alert_fires_on_bad_series_only() {
    if !is_installed("alert rules") {
        return;
    }
    assert_eq!(on_file(&["check", "rules"], &in_repository("dashboards/alerts.yml")), Ok(()));
    assert_eq!(on_file(&["test", "rules"], &in_repository("dashboards/alerts_test.yml")), Ok(()));
    assert_eq!(on_file(&["check", "config"], &in_repository("config/prometheus.yml")), Ok(()));
}

/// The rule tests must fail when a threshold or a name in the rules is changed.
#[test]
fn the_rule_tests_detect_changed_rules() {
    if !is_installed("changed alert rules") {
        return;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed-rules");
    std::fs::create_dir_all(&folder).expect("a folder");
    let tests = folder.join("alerts_test.yml");
    std::fs::write(&tests, super::rules::ALERTS_TEST).expect("written");
    let changes = [
        ("gossipsub_topic_panics_total", "gossipsub_topic_panic_total"),
        ("> 0.92", "> 0.94"),
        ("> 0.92", "> 0.85"),
        ("> 0.05", "> 0.005"),
        ("up{job=\"gossipsub\"} == 0", "up{job=\"gossipsub\"} == 1"),
        ("gossipsub_mesh_degree{bound=\"low\"}) and", "gossipsub_mesh_degree{bound=\"outbound\"}) and"),
        ("> 0.3\n", "> 0.4\n"),
        ("gossipsub_queue_capacity > 0.5", "gossipsub_queue_capacity > 0.6"),
        ("{reason!~\"stopped|graylisted|transport_behind\"}", ""),
        ("stopped|graylisted|transport_behind", "stopped|graylisted"),
        ("{reason=~\"output_queue_full|peer_queue_full\"}", ""),
        ("sum by (job, instance, reason)", "sum by (instance, reason)"),
        (
            " and on (job, instance, topic) (gossipsub_topic_peers > ",
            " and on (job, instance, topic) (gossipsub_topic_peers < ",
        ),
    ];
    for (what, into) in changes {
        let rules = super::rules::ALERTS;
        assert!(rules.contains(what), "{what} is in no rule");
        std::fs::write(folder.join("alerts.yml"), rules.replacen(what, into, 1)).expect("written");
        let result = on_file(&["test", "rules"], &tests);
        assert!(result.is_err(), "the tests do not detect {into:?} in place of {what:?}");
    }
}
