//! Drives [`Node`] by automaton ops (FORMAT.md, 4), one method a kind of input.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    answer,
    engine::Driver,
    limits::TraceLimits,
    names::TraceName,
    network::TraceNetwork,
    op::{AutomatonOp, Reception, Step},
    values::Values,
    view,
};
use crate::{
    network::PxPeer,
    protocol::{Node, NodeOptions, ReceiveOutcome, Timestamp, ValidationMode},
};

/// A node that performs automaton ops.
pub struct Automaton<V: Values> {
    node: Node<TraceNetwork<V>>,
    network: TraceNetwork<V>,
    now: Timestamp,
}

impl<V: Values> Driver for Automaton<V> {
    type Op = AutomatonOp<V>;
    type Values = V;

    async fn start(op: AutomatonOp<V>) -> Result<(Self, Value), String> {
        let AutomatonOp::Make { limits } = op else { return Err("the first op is not `make`".into()) };
        let network = TraceNetwork::default();
        let options = NodeOptions { self_peer: None, seed: 1, batch_interval: None };
        let node = Node::new(Arc::new(network.clone()), limits.accept()?, options);
        Ok((Self { node, network, now: Timestamp::ZERO }, answer::out("ok")))
    }

    async fn perform(&mut self, step: Step<V, AutomatonOp<V>>) -> Result<Value, String> {
        let answer = match step {
            Step::Setting(setting) => {
                self.network.set(setting);
                answer::out("ok")
            }
            Step::Op(op) => self.answer(op)?,
        };
        // What would be sent is the worker traces' matter; here it must only not pile up.
        drop(self.node.drain());
        Ok(answer)
    }

    async fn stop(self) -> Result<(), String> {
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    async fn state(&mut self) -> Result<Value, String> {
        Ok(view::render(&self.node.view(self.now), true))
    }
}

impl<V: Values> Automaton<V> {
    fn answer(&mut self, op: AutomatonOp<V>) -> Result<Value, String> {
        let now = self.now;
        let node = &mut self.node;
        Ok(match op {
            AutomatonOp::Make { .. } => return Err("`make` twice".into()),
            AutomatonOp::CheckLimits { limits } => check_limits(*limits),
            AutomatonOp::AdvanceTime { span } => {
                self.now = now.after(span);
                answer::out("ok")
            }
            AutomatonOp::View { detail } => view::render(&node.view(now), detail),
            AutomatonOp::AddPeer { peer, info } => answer::add_peer(node.add_peer(&peer, &info, now)),
            AutomatonOp::RemovePeer { peer } => answer::remove_peer(node.remove_peer(&peer, now)),
            AutomatonOp::Subscribe { peer, topic } => answer::subscribe(node.subscribe(&peer, &topic, now)),
            AutomatonOp::Unsubscribe { peer, topic } => {
                answer::unsubscribe(node.unsubscribe(&peer, &topic, now))
            }
            AutomatonOp::Graft { peer, topic } => answer::graft(node.graft(&peer, &topic, now)),
            AutomatonOp::Prune { peer, topic, px, backoff } => {
                let px = px.into_iter().map(PxPeer::new).collect();
                answer::prune(&node.prune(&peer, &topic, px, backoff, now))
            }
            AutomatonOp::Ihave { peer, topic, message_ids } => {
                answer::ihave(&node.ihave(&peer, &topic, message_ids, now))
            }
            AutomatonOp::Iwant { peer, message_ids } => {
                answer::iwant(&self.network, &node.iwant(&peer, message_ids, now))
            }
            AutomatonOp::ReceiveMessage(reception) => self.receive(reception),
            AutomatonOp::ApplyBatch { batch } => answer::apply_batch(&node.apply_batch(batch, now)),
            AutomatonOp::Publish(full) => answer::publish(&node.publish(full, now)),
            AutomatonOp::Join { topic } => answer::join(&node.join(&topic, now)),
            AutomatonOp::Leave { topic } => answer::leave(&node.leave(&topic, now)),
            AutomatonOp::Heartbeat => answer::heartbeat(&node.heartbeat(now)),
            AutomatonOp::SetApplicationScore { peer, score } => {
                node.set_application_score(&peer, score);
                answer::out("set_application_score")
            }
            AutomatonOp::SelectPxPeers { peer_to_prune, topic, no_px_peers } => {
                let peers = node.select_px_peers(&peer_to_prune, &topic, &no_px_peers);
                json!({ "out": "px_peers", "peers": peers })
            }
            AutomatonOp::SelectGossipMessages => answer::gossip::<TraceNetwork<V>>(node.select_gossip()),
        })
    }

    fn receive(&mut self, reception: Reception<V>) -> Value {
        let Reception { sender, full, batched } = reception;
        let validation_mode = if batched { ValidationMode::Batched } else { ValidationMode::Sequential };
        match self.node.receive_message(&sender, Arc::clone(&full), validation_mode, self.now) {
            outcome @ ReceiveOutcome::Batched => json!({
                "out": outcome.trace_name(),
                "sender": sender,
                "topic": full.topic,
                "message_id": full.message_id,
                "message": full.message,
                // FORMAT.md, 4: always empty here; our outcome carries none.
                "co_senders": [],
            }),
            outcome => answer::receive(&outcome),
        }
    }
}

fn check_limits<T>(limits: TraceLimits<T>) -> Value
where
    T: Ord + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    answer::out(if limits.accept().is_ok() { "ok" } else { "assert_failure" })
}
