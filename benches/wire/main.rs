//! Our node against rust-libp2p's own gossipsub over real TCP: five nodes, each connected to all others and
//! publishing, with the same transports, keys, sizes and rates, in turns. Everything is measured between two
//! moments of a run that goes on; it asserts nothing.
//!
//! `cargo bench --features libp2p --bench wire -- [mode=threads|processes|both] [topics=1,100]
//! [size=1024,32768] [load=fixed|saturation|500] [side=ours|rust-libp2p] [--rounds N] [--seconds S] [--json]`

mod account;
mod arguments;
mod node;
mod ours;
mod phase;
mod plan;
mod publisher;
mod table;
mod theirs;
mod wire;

use self::{arguments::Arguments, phase::Phase, plan::Row, table::Cell};

fn main() {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        // A node in a process of its own.
        Ok(None) => return node::run_as_process(),
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    let mut cells: Vec<Cell> = Vec::new();
    for row in arguments.rows() {
        let mut sides: Vec<Cell> = arguments.sides.iter().map(|side| Cell::new(row, *side)).collect();
        for round in 0..arguments.rounds {
            // Who begins changes, so that neither always follows the other.
            for turn in 0..sides.len() {
                let cell = (turn + round) % sides.len();
                measure(&mut sides[cell], &arguments);
            }
        }
        cells.append(&mut sides);
    }
    if arguments.json {
        cells.iter().for_each(|cell| println!("{}", cell.json()));
    } else {
        println!("{}", table::table(&cells, arguments.rounds, arguments.seconds));
    }
}

fn measure(cell: &mut Cell, arguments: &Arguments) {
    let (Row { mode, topics, size, load }, side) = (cell.row, cell.side);
    eprintln!("{mode:?}, {topics} topics, {size} bytes, {load}: {side} ...");
    match Phase::run(cell.row, side, arguments.seconds) {
        Ok(result) => cell.add(result),
        Err(error) => {
            eprintln!("{side} did not finish: {error}");
            cell.failures += 1;
        }
    }
}
