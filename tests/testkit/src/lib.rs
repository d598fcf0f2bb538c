//! What the tests, the fuzz targets and the benches share. The package is never published.

pub mod fuzz;
#[cfg(feature = "http")]
pub mod http;
pub mod model;
pub mod wait;
