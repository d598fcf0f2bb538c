//! What this engine does beyond the reference, each with the value that switches it off. Holds parameters;
//! their rules are in `check.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Behaviour that the reference does not have. [`Extensions::none`] has all of it switched off: so runs the
/// Tezos preset, and so the recorded traces are replayed. The default has all of it on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Extensions {
    /// Whether the PRUNE of a connected peer that is not in our mesh sets its backoff all the same: peers
    /// that leave a topic say UNSUBSCRIBE before PRUNE, and would find us grafting them before their backoff
    /// is over.
    pub late_prune_sets_backoff: bool,
    /// IWantFollowupTime (v1.1 "broken promises"): who offers a message that we ask for, and this much later
    /// nobody has delivered it, misbehaved once (P7). One request a peer and topic is watched at a time. 0
    /// watches none.
    #[serde(with = "humantime_serde")]
    pub iwant_followup_time: Duration,
    /// For so many ticks an invalid message is remembered: who delivers a copy is penalised (P4), and the
    /// application is not asked again. 0 remembers none.
    pub invalid_memory_ticks: usize,
    /// Whether one peer's copies of one message are credited (P3) once, however often it sends them.
    pub credit_duplicates_once: bool,
    /// How many misbehaviours (P7) it counts as that a transport finds a peer too slow to be told what it must
    /// be told. At least 0; 0 leaves the score alone.
    pub slow_peer_penalty: f64,
    /// IDontWantMessageThreshold (v1.2): of a message of so many bytes
    /// ([`Network::message_size`](crate::Network::message_size)) or more, the mesh is told by IDONTWANT when its
    /// first copy comes, and who said IDONTWANT is not sent it. Smaller ones cost less than that. 0 says none and
    /// heeds none.
    pub idontwant_message_size: usize,
    /// So many ids in the IDONTWANTs of one peer are heeded within one heartbeat, and one topic says no more. 0 says
    /// none and heeds none.
    pub max_idontwant_per_heartbeat: usize,
    /// For so many ticks a peer's IDONTWANT is heeded. 0 heeds none.
    pub idontwant_ticks: usize,
}

impl Extensions {
    /// Returns these extensions with `change` applied: `Extensions::default().with(|e| e.idontwant_ticks = 3)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// All switched off: the reference's behaviour.
    pub fn none() -> Self {
        Self {
            late_prune_sets_backoff: false,
            iwant_followup_time: Duration::ZERO,
            invalid_memory_ticks: 0,
            credit_duplicates_once: false,
            slow_peer_penalty: 0.0,
            idontwant_message_size: 0,
            max_idontwant_per_heartbeat: 0,
            idontwant_ticks: 0,
        }
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            late_prune_sets_backoff: true,
            iwant_followup_time: Duration::from_secs(3),
            invalid_memory_ticks: 10,
            credit_duplicates_once: true,
            slow_peer_penalty: 1.0,
            idontwant_message_size: 1000,
            max_idontwant_per_heartbeat: 3000,
            idontwant_ticks: 3,
        }
    }
}
