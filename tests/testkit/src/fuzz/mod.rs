//! This module has the harness of the fuzz targets. The targets in `fuzz/` run it under libFuzzer;
//! `tests/core/fuzzing.rs` runs it on the seeds in `fuzz/corpus` and on random changes of them.

pub mod engine;
pub mod engine_seeds;
pub mod program;
#[cfg(feature = "fuzzing")]
pub mod rpc;
#[cfg(feature = "fuzzing")]
pub mod rpc_seeds;
