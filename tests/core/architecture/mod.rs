//! The layers of `src`: which module may import from which. The test reads every path in the code and prints each arrow
//! that the tables below forbid.

mod modules;
mod prose;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use modules::{Arrow, Modules};

/// One part of the source whose units are layered: the files and folders directly below a module.
struct Area {
    /// The module; the crate's root is empty.
    root: &'static str,
    /// The layers from top to bottom. A unit may import from lower layers, and from its own layer if that creates no circle.
    /// `a::b` takes a file out of the folder `a` as a unit of its own; between these two every arrow is allowed.
    layers: &'static [&'static [&'static str]],
    /// Pairs of units of one layer of which the first must not import from the second.
    apart: &'static [(&'static str, &'static str)],
}

/// The name of a unit that is the root's own file (`lib.rs` or `mod.rs`), which re-exports what is below it.
const FACADE: &str = "";

const AREAS: &[Area] = &[
    Area {
        root: "",
        layers: &[
            &["main", "cli"],
            &[FACADE],
            &["http", "recording", "libp2p"],
            &["worker"],
            &["actors"],
            &["metrics", "outputs", "directory"],
            &["input_recorder"],
            &["protocol"],
            &["network", "plain"],
            &["admission"],
            &["build_info", "limits", "clock", "timestamp"],
        ],
        // The HTTP scope may serve a libp2p node; the transport may define how its values are recorded.
        apart: &[("http", "recording"), ("recording", "http"), ("libp2p", "http")],
    },
    Area {
        root: "protocol",
        layers: &[
            &[FACADE],
            &["node"],
            &["passive"],
            &["topic", "peers"],
            &["score"],
            &["exchange"],
            &["inspect", "iwant", "quota"],
            &["output", "outcome"],
            &["backoff", "event", "connection", "options", "rate_limit", "rng", "shares", "time_cache"],
        ],
        apart: &[("topic", "peers"), ("peers", "topic")],
    },
    Area {
        root: "libp2p",
        layers: &[
            &[FACADE, "fuzz"],
            &["gossipsub"],
            &["node", "presets"],
            &["swarm"],
            &["connection", "identify", "limits"],
            &["network"],
            &["state"],
            &["codec", "signature"],
            &["ids", "message", "message_serde", "transform", "bounded_map", "memory"],
        ],
        apart: &[],
    },
    Area {
        root: "actors",
        layers: &[
            &["heartbeat", "router", "supervisor"],
            &["arbiter"],
            &["mesh"],
            &["arbiter::burst", "diagnostics::sampler", "watch"],
            &["missed_messages"],
            &["shared"],
            &["pool", "topic_table"],
            // What an actor takes is below all actors, so that those who send to it don't depend on how it works.
            &["heartbeat::messages", "router::messages", "supervisor::messages"],
            &["arbiter::mailbox"],
            &["mesh::messages"],
            &["diagnostics", "inbox", "fault"],
        ],
        apart: &[],
    },
];

impl Area {
    /// The unit that a module belongs to; `None` if it is outside of the area.
    fn unit<'a>(&self, module: &'a str) -> Option<&'a str> {
        let inner = if self.root.is_empty() { module } else { module.strip_prefix(self.root)? };
        let inner = match inner.strip_prefix("::") {
            Some(inner) => inner,
            None if self.root.is_empty() || inner.is_empty() => inner,
            None => return None,
        };
        let mut ends = inner.match_indices("::").map(|(end, _)| end).chain([inner.len()]);
        let folder = &inner[..ends.next()?];
        let file = ends.next().map(|end| &inner[..end]).filter(|file| self.layer(file).is_some());
        Some(file.unwrap_or(folder))
    }

    fn name(&self, unit: &str) -> String {
        match (self.root, unit) {
            ("", FACADE) => "lib.rs".to_owned(),
            ("", unit) => unit.to_owned(),
            (root, FACADE) => format!("{root}/mod.rs"),
            (root, unit) => format!("{root}/{}", unit.replace("::", "/")),
        }
    }

    fn layer(&self, unit: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.contains(&unit))
    }

    /// The names in the tables that are no module: it was moved, renamed or misspelt.
    fn unknown(&self, modules: &Modules) -> Vec<String> {
        let known: BTreeSet<_> = modules.paths().filter_map(|module| self.unit(module)).collect();
        let apart = self.apart.iter().flat_map(|(from, to)| [from, to]);
        let names = self.layers.iter().copied().flatten().chain(apart).copied();
        names
            .filter(|name| !known.contains(name))
            .map(|name| format!("{} does not exist", self.name(name)))
            .collect()
    }

    /// The violations of the arrows, one per line.
    fn violations(&self, arrows: &BTreeSet<Arrow>) -> Vec<String> {
        let mut between: BTreeMap<(&str, &str), Vec<&Arrow>> = BTreeMap::new();
        for arrow in arrows {
            if let (Some(from), Some(to)) = (self.unit(&arrow.from), self.unit(&arrow.to))
                && from != to
                && !is_within(from, to)
                && !is_within(to, from)
            {
                between.entry((from, to)).or_default().push(arrow);
            }
        }
        let mut wrong = Vec::new();
        for ((from, to), arrows) in &between {
            let reason = match (self.layer(from), self.layer(to)) {
                (None, _) | (_, None) => "has a unit that is in no layer",
                (Some(above), Some(below)) if above > below => "points up",
                _ if self.apart.contains(&(from, to)) => "is between units that must be independent",
                (Some(layer), Some(other)) if layer == other => {
                    let within = between
                        .keys()
                        .filter(|(from, to)| [from, to].iter().all(|unit| self.layer(unit) == Some(layer)));
                    if !reaches(within, to, from) {
                        continue;
                    }
                    "closes a circle"
                }
                _ => continue,
            };
            let heading = format!("{} -> {} {reason}", self.name(from), self.name(to));
            // The report has one line per file.
            let by_file: BTreeMap<_, _> = arrows.iter().rev().map(|arrow| (&arrow.file, arrow)).collect();
            wrong.extend(by_file.values().map(|arrow| {
                format!("src/{}:{}: {}: {heading}", arrow.file.display(), arrow.line, arrow.path)
            }));
        }
        wrong
    }
}

