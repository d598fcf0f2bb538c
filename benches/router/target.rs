//! This module defines the interface that the bench drives: a bare loop, `Node`, or the engine with its transport.

use std::time::Duration;

use super::{counts::Counts, topology::Topology, traffic::Traffic};

/// A router of messages that is measured.
pub trait Target<N: Traffic> {
    /// Joins all topics, before any peer is connected.
    fn join(&mut self, topology: &Topology<N>);

    /// Connects the peers and takes their subscriptions. The meshes stay empty.
    fn connect(&mut self, topology: &Topology<N>);

    /// Fills the meshes with the peers' GRAFTs.
    fn graft(&mut self, topology: &Topology<N>);

    /// Makes all copies of `messages` messages with bodies of `payload` bytes for the next [run](Self::run).
    fn prepare(&mut self, topology: &Topology<N>, messages: usize, payload: usize);

    /// Feeds the prepared copies, and takes and drops all outputs.
    fn run(&mut self) -> Counts;

    /// Runs one heartbeat. Returns the CPU time that it took.
    fn heartbeat(&mut self) -> Duration;

    /// Runs one heartbeat. Returns the longest time by which it delayed a message.
    fn heartbeat_delay(&mut self, topology: &Topology<N>) -> Duration;
}
