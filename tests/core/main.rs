//! Tests of the protocol core, the limits and the repository itself. They need no feature and start no actor.

mod architecture;
mod catalogue;
mod config_files;
mod fuzzing;
mod limits;
mod node;
mod properties;
