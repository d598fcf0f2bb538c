//! What the fuzz targets run and check. `tests/fuzzing.rs` includes this file and runs the same on the
//! seeds in `corpus/` and on random cases; nothing here knows who chose the bytes.

pub mod engine;
pub mod engine_seeds;
pub mod program;
#[cfg(feature = "fuzzing")]
pub mod rpc;
#[cfg(feature = "fuzzing")]
pub mod rpc_seeds;

/// The properties' own driver and checks.
#[allow(dead_code, reason = "the properties use all of it, the fuzz targets do not")]
#[path = "../../tests/support/model/mod.rs"]
pub mod model;
