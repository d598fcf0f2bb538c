//! The entry point of the binary: parses the arguments, runs the command, and exits with 1 if it fails.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// mimalloc takes up to half the time of the system's allocator on several threads. The library leaves the choice of an
/// allocator to its user.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = cli::Arguments::parse();
    let log = match cli::log_to_stderr() {
        Ok(log) => log,
        Err(failure) => {
            eprintln!("error: {failure}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = cli::run(command);
    if let Err(failure) = &outcome {
        log.last_line(&format!("error: {failure}"));
    }
    log.wait();
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
