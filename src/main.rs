//! The binary: reads the arguments, runs the command, turns its result into an exit code. Everything
//! else is in `cli`.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// Up to twice as fast as the system's across threads. The library leaves the choice to its user, and
/// here the user is this binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = cli::Arguments::parse();
    cli::log_to_stderr();
    match cli::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
