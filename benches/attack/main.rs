//! This bench attacks a node of this crate and one of rust-libp2p's gossipsub, and measures what three honest peers
//! notice of it and what it costs the node. Node, honest peers and attackers each run in a process of their own.
//!
//! `cargo bench --features node --bench attack -- --help`

mod attacker;
mod attacks;
mod cli;
mod honest;
mod measurement;
mod plan;
mod run;
mod table;
mod target;
mod usage;
mod victim;

use std::process::ExitCode;

use clap::Parser;
use peak_alloc::PeakAlloc;
use testkit::wire::plan::name;

use self::{
    cli::{Cli, Process},
    measurement::Cell,
};

/// Counts the heap of the process. Only the node's is reported.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.process {
        Some(Process::Victim) => victim::run_as_process(),
        Some(Process::Honest) => honest::run_as_process(),
        Some(Process::Attackers) => attacker::run_as_process(),
        None => return measure(&cli),
    }
    ExitCode::SUCCESS
}

fn measure(cli: &Cli) -> ExitCode {
    let mut cells: Vec<Cell> = Vec::new();
    for attack in cli.attacks() {
        let mut row: Vec<_> = cli.implementations.iter().map(|one| Cell::new(attack, *one)).collect();
        for round in 0..cli.runs() {
            // The order alternates, so that no implementation always follows the other.
            for turn in 0..row.len() {
                let cell = (turn + round) % row.len();
                row[cell].measure(&cli.timing(attack));
            }
        }
        cells.append(&mut row);
    }
    let table = table::table(&cells, cli);
    println!("{table}");
    if cli.write {
        table::write(&table);
    }
    let failed = cells.iter().any(|cell| !cell.failures.is_empty());
    for cell in &cells {
        let (attack, implementation) = (name(cell.attack), name(cell.implementation));
        cell.failures.iter().for_each(|failure| eprintln!("{attack}, {implementation}: {failure}"));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
