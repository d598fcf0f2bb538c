//! This module finds and runs the tools of Prometheus, from Debian's package `prometheus`.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Set, or `CI`, where these tests must run.
const REQUIRED: &str = "GOSSIPSUB_REQUIRE_PROMETHEUS";

/// Whether Prometheus is here. Without it a test is skipped, and says so; where it is required, it fails.
pub fn is_here(test: &str) -> bool {
    let is_here = ["prometheus", "promtool"].iter().all(|tool| {
        let run = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    });
    let required = [REQUIRED, "CI"].iter().any(|variable| std::env::var_os(variable).is_some());
    assert!(
        is_here || !required,
        "{test}: prometheus and promtool are required; install Debian's `prometheus`"
    );
    if !is_here {
        // Past the capture of the test's output.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED {test}: no prometheus here ({REQUIRED}=1 makes it fail)");
    }
    is_here
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
    // It may end before it has read all.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let out = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    if out.status.success() { Ok(()) } else { Err(format!("promtool {arguments:?}: {said}")) }
}

/// Whether a scrape is as Prometheus wants it.
pub fn check_scrape(scrape: &str) -> Result<(), String> {
    promtool(&["check", "metrics"], scrape)
}

fn on_file(arguments: &[&str], file: &Path) -> Result<(), String> {
    promtool(&[arguments, &[file.to_str().ok_or("a path in UTF-8")?]].concat(), "")
}

#[test]
fn every_alert_fires_in_a_bad_world_and_none_in_a_good_one() {
    if !is_here("alert rules") {
        return;
    }
    assert_eq!(on_file(&["check", "rules"], &in_repository("dashboards/alerts.yml")), Ok(()));
    assert_eq!(on_file(&["test", "rules"], &in_repository("dashboards/alerts_test.yml")), Ok(()));
    assert_eq!(on_file(&["check", "config"], &in_repository("config/prometheus.yml")), Ok(()));
}

/// A threshold or a name that is changed is noticed by the worlds.
#[test]
fn the_worlds_notice_a_changed_rule() {
    if !is_here("changed alert rules") {
        return;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed-rules");
    std::fs::create_dir_all(&folder).expect("a folder");
    let worlds = folder.join("alerts_test.yml");
    std::fs::write(&worlds, super::rules::ALERTS_TEST).expect("written");
    let changes = [
        ("gossipsub_topic_panics_total", "gossipsub_topic_panic_total"),
        ("> 0.92", "> 0.94"),
        ("> 0.92", "> 0.85"),
        ("> 0.05", "> 0.005"),
        ("up{job=\"gossipsub\"} == 0", "up{job=\"gossipsub\"} == 1"),
        ("gossipsub_mesh_degree{bound=\"low\"}) and", "gossipsub_mesh_degree{bound=\"outbound\"}) and"),
        ("> 0.3\n", "> 0.4\n"),
        ("gossipsub_queue_capacity > 0.5", "gossipsub_queue_capacity > 0.6"),
        ("{reason!=\"stopped\"}", ""),
        ("{reason=\"output_queue_full\"}", ""),
    ];
    for (what, into) in changes {
        let rules = super::rules::ALERTS;
        assert!(rules.contains(what), "{what} is in no rule");
        std::fs::write(folder.join("alerts.yml"), rules.replacen(what, into, 1)).expect("written");
        let judged = on_file(&["test", "rules"], &worlds);
        assert!(judged.is_err(), "{into:?} in place of {what:?} is not noticed");
    }
}
