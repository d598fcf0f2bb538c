//! This module draws the panels of the dashboards as an SVG page, with the data that a real Prometheus returns. The
//! page states that it was drawn without Grafana.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    http,
    model::{Dashboard, Panel},
};

/// The environment variable with the folder to which the pages are written.
const FOLDER_VARIABLE: &str = "GOSSIPSUB_DRAW_DASHBOARDS";
/// The seconds of data that a page displays.
const SPAN: u64 = 90;
const COLOURS: [&str; 8] =
    ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#b7dbab"];
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 120.0;

pub fn draw_if_requested<'a>(
    prometheus: &str,
    dashboards: [&'a Dashboard; 2],
    panels: impl Fn(&'a Dashboard) -> Vec<(&'a Panel, Vec<String>)>,
) {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from) else { return };
    // The pages display a period of time, so Prometheus must collect data for as long.
    std::thread::sleep(Duration::from_secs(SPAN));
    for dashboard in dashboards {
        let page = page(prometheus, dashboard, panels(dashboard));
        let name = dashboard.file.rsplit('/').next().expect("a name").replace(".json", ".html");
        fs::write(folder.join(name), page).expect("written");
    }
}

fn page(prometheus: &str, dashboard: &Dashboard, panels: Vec<(&Panel, Vec<String>)>) -> String {
    let now = http::query(prometheus, "query", &[("query", "time()")]).expect("a time");
    let now = now["result"][0].as_f64().expect("seconds");
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><title>{0}</title><style>body{{background:#181b1f;color:#ccccdc;font:12px \
         sans-serif;width:1230px;margin:8px}}h1{{font-size:16px;margin:4px}}h2{{font-size:13px;margin:10px 4px 4px;\
         clear:both}}section{{display:grid;grid-template-columns:repeat(3,1fr);gap:6px}}div{{background:#111217;\
         padding:6px;border:1px solid #2c2f36}}b{{display:block;font-weight:500;margin-bottom:3px}}p{{margin:3px 0 0;\
         font-size:10px;line-height:1.35}}svg{{display:block}}</style><h1>{0}</h1><p>The panels of {1}, with {SPAN} s \
         of what Prometheus answered about three nodes on one machine. Drawn as plain SVG, not by Grafana.</p>",
        dashboard.title, dashboard.file
    );
    let mut panels = panels.into_iter();
    for row in dashboard.rows {
        let _ = write!(page, "<h2>{}</h2><section>", row.title);
        for (panel, queries) in panels.by_ref().take(row.panels.len()) {
            page += &drawn(prometheus, panel, &queries, now);
        }
        page += "</section>";
    }
    page
}

/// The name and the points of a series.
type Series = (String, Vec<(f64, f64)>);

fn series(prometheus: &str, query: &str, legend: &str, now: f64) -> Vec<Series> {
    let (start, end) = ((now - SPAN as f64).to_string(), now.to_string());
    let arguments = [("query", query), ("start", &start), ("end", &end), ("step", "2")];
    let data = http::query(prometheus, "query_range", &arguments).expect("an answer");
    let point = |pair: &Value| Some((pair[0].as_f64()?, pair[1].as_str()?.parse::<f64>().ok()?));
    let read = |found: &Value| {
        let points = found["values"].as_array().into_iter().flatten().filter_map(point);
        (named(legend, &found["metric"]), points.filter(|(_, value)| value.is_finite()).collect())
    };
    data["result"].as_array().into_iter().flatten().map(read).collect()
}

fn named(legend: &str, labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    labels.fold(legend.to_owned(), |name, (label, value)| {
        name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
    })
}

fn drawn(prometheus: &str, panel: &Panel, queries: &[String], now: f64) -> String {
    let legends = panel.queries.iter().map(|(_, legend)| legend);
    let found =
        queries.iter().zip(legends).flat_map(|(query, legend)| series(prometheus, query, legend, now));
    let mut found: Vec<Series> = found.collect();
    let last = |series: &Series| series.1.last().map_or(0.0, |(_, value)| value.abs());
    // The legend lists the series with the greatest values.
    found.sort_by(|a, b| last(b).total_cmp(&last(a)));
    let values = || found.iter().flat_map(|(_, points)| points.iter().map(|(_, value)| *value));
    let (low, high) = (values().fold(0.0, f64::min), values().fold(f64::MIN_POSITIVE, f64::max));
    let x = |time: f64| 44.0 + (time - (now - SPAN as f64)) / SPAN as f64 * (WIDTH - 50.0);
    let y = |value: f64| 6.0 + (high - value) / (high - low) * (HEIGHT - 14.0);
    let mut svg = format!("<div><b>{}</b><svg width={WIDTH} height={HEIGHT}>", panel.title);
    for value in [low, (low + high) / 2.0, high] {
        let (y, label) = (y(value), formatted(value, panel.unit));
        let _ = write!(
            svg,
            "<path d='M44 {y:.1}H{WIDTH}' stroke='#2c2f36'/><text x=40 y={:.1} fill='#8e8e9e' \
             font-size=9 text-anchor=end>{label}</text>",
            y + 3.0
        );
    }
    for ((_, points), colour) in found.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<_> = points.iter().map(|(t, v)| format!("{:.1},{:.1}", x(*t), y(*v))).collect();
        let points = points.join(" ");
        let _ = write!(svg, "<polyline points='{points}' fill=none stroke='{colour}' stroke-width=1.2 />");
    }
    svg += "</svg><p>";
    for ((name, _), colour) in found.iter().zip(COLOURS.iter().cycle()).take(COLOURS.len()) {
        let _ = write!(svg, "<span style='color:{colour}'>&#9473;</span> {name} ");
    }
    let hidden = found.len().saturating_sub(COLOURS.len());
    if hidden > 0 {
        let _ = write!(svg, "and {hidden} more");
    }
    svg + "</p></div>"
}

fn formatted(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "percentunit" => (value * 100.0, "%"),
        "s" if value.abs() < 1.0 => (value * 1e3, "ms"),
        "s" => (value, "s"),
        "cps" => (value, "/s"),
        "cpm" => (value, "/min"),
        "Bps" if value.abs() >= 1e3 => (value / 1e3, "kB/s"),
        "Bps" => (value, "B/s"),
        "bytes" if value.abs() >= 1e3 => (value / 1e3, "kB"),
        "bytes" => (value, "B"),
        _ => (value, ""),
    };
    if value.abs() < 1e-9 {
        return format!("0{unit}");
    }
    let digits = if value.abs() >= 100.0 { 0 } else { 2 };
    format!("{value:.digits$}{unit}")
}
