//! This package has the code that the tests, the fuzz targets and the benches share. It is for use inside this
//! repository only.

pub mod counted;
pub mod fragile;
pub mod fuzz;
#[cfg(feature = "http")]
pub mod http;
pub mod model;
pub mod skip;
#[cfg(feature = "swarms")]
pub mod swarms;
pub mod wait;
#[cfg(feature = "swarms")]
pub mod wire;
