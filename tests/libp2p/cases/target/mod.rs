//! The node that a case is run against. What a target offers no means for is `None`, so that each case decides what it can
//! still check.

mod ours;
mod program;
mod rust_libp2p;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p::{Multiaddr, PeerId, identity::Keypair};

use crate::cases::{TOPIC, factor, wire::Id};
use ours::Ours;
use program::Program;
use rust_libp2p::RustLibp2p;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A node of this crate, in this process.
    Ours,
    /// A node of rust-libp2p's gossipsub, in this process.
    RustLibp2p,
    /// The program that the environment names.
    Program,
}

/// The parameters of a target. Both nodes of this process get the same ones.
#[derive(Clone)]
pub struct Setup {
    pub heartbeat: Duration,
    /// D, D_lo, D_hi, D_out.
    pub degrees: [usize; 4],
    pub prune_backoff: Duration,
    pub unsubscribe_backoff: Duration,
    pub graft_flood: Duration,
    pub iwant_followup: Duration,
    pub fanout_ttl: Duration,
    pub accept_px: f64,
    /// A peer that is sent no answers below this score.
    pub graylist: f64,
    pub anonymous: bool,
    /// Whether messages that begin with `I` are ignored, those that begin with `R` are rejected, and those that begin with `S`
    /// are accepted after `slow_verdict`.
    pub validates: bool,
    pub slow_verdict: Duration,
    /// How long a verdict may take.
    pub validation_timeout: Duration,
    pub flood_publish: bool,
    /// Whether a PRUNE recommends peers.
    pub px: bool,
    /// IDONTWANT for its own publications.
    pub idontwant_on_publish: bool,
    /// P6: the number of peers of one address without a penalty.
    pub colocation: Option<u32>,
    /// Whether peers of floodsub are served.
    pub floodsub: bool,
    /// The heartbeats for which a message is recognised as a duplicate.
    pub seen_ticks: usize,
    pub topics: Vec<&'static str>,
    pub direct: Vec<PeerId>,
    /// The identity of the target.
    pub key: Keypair,
    /// Whether the honest pair is there.
    pub honest: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200) * factor(),
            degrees: [6, 5, 12, 2],
            prune_backoff: Duration::from_secs(60),
            unsubscribe_backoff: Duration::from_secs(10),
            graft_flood: Duration::from_secs(10),
            iwant_followup: Duration::from_secs(1),
            fanout_ttl: Duration::from_secs(60),
            accept_px: 100.0,
            graylist: -50_000.0,
            anonymous: false,
            validates: false,
            slow_verdict: Duration::ZERO,
            validation_timeout: Duration::from_secs(10),
            flood_publish: false,
            px: false,
            idontwant_on_publish: false,
            colocation: None,
            floodsub: false,
            seen_ticks: 600,
            topics: vec![TOPIC],
            direct: Vec::new(),
            key: Keypair::generate_ed25519(),
            honest: true,
        }
    }
}

/// The thresholds and weights of the score, which every target of this process has. All rewards are off, so that a peer that
/// did nothing wrong has a score of exactly 0.
pub const GOSSIP_THRESHOLD: f64 = -100.0;
pub const PUBLISH_THRESHOLD: f64 = -1_000.0;
pub const P4_WEIGHT: f64 = -20.0;
pub const P7_WEIGHT: f64 = -10.0;
const SLOW_DECAY: f64 = 0.9999;

/// A message that a target has delivered to its application.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    pub id: Id,
    /// Its author.
    pub source: Option<PeerId>,
}

pub enum Target {
    Ours(Ours),
    RustLibp2p(RustLibp2p),
    Program(Program),
}

/// Calls a method of each kind of target. A program has few of them.
macro_rules! each {
    ($target:expr, $inner:ident => $call:expr, $program:pat => $none:expr) => {
        match $target {
            Target::Ours($inner) => $call,
            Target::RustLibp2p($inner) => $call,
            Target::Program($program) => $none,
        }
    };
}

impl Target {
    pub async fn start(kind: Kind, setup: &Setup) -> Self {
        match kind {
            Kind::Ours => Self::Ours(Ours::start(setup).await),
            Kind::RustLibp2p => Self::RustLibp2p(RustLibp2p::start(setup).await),
            Kind::Program => Self::Program(Program::start(setup).await),
        }
    }

    pub fn peer(&self) -> PeerId {
        each!(self, target => target.peer, target => target.peer)
    }

    pub fn address(&self) -> &Multiaddr {
        each!(self, target => &target.address, target => &target.address)
    }

    pub fn delivered(&self) -> Vec<Delivered> {
        each!(self, target => target.delivered(), target => target.delivered())
    }

    /// The score of a peer.
    pub async fn score(&self, peer: PeerId) -> Option<f64> {
        each!(self, target => target.score(peer).await, target => target.score(peer))
    }

    /// The connected peers with their subscriptions.
    pub async fn peers(&self) -> Option<BTreeMap<PeerId, BTreeSet<String>>> {
        each!(self, target => Some(target.peers().await), _ => None)
    }

    pub async fn mesh(&self, topic: &str) -> Option<BTreeSet<PeerId>> {
        each!(self, target => Some(target.mesh(topic).await), _ => None)
    }

    /// Publishes a message and returns its id.
    pub async fn publish(&self, topic: &str, data: Vec<u8>) -> Option<Id> {
        each!(self, target => Some(target.publish(topic, data).await), _ => None)
    }

    /// Joins a topic, or leaves it. Returns whether there is a means to.
    pub async fn join(&self, topic: &str, join: bool) -> bool {
        each!(self, target => { target.join(topic, join).await; true }, _ => false)
    }

    pub async fn dial(&self, address: &Multiaddr) -> bool {
        each!(self, target => { target.dial(address).await; true }, _ => false)
    }

    /// The state of our node.
    pub fn ours(&self) -> Option<&Ours> {
        if let Self::Ours(ours) = self { Some(ours) } else { None }
    }

    pub async fn stop(self) {
        if let Self::Ours(ours) = self {
            ours.stop().await;
        }
    }
}
