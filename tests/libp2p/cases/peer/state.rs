//! What a peer has seen of the target, and what it answers by habit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use libp2p::swarm::ConnectionId;
use tokio::{sync::mpsc, task::JoinHandle};

use super::Habit;
use crate::cases::{
    TOPIC,
    wire::{Id, Message, Rpc, iwant, message, prune},
};

/// What a peer has seen.
#[derive(Default)]
pub(super) struct State {
    pub(super) connections: BTreeSet<ConnectionId>,
    /// The current stream to the target.
    pub(super) out: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// How many streams to the target were opened, and how many of them it ended.
    pub(super) opened: usize,
    pub(super) broken: usize,
    /// The protocols of the streams that the target opened.
    pub(super) protocols: Vec<String>,
    pub(super) received: Vec<Rpc>,
    /// The ids of the received messages.
    pub(super) arrived: BTreeMap<Id, usize>,
    pub(super) own: BTreeMap<Id, Message>,
    pub(super) numbers: u64,
    /// The tasks that read the streams of the target.
    pub(super) readers: Vec<JoinHandle<()>>,
    /// Whether further streams of the target are reset at once.
    pub(super) resets: bool,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) habit: Mutex<Habit>,
    pub(super) reads: bool,
}

impl Shared {
    pub(super) fn write(&self, bytes: Vec<u8>) {
        if let Some(out) = &self.state.lock().unwrap().out {
            // The stream may be broken.
            let _ = out.send(bytes);
        }
    }

    pub(super) fn receive(&self, rpc: Rpc) {
        let habit = *self.habit.lock().unwrap();
        let answers = match habit {
            Habit::Silent => Vec::new(),
            Habit::Lazy => {
                rpc.graft.iter().filter(|topic| *topic == TOPIC).map(|_| prune(TOPIC, Some(60))).collect()
            }
            Habit::Honest => self.honest_answers(&rpc),
        };
        let mut state = self.state.lock().unwrap();
        rpc.messages.iter().for_each(|one| *state.arrived.entry(one.id()).or_default() += 1);
        state.received.push(rpc);
        drop(state);
        answers.into_iter().for_each(|answer| self.write(answer.frame()));
    }

    fn honest_answers(&self, rpc: &Rpc) -> Vec<Rpc> {
        let state = self.state.lock().unwrap();
        let offered = rpc.ihave.iter().flat_map(|(_, ids)| ids);
        let missing: Vec<_> = offered
            .filter(|id| !state.arrived.contains_key(*id) && !state.own.contains_key(*id))
            .cloned()
            .collect();
        let asked = rpc.iwant.iter().flatten().filter_map(|id| state.own.get(id)).map(message);
        asked.chain((!missing.is_empty()).then(|| iwant(missing))).collect()
    }
}
