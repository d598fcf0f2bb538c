//! `check-config`: whether an engine would take a parameter file. Starts nothing.

use std::path::Path;

use super::{Failure, limits_file};

/// Prints "ok", or fails with everything that is wrong.
pub fn run(file: &Path) -> Result<(), Failure> {
    limits_file::check(limits_file::read(file)?, file)?;
    println!("ok");
    Ok(())
}
