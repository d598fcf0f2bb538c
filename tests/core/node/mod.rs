//! The reference's own unit tests (Octez' `test_unit.ml` and `test_message_cache.ml`), on `Node`, and of
//! IDONTWANT, which it has not (`unwanted.rs`). Each is one function, named for the behaviour it shows. Properties
//! and recorded traces stand elsewhere.

mod delivery;
mod gossip;
mod heartbeat;
mod mesh;
mod score;
mod setup;
mod subscriptions;
mod unwanted;
