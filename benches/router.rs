//! What routing a message costs: on `Node`, on the engine, and in a bare loop; in time, instructions and
//! memory, and what a heartbeat does to it. `benches/README.md` says how to read it.
//!
//! `cargo bench --bench router -- [--json] [--instructions] [WORDS]`, `-- --guard`, `-- --record`, `-- --recording`,
//! `-- --chart FILE.svg LINES.jsonl`, `-- --table LINES.jsonl`

#[path = "router/apart.rs"]
mod apart;
#[path = "router/chart.rs"]
mod chart;
#[path = "router/cpu.rs"]
mod cpu;
#[path = "router/engine.rs"]
mod engine;
#[path = "router/floor.rs"]
mod floor;
#[path = "router/guard.rs"]
mod guard;
#[path = "router/heap.rs"]
mod heap;
#[path = "router/instructions.rs"]
mod instructions;
#[path = "router/networks.rs"]
mod networks;
#[path = "router/node.rs"]
mod node;
#[path = "router/place.rs"]
mod place;
#[path = "router/population.rs"]
mod population;
#[path = "router/random.rs"]
mod random;
#[path = "router/recording.rs"]
mod recording;
#[path = "router/report.rs"]
mod report;
#[path = "router/selection.rs"]
mod selection;
#[path = "router/stations.rs"]
mod stations;
#[path = "router/subject.rs"]
mod subject;
#[path = "router/tables.rs"]
mod tables;
#[path = "router/tally.rs"]
mod tally;
#[path = "router/traffic.rs"]
mod traffic;
#[path = "router/waits.rs"]
mod waits;

use std::{error::Error, process::ExitCode, rc::Rc};

use actix::{System, SystemRunner};

use instructions::{Cell, Counted};
use networks::{NamingId, R, W};
use place::{LONG_PAYLOAD, Place};
use report::{Form, Line};
use selection::{Selection, Variant, Word};
use traffic::Traffic;

#[global_allocator]
static HEAP: heap::CountingAllocator = heap::CountingAllocator;

fn main() -> ExitCode {
    // What cargo adds says only that this is a bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--guard"] => Ok(guard::guard()?),
        ["--record"] => Ok(guard::record()?),
        ["--recording"] => recording::check(),
        ["--chart", drawing, lines] => chart::draw(drawing.as_ref(), &report::read(lines.as_ref())?),
        ["--table", lines] => {
            print!("{}", tables::tables(&report::read(lines.as_ref())?));
            Ok(())
        }
        [instructions::CHILD, ..] => {
            instructions::run_counted(&Rc::new(System::new()), &arguments[1..]);
            Ok(())
        }
        _ => measure(arguments),
    }
}

/// Measures the chosen cells of the matrix.
fn measure(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut words = arguments.to_vec();
    let mut take = |flag: &str| {
        let before = words.len();
        words.retain(|word| word != flag);
        words.len() < before
    };
    let form = if take("--json") { Form::Json } else { Form::Table };
    let counts = take("--instructions");
    let selection = Selection::parse(&words)?;
    if counts {
        instructions::check_valgrind()?;
    }
    let system = Rc::new(System::new());
    form.begin();
    for workload in &selection.workloads {
        match *workload {
            "R" => measure_workload::<R>(&system, &selection, form, counts)?,
            "W" => measure_workload::<W>(&system, &selection, form, counts)?,
            _ => measure_workload::<W<NamingId>>(&system, &selection, form, counts)?,
        }
    }
    Ok(())
}

fn measure_workload<N: Traffic>(
    system: &Rc<SystemRunner>,
    selection: &Selection,
    form: Form,
    counts: bool,
) -> Result<(), Box<dyn Error>> {
    for topics in &selection.topics {
        for peers in &selection.peers {
            let mut lines = Vec::new();
            Place::<N>::new(system, *topics, *peers).measure(selection, |line| lines.push(line));
            for mut line in lines {
                if counts {
                    line.instructions_per_input = count(&line)?;
                }
                form.show(&line);
            }
        }
    }
    Ok(())
}

/// So many (topic, peer) pairs are set up under callgrind in a minute or two; and half a minute.
const MOST_PAIRS: usize = 2_000_000;
const MOST_PAIRS_OF_VARIANTS: usize = 250_000;

/// The instructions of a cell. A verdict that takes time is no number of instructions, and many threads at
/// once are not counted: what they do is what one does.
fn count(line: &Line) -> Result<Option<f64>, instructions::NoCount> {
    let Line { workload, engine, topics, peers, variant, .. } = line.clone();
    let most = if variant == Variant::Plain.word() { MOST_PAIRS } else { MOST_PAIRS_OF_VARIANTS };
    let is_counted = selection::find(&engine).is_some_and(selection::Engine::is_counted);
    if !is_counted || variant == Variant::Validator.word() || topics * peers > most {
        return Ok(None);
    }
    let payload = (variant == Variant::Payload.word()).then_some(LONG_PAYLOAD);
    let counted = Counted::Messages;
    instructions::count(&Cell { workload, engine, topics, peers, payload, counted }).map(Some)
}
