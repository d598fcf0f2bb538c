//! The reference's own unit tests (Octez' `test_unit.ml` and `test_message_cache.ml`) on `Node`, and tests of
//! IDONTWANT, which the reference lacks (`idontwant.rs`). Each test is one function named for the behaviour.

mod colocation;
mod counted;
mod delivery;
mod eclipse;
mod first_messages;
mod first_publication;
mod gossip;
mod graylist;
mod heartbeat;
mod idontwant;
mod ignored;
mod mesh;
mod missed;
mod network;
mod passive;
mod retention;
mod score;
mod score_vectors;
mod seen;
mod settings;
mod setup;
mod simulation;
mod subscriptions;
mod swaps;
mod topic_limits;
mod totals;
mod undecided;
mod work;