/// Whether the first unit is a file that was taken out of the second.
fn is_within(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder).is_some_and(|rest| rest.starts_with("::"))
}

/// Whether arrows lead from one unit to another.
fn reaches<'a>(arrows: impl Iterator<Item = &'a (&'a str, &'a str)>, from: &str, to: &str) -> bool {
    let arrows: Vec<_> = arrows.collect();
    let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(unit) = next.pop() {
        if unit == to {
            return true;
        }
        let ahead = arrows.iter().filter(|(start, _)| *start == unit).map(|(_, end)| *end);
        next.extend(ahead.filter(|end| seen.insert(end)).collect::<Vec<_>>());
    }
    false
}

#[test]
fn an_arrow_that_points_up_or_closes_a_circle_is_found() {
    let area =
        Area { root: "p", layers: &[&[FACADE], &["a", "b"], &["c", "d"], &["a::x"]], apart: &[("c", "d")] };
    let files = [
        ("p/mod.rs", "pub use a::A; pub use self::c::C;"),
        ("p/a/mod.rs", "pub struct A; use super::{b::B, c};"),
        ("p/a/x.rs", "pub struct X; use super::A; use crate::p::c::C;"),
        ("p/b.rs", "pub struct B; fn f() { crate::p::a::A }"),
        ("p/c.rs", "pub struct C; use super::A;\nuse super::d::D; use crate::elsewhere::E;"),
        ("p/d.rs", "pub struct D; use crate::p::a::x::X; use crate::p::e::E;"),
        ("p/e.rs", "pub struct E;"),
        ("elsewhere.rs", "use crate::p::C; pub struct E;"),
    ];
    let mut modules = Modules::default();
    for (file, text) in files {
        modules.file(Path::new(file), &source::code(text));
    }
    let expected = [
        "src/p/a/mod.rs:1: super::b::B: p/a -> p/b closes a circle",
        "src/p/a/x.rs:1: crate::p::c::C: p/a/x -> p/c points up",
        "src/p/b.rs:1: crate::p::a::A: p/b -> p/a closes a circle",
        "src/p/c.rs:1: super::A: p/c -> p/a points up",
        "src/p/c.rs:2: super::d::D: p/c -> p/d is between units that must be independent",
        "src/p/d.rs:1: crate::p::e::E: p/d -> p/e has a unit that is in no layer",
    ];
    assert_eq!(area.violations(&modules.arrows()), expected);
    let misspelt = Area { root: "p", layers: &[&[FACADE, "a", "bb"]], apart: &[("c", "cc")] };
    assert_eq!(misspelt.unknown(&modules), ["p/bb does not exist", "p/cc does not exist"]);
}

#[test]
fn imports_point_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules = Modules::read(&source);
    let arrows = modules.arrows();
    assert!(arrows.len() > 500, "only {} arrows found: the sources are not read", arrows.len());
    let wrong: Vec<_> =
        AREAS.iter().flat_map(|area| [area.unknown(&modules), area.violations(&arrows)].concat()).collect();
    assert!(wrong.is_empty(), "{} arrows are forbidden:\n{}", wrong.len(), wrong.join("\n"));
}
