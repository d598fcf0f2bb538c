//! This module defines the parts of a dashboard and converts them to Grafana's JSON.

use serde_json::{Value, json};

/// One file of `dashboards/`.
pub struct Dashboard {
    pub file: &'static str,
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    /// The variables in the header of the dashboard.
    pub variables: &'static [Variable],
    pub rows: &'static [Row],
}

pub struct Variable {
    pub name: &'static str,
    pub label: &'static str,
    pub query: &'static str,
    pub many: bool,
}

pub struct Row {
    pub title: &'static str,
    pub panels: &'static [Panel],
}

pub struct Panel {
    pub title: &'static str,
    pub description: &'static str,
    /// The unit as named by Grafana.
    pub unit: &'static str,
    pub stacked: bool,
    /// Each query in PromQL, with the legend of its series.
    pub queries: &'static [(&'static str, &'static str)],
    /// The event before which the panel has no numbers, if there is one.
    pub idle: Option<&'static str>,
}

impl Panel {
    pub const fn new(
        title: &'static str,
        unit: &'static str,
        description: &'static str,
        queries: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { title, description, unit, stacked: false, queries, idle: None }
    }

    pub const fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// Marks a panel that has no numbers until `reason` happens.
    pub const fn idle_until(mut self, reason: &'static str) -> Self {
        self.idle = Some(reason);
        self
    }
}

const COLUMNS: usize = 3;
const WIDTH: usize = 24 / COLUMNS;
const HEIGHT: usize = 8;

impl Dashboard {
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| row.panels)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.json()).expect("JSON") + "\n"
    }

    fn json(&self) -> Value {
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["gossipsub"],
            "editable": true,
            "graphTooltip": 1,
            "refresh": "10s",
            "schemaVersion": 39,
            "time": { "from": "now-30m", "to": "now" },
            "timezone": "browser",
            "templating": { "list": self.templates() },
            "annotations": { "list": [] },
            "links": [],
            "panels": self.positioned(),
        })
    }

    fn templates(&self) -> Vec<Value> {
        let source = json!({
            "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0,
        });
        let variable = |variable: &Variable| {
            json!({
                "name": variable.name,
                "label": variable.label,
                "type": "query",
                "datasource": datasource(),
                "query": { "query": variable.query, "refId": variable.name },
                "definition": variable.query,
                "refresh": 2,
                "sort": 1,
                "multi": variable.many,
                "includeAll": variable.many,
                "allValue": if variable.many { json!(".*") } else { Value::Null },
                "hide": 0,
            })
        };
        std::iter::once(source).chain(self.variables.iter().map(variable)).collect()
    }

    fn positioned(&self) -> Vec<Value> {
        let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
        for row in self.rows {
            id += 1;
            let position = json!({ "x": 0, "y": y, "w": 24, "h": 1 });
            panels.push(json!({
                "id": id, "type": "row", "title": row.title, "collapsed": false, "gridPos": position, "panels": [],
            }));
            y += 1;
            for (nth, panel) in row.panels.iter().enumerate() {
                id += 1;
                let (x, down) = (nth % COLUMNS * WIDTH, nth / COLUMNS * HEIGHT);
                panels.push(panel.json(id, json!({ "x": x, "y": y + down, "w": WIDTH, "h": HEIGHT })));
            }
            y += row.panels.len().div_ceil(COLUMNS) * HEIGHT;
        }
        panels
    }
}

impl Panel {
    fn json(&self, id: usize, position: Value) -> Value {
        let targets = self.queries.iter().zip('A'..).map(|((expr, legend), ref_id)| {
            json!({
                "refId": ref_id.to_string(),
                "datasource": datasource(),
                "expr": expr,
                "legendFormat": legend,
                "editorMode": "code",
                "range": true,
            })
        });
        let stacking = if self.stacked { "normal" } else { "none" };
        json!({
            "id": id,
            "type": "timeseries",
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": position,
            "targets": targets.collect::<Vec<_>>(),
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "custom": {
                        "drawStyle": "line",
                        "lineWidth": 1,
                        "fillOpacity": if self.stacked { 30 } else { 5 },
                        "showPoints": "never",
                        "stacking": { "mode": stacking, "group": "A" },
                    },
                },
                "overrides": [],
            },
            "options": {
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "desc" },
            },
        })
    }
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}
