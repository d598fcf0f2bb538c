//! This module parses the text that Prometheus scrapes from an engine.

use std::collections::{BTreeMap, BTreeSet};

/// One scrape.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// The kind of each family.
    pub kinds: BTreeMap<String, String>,
    pub samples: Vec<Sample>,
}

/// One sample of a scrape.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Scrape {
    /// Reads the text format 0.0.4.
    pub fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix("# TYPE ") {
                Some(family) => {
                    let (name, kind) = family.split_once(' ').expect("a name and a kind");
                    let known = scrape.kinds.insert(name.to_owned(), kind.to_owned());
                    assert_eq!(known, None, "{name} has two blocks");
                }
                None if line.starts_with('#') => {}
                None => scrape.samples.push(Sample::parse(line)),
            }
        }
        scrape
    }

    /// The sum over all series of a name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let has =
                |(label, value): &(&str, &str)| sample.labels.get(*label).map(String::as_str) == Some(value);
            sample.name == name && labels.iter().all(has)
        };
        let mut found = self.samples.iter().filter(fits).peekable();
        assert!(found.peek().is_some(), "no series {name} {labels:?}");
        found.map(|sample| sample.value).sum()
    }

    /// The values of a label.
    pub fn values(&self, name: &str, label: &str) -> BTreeSet<String> {
        let of = self.samples.iter().filter(|sample| sample.name == name);
        of.filter_map(|sample| sample.labels.get(label).cloned()).collect()
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let value = value.parse().unwrap_or_else(|_| panic!("a number: {line}"));
        let Some((name, labels)) = series.split_once('{') else {
            return Self { name: series.to_owned(), labels: BTreeMap::new(), value };
        };
        // In these tests no label name or value contains a quote or a comma.
        let labels = labels
            .strip_suffix('}')
            .expect("the labels are closed by a brace")
            .split(',')
            .filter(|label| !label.is_empty());
        let label = |label: &str| {
            let (name, value) = label.split_once('=').expect("a label and its value");
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        Self { name: name.to_owned(), labels: labels.map(label).collect(), value }
    }
}
