//! How much each map of the engine holds. Counts; never trims.

use std::ops::AddAssign;

use serde::Serialize;

/// The number of entries of every map that can grow, summed over topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Footprint {
    /// Connected peers.
    pub connections: usize,
    /// Subscriptions of connected peers, as the peers' side knows them.
    pub subscriptions: usize,
    /// Scores of connected and remembered peers.
    pub scores: usize,
    /// Peers to stay connected to.
    pub trusted: usize,
    /// Points left alone for a while.
    pub unreachable: usize,
    /// Joined topics.
    pub joined: usize,
    /// Messages of unknown validity.
    pub parked: usize,
    /// Messages that wait for their batch's verdict.
    pub batched: usize,
    /// Topics that anything is remembered of.
    pub topics: usize,
    /// Subscriptions of connected peers, as the topics know them.
    pub subscribers: usize,
    /// Places in meshes.
    pub mesh: usize,
    /// Places in fanouts.
    pub fanout: usize,
    /// Backoffs.
    pub backoffs: usize,
    /// Messages in the history.
    pub history: usize,
    /// Ids in the seen window.
    pub seen: usize,
    /// Messages that wait for a verdict that comes later.
    pub validating: usize,
    /// Peers whose IHAVEs were counted in this heartbeat.
    pub quotas: usize,
    /// Messages whose ids don't name their topic.
    pub homes: usize,
}

impl AddAssign for Footprint {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.subscriptions += other.subscriptions;
        self.scores += other.scores;
        self.trusted += other.trusted;
        self.unreachable += other.unreachable;
        self.joined += other.joined;
        self.parked += other.parked;
        self.batched += other.batched;
        self.topics += other.topics;
        self.subscribers += other.subscribers;
        self.mesh += other.mesh;
        self.fanout += other.fanout;
        self.backoffs += other.backoffs;
        self.history += other.history;
        self.seen += other.seen;
        self.validating += other.validating;
        self.quotas += other.quotas;
        self.homes += other.homes;
    }
}
