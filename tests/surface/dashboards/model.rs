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
    /// A query for the times in milliseconds at which the selected nodes started.
    pub starts: &'static str,
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
    pub kind: Kind,
    /// Each query in PromQL, with the legend of its series.
    pub queries: &'static [(&'static str, &'static str)],
    /// The event before which the panel has no numbers, if there is one.
    pub idle: Option<&'static str>,
}

/// How a panel displays its series.
pub enum Kind {
    Lines {
        stacked: bool,
    },
    /// The last value as a large number.
    Stat(Stat),
    /// The buckets of a histogram over time.
    Heatmap,
    /// The last values in rows with this column for the labels, which may link to the dashboard of a node.
    Table {
        label: &'static str,
        to_node: bool,
    },
}

/// The colours and texts of a large number.
pub struct Stat {
    /// From this value on, the number has this colour. Below the first one it is green.
    pub thresholds: &'static [(f64, &'static str)],
    /// Texts in the place of single values.
    pub texts: &'static [(u8, &'static str)],
}

/// 0 is good, any other number is worth a look.
pub const ZERO_IS_GOOD: Stat = Stat { thresholds: &[(1e-9, "orange")], texts: &[] };
/// The values of the queries of verdicts, which take the severities of the firing alerts.
pub const VERDICT: Stat = Stat {
    thresholds: &[(1.0, "orange"), (2.0, "red")],
    texts: &[(0, "healthy"), (1, "degraded"), (2, "failing")],
};
/// A number without a judgement.
pub const PLAIN: Stat = Stat { thresholds: &[], texts: &[] };

impl Panel {
    pub const fn new(
        title: &'static str,
        unit: &'static str,
        description: &'static str,
        queries: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { title, description, unit, kind: Kind::Lines { stacked: false }, queries, idle: None }
    }

    pub const fn stacked(mut self) -> Self {
        self.kind = Kind::Lines { stacked: true };
        self
    }

    pub const fn stat(mut self, stat: Stat) -> Self {
        self.kind = Kind::Stat(stat);
        self
    }

    pub const fn heatmap(mut self) -> Self {
        self.kind = Kind::Heatmap;
        self
    }

    pub const fn table(mut self, label: &'static str, to_node: bool) -> Self {
        self.kind = Kind::Table { label, to_node };
        self
    }

    /// Marks a panel that has no numbers until `reason` happens.
    pub const fn idle_until(mut self, reason: &'static str) -> Self {
        self.idle = Some(reason);
        self
    }
}

const COLUMNS: usize = 24;

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
            "annotations": { "list": self.restarts() },
            "links": self.links(),
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
            let (mut x, mut below) = (0, y);
            for panel in row.panels {
                id += 1;
                let (w, h) = panel.size();
                if x + w > COLUMNS {
                    (x, y) = (0, below);
                }
                panels.push(panel.json(id, json!({ "x": x, "y": y, "w": w, "h": h })));
                (x, below) = (x + w, below.max(y + h));
            }
            y = below;
        }
        panels
    }

    /// Marks the start of each process of the selected nodes.
    fn restarts(&self) -> Value {
        json!([{
            "name": "Restarts",
            "datasource": datasource(),
            "enable": true,
            "iconColor": "blue",
            "expr": self.starts,
            "step": "10s",
            "useValueForTime": "on",
            "titleFormat": "{{instance}} started",
        }])
    }

    /// Leads to the other dashboards.
    fn links(&self) -> Value {
        json!([{
            "type": "dashboards", "tags": ["gossipsub"], "title": "Gossipsub", "asDropdown": false, "includeVars": false,
            "keepTime": true, "targetBlank": false, "icon": "external link", "url": "",
        }])
    }
}

impl Panel {
    /// Width and height in cells of the grid.
    fn size(&self) -> (usize, usize) {
        match self.kind {
            Kind::Stat(_) => (4, 4),
            _ => (8, 8),
        }
    }

    fn json(&self, id: usize, position: Value) -> Value {
        let targets = self.queries.iter().zip('A'..).map(|((expr, legend), ref_id)| {
            json!({
                "refId": ref_id.to_string(),
                "datasource": datasource(),
                "expr": expr,
                "legendFormat": legend,
                "editorMode": "code",
                "range": !matches!(self.kind, Kind::Table { .. }),
                "instant": matches!(self.kind, Kind::Table { .. }),
                "format": match self.kind {
                    Kind::Heatmap => "heatmap",
                    Kind::Table { .. } => "table",
                    _ => "time_series",
                },
            })
        });
        let mut panel = json!({
            "id": id,
            "type": self.kind.name(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": position,
            "targets": targets.collect::<Vec<_>>(),
            "fieldConfig": { "defaults": self.kind.field(), "overrides": self.kind.overrides() },
            "options": self.kind.options(self.unit),
        });
        panel["fieldConfig"]["defaults"]["unit"] = json!(self.unit);
        if let Kind::Table { label, .. } = self.kind {
            let fields = json!({ "include": { "names": [label, "Value"] } });
            panel["transformations"] = json!([{ "id": "filterFieldsByName", "options": fields }]);
        }
        panel
    }
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Lines { .. } => "timeseries",
            Self::Stat(_) => "stat",
            Self::Heatmap => "heatmap",
            Self::Table { .. } => "table",
        }
    }

    fn field(&self) -> Value {
        match self {
            Self::Lines { stacked } => json!({
                "custom": {
                    "drawStyle": "line",
                    "lineWidth": 1,
                    "fillOpacity": if *stacked { 30 } else { 5 },
                    "showPoints": "never",
                    "stacking": { "mode": if *stacked { "normal" } else { "none" }, "group": "A" },
                },
            }),
            Self::Stat(Stat { thresholds, texts }) => {
                let first =
                    json!({ "color": if thresholds.is_empty() { "text" } else { "green" }, "value": null });
                let steps = thresholds.iter().map(|(value, color)| json!({ "color": color, "value": value }));
                let steps: Vec<_> = std::iter::once(first).chain(steps).collect();
                let texts: serde_json::Map<_, _> =
                    texts.iter().map(|(value, text)| (value.to_string(), json!({ "text": text }))).collect();
                let mappings =
                    if texts.is_empty() { json!([]) } else { json!([{ "type": "value", "options": texts }]) };
                json!({ "thresholds": { "mode": "absolute", "steps": steps }, "mappings": mappings })
            }
            Self::Heatmap | Self::Table { .. } => json!({}),
        }
    }

    fn overrides(&self) -> Value {
        let Self::Table { label, to_node: true } = self else { return json!([]) };
        let url = format!("/d/{NODE_UID}?var-node=${{__data.fields.{label}}}&${{datasource:queryparam}}");
        let link = json!({ "title": "Dashboard of this node", "url": url });
        json!([{
            "matcher": { "id": "byName", "options": label },
            "properties": [{ "id": "links", "value": [link] }],
        }])
    }

    fn options(&self, unit: &str) -> Value {
        match self {
            Self::Lines { .. } => json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Self::Stat(_) => json!({
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
                "colorMode": "background",
                "graphMode": "area",
                "textMode": "auto",
            }),
            Self::Heatmap => json!({
                "calculate": false,
                "color": { "mode": "scheme", "scheme": "Blues", "steps": 32 },
                "yAxis": { "unit": unit },
                "tooltip": { "mode": "single" },
            }),
            Self::Table { .. } => json!({ "showHeader": true, "sortBy": [] }),
        }
    }
}

/// The dashboard that tables of nodes link to.
const NODE_UID: &str = "gossipsub-node";

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}
