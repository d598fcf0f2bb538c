//! This bench compares nodes of this crate with nodes of rust-libp2p's gossipsub over TCP. Five nodes are each
//! connected to all others and publish, with the same transports, keys, sizes and rates. The implementations run in
//! turn.
//!
//! `cargo bench --features libp2p-node --bench wire -- --help`

mod actix_node;
mod cli;
mod network;
mod node;
mod publisher;
mod stats;
mod table;

use clap::Parser;
use testkit::wire::plan::{Row, name};

use self::{cli::Cli, table::Cell};

fn main() {
    let cli = Cli::parse();
    if cli.node {
        return node::run_as_process();
    }
    let mut cells: Vec<Cell> = Vec::new();
    for row in cli.rows() {
        let mut row_cells: Vec<Cell> = cli.implementations.iter().map(|one| Cell::new(row, *one)).collect();
        for round in 0..cli.rounds as usize {
            // The order alternates, so that no implementation always follows the other.
            for turn in 0..row_cells.len() {
                let cell = (turn + round) % row_cells.len();
                measure(&mut row_cells[cell], &cli);
            }
        }
        cells.append(&mut row_cells);
    }
    if cli.json {
        cells.iter().for_each(|cell| println!("{}", cell.json()));
    } else {
        println!("{}", table::table(&cells, cli.rounds, cli.seconds));
    }
}

fn measure(cell: &mut Cell, cli: &Cli) {
    let (Row { mode, topics, size, load }, implementation) = (cell.row, name(cell.implementation));
    eprintln!("{}, {topics} topics, {size} bytes, {load}: {implementation} ...", name(mode));
    match network::run(cell.row, cell.implementation, cli.seconds) {
        Ok(totals) => cell.add(totals),
        Err(error) => {
            eprintln!("{implementation} did not finish: {error}");
            cell.failures += 1;
        }
    }
}
