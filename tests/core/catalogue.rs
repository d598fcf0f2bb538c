//! This test checks that the table of metrics in `dashboards/README.md` equals the catalogue. `ACTIX_GOSSIPSUB_WRITE=1`
//! rewrites the table.

use std::{fmt::Write, fs};

use actix_gossipsub::metrics::{CATALOGUE, Label, Values};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/README.md");
const BEGIN: &str = "<!-- The catalogue's table; tests/core/catalogue.rs writes it. -->\n";
const END: &str = "<!-- The catalogue ends. -->\n";
/// Longer lists of values are given by their length.
const MAX_LISTED: usize = 13;

fn label(label: &Label) -> String {
    match label.values {
        Values::OneOf(values) if values.len() <= MAX_LISTED => {
            format!("`{}`: {}", label.name, values.join(", "))
        }
        Values::OneOf(values) => format!("`{}`: {} values", label.name, values.len()),
        Values::Topics | Values::Build => format!("`{}`", label.name),
    }
}

fn table() -> String {
    let mut table = String::from("\n| metric | type | labels | description |\n|---|---|---|---|\n");
    for metric in CATALOGUE {
        let labels: Vec<_> = metric.labels.iter().map(label).collect();
        let (name, kind) = (metric.name, metric.kind.name());
        writeln!(table, "| `{name}` | {kind} | {} | {} |", labels.join("; "), metric.description)
            .expect("to a string");
    }
    table + "\n"
}

#[test]
fn the_table_equals_the_catalogue() {
    let text = fs::read_to_string(FILE).expect("the file is readable");
    let (before, rest) = text.split_once(BEGIN).expect("the begin of the table is marked");
    let (written, after) = rest.split_once(END).expect("the end of the table is marked");
    if std::env::var_os("ACTIX_GOSSIPSUB_WRITE").is_some() {
        fs::write(FILE, [before, BEGIN, &table(), END, after].concat()).expect("the file is writable");
        return;
    }
    assert_eq!(
        written,
        table(),
        "ACTIX_GOSSIPSUB_WRITE=1 cargo test --all-features --test core catalogue rewrites the table"
    );
}
