//! The plans of the processes of a run, and the addresses that their peers have.

use std::{net::Ipv4Addr, time::Duration};

use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};
use testkit::wire::plan::Implementation;

use super::attacks::Attack;

/// The topic of the honest peers.
pub const TOPIC: &str = "news";
/// A topic that only the node under attack has joined.
pub const BULK_TOPIC: &str = "bulk";
pub const HONEST_PEERS: usize = 3;
/// The number under which the node under attack publishes, after those of the honest peers.
pub const VICTIM: usize = HONEST_PEERS;
/// The number under which attackers publish.
pub const ATTACKER: usize = 1_000;

#[derive(Clone, Copy)]
pub struct Timing {
    /// The measured time before the attack.
    pub baseline: Duration,
    /// The duration of the attack.
    pub attack: Duration,
}

#[derive(Serialize, Deserialize)]
pub struct VictimPlan {
    pub implementation: Implementation,
    /// How long message ids are remembered, if not as long as by default, in seconds.
    pub seen_seconds: Option<u32>,
}

#[derive(Serialize, Deserialize)]
pub struct HonestPlan {
    pub victim: Multiaddr,
    /// Whether each peer must have received a message of each other one before the measurement.
    pub wait: bool,
}

#[derive(Serialize, Deserialize)]
pub struct AttackPlan {
    pub attack: Attack,
    pub implementation: Implementation,
    pub victim: Multiaddr,
    pub duration: Duration,
}

/// Groups of peers, each with addresses of its own: the second byte of an address.
#[derive(Clone, Copy)]
pub enum Group {
    Honest = 1,
    Newcomer = 2,
    Attacker = 16,
}

/// The address of a peer, which no other peer has.
pub fn address(group: Group, index: usize) -> Ipv4Addr {
    let index = u32::try_from(index + 1).expect("a few thousand peers");
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, group as u8, 0, 0)) + index)
}
