//! This module draws the cost of an input against the number of topics, from the JSON lines of a run. Figures of other
//! implementations are quoted from an earlier publication and marked as such in the drawing.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::{self, Write},
    fs,
    path::Path,
};

use super::{
    matrix::{Engine, Variant, Workload, name},
    report::Line,
};

/// Published figures of another implementation.
struct Published {
    workload: Workload,
    name: &'static str,
    /// Topics and nanoseconds an input.
    points: &'static [(f64, f64)],
}

/// Measured by us on the same kind of machine on another day, and published on 22 November 2026.
const PUBLISHED: [Published; 2] = [
    // 2,530 to 2,780 ns at 10 topics: the middle. 15,075 ns at 1000.
    Published {
        workload: Workload::W,
        name: "rust-libp2p 0.50.1, scoring on *",
        points: &[(10.0, 2655.0), (1000.0, 15_075.0)],
    },
    // 821,313, 465,174, 87,453 and 4,106 inputs/s at 10, 100, 1000 and 5000 topics.
    Published {
        workload: Workload::R,
        name: "Octez worker *",
        points: &[(10.0, 1217.6), (100.0, 2149.7), (1000.0, 11_434.7), (5000.0, 243_546.0)],
    },
];

const NOTE: &str = "* published by us on 2026-11-22, other machine state; not re-run";
const OURS: [(Engine, &str); 4] = [
    (Engine::EngineN, "engine, all cores"),
    (Engine::Engine1, "engine, one arbiter"),
    (Engine::Node, "Node (no actors)"),
    (Engine::Baseline, "baseline: a bare loop"),
];

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 520.0;
/// The plotted area of a panel.
const TOP: f64 = 64.0;
const PLOT: (f64, f64) = (380.0, 300.0);
const LEFTS: [f64; 2] = [76.0, 552.0];
const TOPICS: (f64, f64) = (10.0, 32_000.0);
const NANOS: (f64, f64) = (100.0, 1_000_000.0);

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .title { font-size: 15px; font-weight: 600 }
.background { fill: #ffffff } .grid { stroke: #d0d7de; stroke-width: 1 } path { fill: none; stroke-width: 2.5 }
.engine_n { stroke: #8250df } .engine_1 { stroke: #0969da } .node { stroke: #1a7f37 } .baseline { stroke: #6e7781 }
.other { stroke: #bc4c00; stroke-dasharray: 6 4 } circle { fill: #ffffff; stroke-width: 2 }
circle.other { stroke-dasharray: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .background, circle { fill: #0d1117 } .grid { stroke: #30363d }
.engine_n { stroke: #bc8cff } .engine_1 { stroke: #58a6ff } .node { stroke: #3fb950 } .baseline { stroke: #8b949e }
.other { stroke: #f0883e }
}";

/// One line of a panel.
struct Series {
    class: String,
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws the plain cells with 50 peers to the file `drawing`.
///
/// # Errors
/// The file can't be written.
pub fn draw(drawing: &Path, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    fs::write(drawing, svg(lines)?).map_err(|error| format!("{}: {error}", drawing.display()))?;
    Ok(())
}

fn svg(lines: &[Line]) -> Result<String, fmt::Error> {
    let mut svg = String::new();
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"
  aria-label="Nanoseconds per received copy against the number of topics, 50 peers">
<style>{STYLE}</style>
<rect class="background" width="{WIDTH}" height="{HEIGHT}"/>"#
    )?;
    let panels = [
        (Workload::W, "Workload W: libp2p's identifiers, random topics"),
        (Workload::R, "Workload R: the reference's"),
    ];
    for ((workload, title), left) in panels.into_iter().zip(LEFTS) {
        let series = series(workload, lines);
        write!(svg, r#"<g transform="translate({left} {TOP})">"#)?;
        axes(&mut svg, title)?;
        for (index, series) in series.iter().enumerate() {
            curve(&mut svg, series)?;
            legend(&mut svg, series, index)?;
        }
        writeln!(svg, "</g>")?;
    }
    writeln!(svg, r#"<text x="{}" y="{}">{NOTE}</text>"#, LEFTS[0], HEIGHT - 14.0)?;
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

/// Most expensive first, which is the order of the curves from top to bottom.
fn series(workload: Workload, lines: &[Line]) -> Vec<Series> {
    let others = PUBLISHED.iter().filter(|published| published.workload == workload);
    let others = others.map(|Published { name, points, .. }| Series {
        class: "other".to_owned(),
        name,
        points: points.to_vec(),
    });
    let ours = OURS.into_iter().map(|(engine, title)| {
        let fits = |line: &&Line| {
            line.workload == workload
                && line.engine == engine
                && line.peers == 50
                && line.variant == Variant::Plain
        };
        let points = lines.iter().filter(fits).filter_map(|line| Some((line.topics, line.ns_per_input?)));
        let points: BTreeMap<usize, f64> = points.collect();
        let points = points.into_iter().map(|(topics, nanos)| (topics as f64, nanos)).collect();
        Series { class: name(engine), name: title, points }
    });
    others.chain(ours).filter(|series| !series.points.is_empty()).collect()
}

/// The position of `value` on a logarithmic axis, from 0 (`low`) to 1 (`high`).
fn log_position(value: f64, (low, high): (f64, f64)) -> f64 {
    (value / low).ln() / (high / low).ln()
}

fn x(topics: f64) -> f64 {
    log_position(topics, TOPICS) * PLOT.0
}

fn y(nanos: f64) -> f64 {
    (1.0 - log_position(nanos, NANOS)) * PLOT.1
}

fn axes(svg: &mut String, title: &str) -> fmt::Result {
    let (width, height) = PLOT;
    writeln!(svg, r#"<text class="title" x="0" y="-34">{title}</text>"#)?;
    writeln!(svg, r#"<text x="0" y="-14">time per received copy, 50 peers</text>"#)?;
    for (nanos, label) in [(1e2, "100 ns"), (1e3, "1 µs"), (1e4, "10 µs"), (1e5, "100 µs"), (1e6, "1 ms")]
    {
        let y = y(nanos);
        writeln!(svg, r#"<line class="grid" x1="0" x2="{width}" y1="{y:.1}" y2="{y:.1}"/>"#)?;
        writeln!(svg, r#"<text x="-8" y="{:.1}" text-anchor="end">{label}</text>"#, y + 4.0)?;
    }
    for topics in [10.0, 100.0, 1000.0, 5000.0, 32_000.0] {
        let x = x(topics);
        writeln!(svg, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="0" y2="{height}"/>"#)?;
        let y = height + 18.0;
        writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{topics}</text>"#)?;
    }
    let (x, y) = (width / 2.0, height + 36.0);
    writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">topics</text>"#)
}

fn curve(svg: &mut String, series: &Series) -> fmt::Result {
    let Series { class, points, .. } = series;
    write!(svg, r#"<path class="{class}" d=""#)?;
    for (index, (topics, nanos)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        write!(svg, "{command}{:.1} {:.1}", x(*topics), y(*nanos))?;
    }
    writeln!(svg, r#""/>"#)?;
    for (topics, nanos) in points {
        let (x, y) = (x(*topics), y(*nanos));
        write!(svg, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4">"#)?;
        writeln!(svg, "<title>{}: {nanos:.0} ns at {topics} topics</title></circle>", series.name)?;
    }
    Ok(())
}

/// One entry of the legend, which has two columns below the plot.
fn legend(svg: &mut String, Series { class, name, .. }: &Series, index: usize) -> fmt::Result {
    let (x, y) = ((index % 2) as f64 * 236.0, PLOT.1 + 62.0 + (index / 2) as f64 * 20.0);
    writeln!(svg, r#"<path class="{class}" d="M{x:.1} {y:.1}h26"/>"#)?;
    writeln!(svg, r#"<text x="{:.1}" y="{:.1}">{name}</text>"#, x + 34.0, y + 4.0)
}
