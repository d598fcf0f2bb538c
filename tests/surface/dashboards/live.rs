//! In this test a real Prometheus scrapes three real nodes under load. Every panel must have data, and the alert for a
//! stalled node must fire and clear. The test polls with time limits.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    DASHBOARDS, http,
    model::{Dashboard, Panel},
    peer::Peer,
    process::Process,
    promtool::{self, in_repository},
    queries::resolved,
};

/// The range of rates. Scrapes are a second apart, and a rate needs two of them; the rest is a margin for slow machines.
const RATE: &str = "8s";
/// The number of scrapes before the panels are checked.
const SCRAPES: usize = 12;
/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A Prometheus process whose data are removed at its end.
struct Prometheus {
    address: String,
    folder: PathBuf,
    _process: Process,
}

impl Prometheus {
    fn start(targets: &[String]) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (config, alerts) = (folder.join("prometheus.yml"), in_repository("dashboards/alerts.yml"));
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{alerts:?}]\n\
             scrape_configs: [{{ job_name: gossipsub, static_configs: [{{ targets: {targets:?} }}] }}]\n"
        );
        fs::write(&config, text).expect("the file is written");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=error");
        let prometheus = Self { address, folder, _process: Process::start(&mut command) };
        until("Prometheus answers", || http::get(&prometheus.address, "/-/ready").map(drop));
        prometheus
    }

    fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let data =
            http::query(&self.address, "query", &[("query", query)]).map_err(|e| format!("{query}: {e}"))?;
        data["result"].as_array().cloned().ok_or_else(|| format!("{query}: no result in {data}"))
    }

    /// The instances whose alert fires.
    fn firing(&self, alert: &str) -> Result<Vec<String>, String> {
        let found = self.query(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}"))?;
        Ok(found
            .iter()
            .filter_map(|series| series["metric"]["instance"].as_str().map(str::to_owned))
            .collect())
    }

    /// The values of a dashboard's variables, queried as by Grafana; all values of a variable with several.
    fn variables(&self, dashboard: &Dashboard) -> Vec<(&'static str, String)> {
        let mut values: Vec<(&str, String)> = Vec::new();
        for variable in dashboard.variables {
            let known: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let query = resolved(variable.query, RATE, &known);
            let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (series, label) = inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values");
            let found = self.query(&format!("group by ({label}) ({series})")).expect(variable.name);
            let mut labels: Vec<_> = found.iter().filter_map(|s| s["metric"][label].as_str()).collect();
            labels.sort_unstable();
            assert!(!labels.is_empty(), "{}: {} has no value", dashboard.file, variable.name);
            let value = if variable.many { labels.join("|") } else { labels[0].to_owned() };
            values.push((variable.name, value));
        }
        values
    }

    /// The queries of each panel with the values of all variables.
    fn panels<'a>(&self, dashboard: &'a Dashboard) -> Vec<(&'a Panel, Vec<String>)> {
        let values = self.variables(dashboard);
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ready = |panel: &Panel| panel.queries.iter().map(|(q, _)| resolved(q, RATE, &values)).collect();
        dashboard.panels().map(|panel| (panel, ready(panel))).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // An error leaves a few files in the target folder.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Polls until the condition is true.
fn until(what: &str, mut condition: impl FnMut() -> Result<(), String>) {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(()) => return,
            Err(error) if start.elapsed() > TIMEOUT => panic!("not true within {TIMEOUT:?}: {what}: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn check(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}

/// The error in the data of a panel, if there is one.
fn error_in(prometheus: &Prometheus, panel: &Panel, query: &str) -> Option<String> {
    let found = match prometheus.query(query) {
        Ok(found) => found,
        Err(error) => return Some(error),
    };
    let number = |series: &Value| series["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
    let finite = found.iter().filter_map(number).any(f64::is_finite);
    match (found.is_empty(), finite || panel.idle.is_some()) {
        (true, _) => Some(format!("{}: no data: {query}", panel.title)),
        (false, false) => Some(format!("{}: no number: {query}", panel.title)),
        (false, true) => None,
    }
}

#[test]
fn prometheus_scrapes_real_nodes_and_every_panel_has_data() {
    if !promtool::is_installed("dashboards on a real Prometheus") {
        return;
    }
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(Peer::start(&peers));
    }
    let targets: Vec<_> = peers.iter().map(|peer| peer.http.clone()).collect();
    let prometheus = Prometheus::start(&targets);
    until("all nodes are scraped and exchange messages", || {
        let scraped = prometheus.query(&format!(
            "count(count_over_time(gossipsub_heartbeats_total[10m]) >= {SCRAPES} and on (instance) \
             sum by (instance) (gossipsub_messages_delivered_total) > 0) == 3"
        ))?;
        check(!scraped.is_empty(), || "too few scrapes or deliveries".to_owned())
    });

    let scrape = http::get(&targets[0], "/metrics").expect("a scrape");
    assert!(!scrape.contains(" summary\n"), "a histogram without buckets");
    assert_eq!(promtool::check_scrape(&scrape), Ok(()));

    every_panel_has_data(&prometheus);
    a_stopped_node_fires_the_alert(&prometheus, &peers[2]);
}

fn every_panel_has_data(prometheus: &Prometheus) {
    // Histograms with a sample of one in 64 need more time.
    until("every panel has data", || {
        let mut errors = Vec::new();
        for dashboard in DASHBOARDS {
            for (panel, queries) in prometheus.panels(dashboard) {
                errors.extend(queries.iter().filter_map(|query| error_in(prometheus, panel, query)));
            }
        }
        check(errors.is_empty(), || format!("{errors:#?}"))
    });
}

fn a_stopped_node_fires_the_alert(prometheus: &Prometheus, peer: &Peer) {
    assert_eq!(prometheus.firing("NodeDown"), Ok(vec![]), "all nodes answer");
    peer.process.signal("-STOP");
    until("NodeDown fires for the stopped node", || {
        let firing = prometheus.firing("NodeDown")?;
        check(firing == [peer.http.clone()], || format!("{firing:?}"))
    });
    peer.process.signal("-CONT");
    until("NodeDown is over", || {
        let firing = prometheus.firing("NodeDown")?;
        check(firing.is_empty(), || format!("{firing:?}"))
    });
}
