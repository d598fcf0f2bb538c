//! This bench measures the cost of routing a message on the engine, on `Node` and in a bare loop: time, instructions
//! and memory, and the effect of a heartbeat. `benches/method.md` explains the workloads and the fields.

mod baseline;
mod chart;
mod colocated;
mod counts;
mod cpu;
mod engine;
mod guard;
mod heap;
mod heartbeat_delay;
mod instructions;
mod matrix;
mod metrics_cost;
mod networks;
mod node;
mod random;
mod report;
mod scenario;
mod separate;
mod tables;
mod target;
mod topology;
mod traffic;

use std::{error::Error, path::PathBuf, process::ExitCode, rc::Rc};

use actix::{System, SystemRunner};
use clap::{Parser, Subcommand};

use instructions::{Cell, CountError};
use matrix::{Selection, Variant, Workload};
use networks::{IdWithTopic, R, W};
use report::{Form, Line};
use scenario::{LONG_PAYLOAD, Scenario};
use traffic::Traffic;

#[global_allocator]
static HEAP: heap::CountingAllocator = heap::CountingAllocator;

/// Measures what routing a message costs. Without a command: each selected cell of the matrix, as a table.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    selection: Selection,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Count instructions too; needs valgrind
    #[arg(long)]
    instructions: bool,
    /// Added by cargo
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Compare instructions with guard.toml; fail if a count is more than 5 % above its record
    #[command(long_flag = "guard")]
    Guard,
    /// Write guard.toml
    #[command(long_flag = "record")]
    Record,
    /// Count the instructions that metrics cost; fail if they are more than 3 %
    #[command(long_flag = "metrics-cost")]
    MetricsCost,
    /// Print the tables of a run
    #[command(long_flag = "table")]
    Table {
        /// The output of --json
        lines: PathBuf,
    },
    /// Draw time against topics as SVG
    #[command(long_flag = "chart")]
    Chart {
        svg: PathBuf,
        /// The output of --json
        lines: PathBuf,
    },
    /// Run one cell under callgrind
    #[command(hide = true)]
    Counted {
        #[arg(value_parser = parse_cell)]
        cell: Cell,
    },
}

fn parse_cell(json: &str) -> Result<Cell, serde_json::Error> {
    serde_json::from_str(json)
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    match &cli.command {
        None => measure(&cli),
        Some(Command::Guard) => Ok(guard::guard()?),
        Some(Command::Record) => Ok(guard::record()?),
        Some(Command::MetricsCost) => metrics_cost::check(),
        Some(Command::Table { lines }) => {
            print!("{}", tables::tables(&report::read(lines)?));
            Ok(())
        }
        Some(Command::Chart { svg, lines }) => chart::draw(svg, &report::read(lines)?),
        Some(Command::Counted { cell }) => cell.run(),
    }
}

/// Measures the selected cells.
fn measure(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let form = if cli.json { Form::Json } else { Form::Table };
    let system = Rc::new(System::new());
    form.print_head();
    for workload in &cli.selection.workloads {
        match workload {
            Workload::R => measure_workload::<R>(&system, cli, form)?,
            Workload::W => measure_workload::<W>(&system, cli, form)?,
            Workload::WNamed => measure_workload::<W<IdWithTopic>>(&system, cli, form)?,
        }
    }
    Ok(())
}

fn measure_workload<N: Traffic>(system: &Rc<SystemRunner>, cli: &Cli, form: Form) -> Result<(), CountError> {
    for topics in &cli.selection.topics {
        for peers in &cli.selection.peers {
            let mut lines = Vec::new();
            Scenario::<N>::new(system, *topics, *peers).measure(&cli.selection, |line| lines.push(line));
            for mut line in lines {
                if cli.instructions {
                    line.instructions_per_input = count(&line)?;
                }
                form.print(&line);
            }
        }
    }
    Ok(())
}

/// (Topic, peer) pairs that callgrind sets up in a minute or two, and in half a minute.
const MAX_PAIRS: usize = 2_000_000;
const MAX_PAIRS_OF_VARIANTS: usize = 250_000;

/// The instructions of a cell. A validation that takes a set time is no number of instructions. Cells with several
/// threads are left out too: each thread runs the code that is counted on one.
fn count(line: &Line) -> Result<Option<f64>, CountError> {
    let Line { workload, engine, topics, peers, variant, .. } = *line;
    let max = if variant == Variant::Plain { MAX_PAIRS } else { MAX_PAIRS_OF_VARIANTS };
    if !engine.is_counted() || variant == Variant::Validator || topics * peers > max {
        return Ok(None);
    }
    let payload = (variant == Variant::Payload).then_some(LONG_PAYLOAD);
    Cell { payload, ..Cell::new(workload, engine, topics, peers) }.count().map(Some)
}
