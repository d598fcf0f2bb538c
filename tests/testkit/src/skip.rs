//! Tests that need a program which may be missing.

use std::io::Write;

/// Whether a test fails, and is not skipped, without its program: with this environment variable or `CI`.
pub fn is_required(variable: &str) -> bool {
    [variable, "CI"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Prints that a test is skipped, and why. The test then passes.
///
/// # Panics
/// The program is required.
pub fn skip(variable: &str, problem: &str) {
    assert!(!is_required(variable), "{problem}");
    // libtest captures what the macros print, and displays it for tests that fail only.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {problem} ({variable}=1 makes it fail)");
}
