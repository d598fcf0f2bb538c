//! These tests check the protocol core, the limits and the repository itself. They compile without features and run
//! without actors.

mod architecture;
mod catalogue;
mod config_files;
mod fuzzing;
mod limits;
mod node;
mod presets;
mod properties;
mod reverse_patches;
