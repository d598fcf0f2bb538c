//! The table of metrics in `dashboards/README.md` is the catalogue's. `ACTIX_GOSSIPSUB_WRITE=1` writes it anew.

use std::{fmt::Write, fs};

use actix_gossipsub::metrics::{CATALOGUE, Label, Values};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/README.md");
const BEGIN: &str = "<!-- The catalogue's table; tests/catalogue.rs writes it. -->\n";
const END: &str = "<!-- The catalogue ends. -->\n";
/// More values than these are not named.
const NAMED: usize = 13;

fn label(label: &Label) -> String {
    match label.values {
        Values::OneOf(values) if values.len() <= NAMED => format!("`{}`: {}", label.name, values.join(", ")),
        Values::OneOf(values) => format!("`{}`: {} values", label.name, values.len()),
        Values::Topics | Values::Version => format!("`{}`", label.name),
    }
}

fn table() -> String {
    let mut table = String::from("\n| metric | type | labels | what it tells |\n|---|---|---|---|\n");
    for metric in CATALOGUE {
        let labels: Vec<_> = metric.labels.iter().map(label).collect();
        let (name, kind) = (metric.name, metric.kind.name());
        writeln!(table, "| `{name}` | {kind} | {} | {} |", labels.join("; "), metric.description)
            .expect("to a string");
    }
    table + "\n"
}

#[test]
fn the_table_is_the_catalogue() {
    let text = fs::read_to_string(FILE).expect("it is there");
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (written, after) = rest.split_once(END).expect("where it ends");
    if std::env::var_os("ACTIX_GOSSIPSUB_WRITE").is_some() {
        fs::write(FILE, [before, BEGIN, &table(), END, after].concat()).expect("it can be written");
        return;
    }
    assert_eq!(written, table(), "ACTIX_GOSSIPSUB_WRITE=1 cargo test --test catalogue writes it anew");
}
