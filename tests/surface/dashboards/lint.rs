//! These tests check that the dashboard files equal the generated ones, and that their panels and variables are
//! complete and valid in Grafana.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::DASHBOARDS;

/// The environment variable with which the test rewrites the files.
const UPDATE: &str = "GOSSIPSUB_UPDATE_DASHBOARDS";

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_files_are_up_to_date() {
    for dashboard in DASHBOARDS {
        if std::env::var_os(UPDATE).is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(dashboard.file);
            fs::write(path, dashboard.text()).expect("the file can be written");
        }
        assert!(
            read(dashboard.file) == dashboard.text(),
            "{} is not the file that tests/surface/dashboards generates: run with {UPDATE}=1",
            dashboard.file
        );
    }
}

/// The grid cells of a panel.
fn grid_cells(panel: &Value) -> impl Iterator<Item = (u64, u64)> {
    let position = |key: &str| panel["gridPos"][key].as_u64().expect("a position in the grid");
    let (x, y, w, h) = (position("x"), position("y"), position("w"), position("h"));
    assert!(x + w <= 24, "{panel}");
    (x..x + w).flat_map(move |x| (y..y + h).map(move |y| (x, y)))
}

#[test]
fn panels_are_complete_and_do_not_overlap() {
    for dashboard in DASHBOARDS {
        let json: Value = serde_json::from_str(&read(dashboard.file)).expect("JSON");
        let (mut ids, mut titles, mut occupied) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in json["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            assert!(panel["id"].as_u64().is_some_and(|id| id > 0 && ids.insert(id)), "{title}: id");
            assert!(!title.is_empty() && titles.insert(title), "{title} is used twice");
            for cell in grid_cells(panel) {
                assert!(occupied.insert(cell), "{title} overlaps another panel at {cell:?}");
            }
            if panel["type"] == "row" {
                assert_eq!(panel["collapsed"], false, "{title}");
            } else {
                check_panel(panel, title);
            }
        }
        check_variables(&json);
    }
}

fn check_panel(panel: &Value, title: &str) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}: datasource");
    assert!(text(&panel["description"]).len() > 10, "{title}: description");
    assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{title}: unit");
    let mut ref_ids = BTreeSet::new();
    let targets = panel["targets"].as_array().expect("targets");
    assert!(!targets.is_empty(), "{title} has no query");
    for target in targets {
        assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}: datasource");
        assert!(ref_ids.insert(text(&target["refId"])), "{title}: refId twice");
        assert!(!text(&target["legendFormat"]).is_empty(), "{title}: legendFormat");
        let expr = text(&target["expr"]);
        assert!(!expr.contains("increase(") && !expr.contains("delta("), "{title}: {expr}");
        let ranges = expr.matches('[').count();
        assert_eq!(ranges, expr.matches("[$__rate_interval]").count(), "{title}: {expr}");
    }
}

fn check_variables(json: &Value) {
    let variables = json["templating"]["list"].as_array().expect("variables");
    assert_eq!(variables[0]["type"], "datasource");
    let text = json.to_string();
    for variable in variables {
        let name = variable["name"].as_str().expect("a name");
        let used = text.contains(&format!("${name}")) || text.contains(&format!("${{{name}}}"));
        assert!(used, "{name} is not used");
    }
}
