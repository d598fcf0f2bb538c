//! Drives `protocol::Node` by automaton ops (FORMAT.md, 4), one method a kind of input.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    Delivery, FullMessage,
    protocol::{Handling, Node, NodeOptions, PeerKind, ReceiveOutcome, Timestamp},
};
use serde_json::{Value, json};

use super::{
    answer,
    limits::TraceLimits,
    network::TraceNetwork,
    op::{AutomatonOp, BatchEntry, Reception, Step},
    replay::Driver,
    view,
};

pub struct Automaton {
    node: Node<TraceNetwork>,
    network: TraceNetwork,
    now: Timestamp,
}

impl Driver for Automaton {
    type Op = AutomatonOp;

    async fn start(op: AutomatonOp) -> Result<(Self, Value), String> {
        let AutomatonOp::Make { limits } = op else { return Err("the first op is not `make`".into()) };
        let network = TraceNetwork::default();
        let options = NodeOptions { self_peer: None, seed: 1, batch_interval: None };
        let node = Node::new(Arc::new(network.clone()), limits.accept()?, options);
        let now = Timestamp::since_start(Duration::ZERO);
        Ok((Self { node, network, now }, answer::out("ok")))
    }

    async fn perform(&mut self, step: Step<AutomatonOp>) -> Result<Value, String> {
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
}

impl Automaton {
    fn answer(&mut self, op: AutomatonOp) -> Result<Value, String> {
        let now = self.now;
        let node = &mut self.node;
        Ok(match op {
            AutomatonOp::Make { .. } => return Err("`make` twice".into()),
            AutomatonOp::CheckLimits { limits } => check_limits(*limits),
            AutomatonOp::AdvanceTime { ms } => {
                self.now = now.after(Duration::from_millis(ms));
                answer::out("ok")
            }
            AutomatonOp::View { detail } => view::render(&node.view(now), detail),
            AutomatonOp::AddPeer { peer, direct, outbound, bootstrap } => {
                let kind = PeerKind { direct, outbound, trusted: false, bootstrap };
                answer::add_peer(node.add_peer(&peer, kind, now))
            }
            AutomatonOp::RemovePeer { peer } => answer::remove_peer(node.remove_peer(&peer, now)),
            AutomatonOp::Subscribe { peer, topic } => answer::subscribe(node.subscribe(&peer, &topic, now)),
            AutomatonOp::Unsubscribe { peer, topic } => {
                answer::unsubscribe(node.unsubscribe(&peer, &topic, now))
            }
            AutomatonOp::Graft { peer, topic } => answer::graft(node.graft(&peer, &topic, now)),
            AutomatonOp::Prune { peer, topic, px, backoff } => {
                answer::prune(node.prune(&peer, &topic, px, Duration::from_millis(backoff), now))
            }
            AutomatonOp::Ihave { peer, topic, message_ids } => {
                answer::ihave(node.ihave(&peer, &topic, message_ids, now))
            }
            AutomatonOp::Iwant { peer, message_ids } => answer::iwant(node.iwant(&peer, message_ids, now)),
            AutomatonOp::ReceiveMessage(reception) => self.receive(reception),
            AutomatonOp::ApplyBatch { batch } => {
                let batch = batch.into_iter().map(delivery).collect();
                answer::apply_batch(&node.apply_batch(batch, now))
            }
            AutomatonOp::Publish { topic, message_id, message } => {
                answer::publish(node.publish(FullMessage { topic, message_id, message }, now))
            }
            AutomatonOp::Join { topic } => answer::join(node.join(&topic, now)),
            AutomatonOp::Leave { topic } => answer::leave(node.leave(&topic, now)),
            AutomatonOp::Heartbeat {} => answer::heartbeat(&node.heartbeat(now)),
            AutomatonOp::SetApplicationScore { peer, score } => {
                node.set_application_score(&peer, score);
                answer::out("set_application_score")
            }
            AutomatonOp::SelectPxPeers { peer_to_prune, topic, no_px_peers } => {
                let peers = node.select_px_peers(&peer_to_prune, &topic, &no_px_peers);
                json!({ "out": "px_peers", "peers": peers })
            }
            AutomatonOp::SelectGossipMessages {} => answer::gossip(node.select_gossip()),
        })
    }

    fn receive(&mut self, reception: Reception) -> Value {
        let Reception { sender, topic, message_id, message, batch_interval } = reception;
        let handling = if batch_interval.is_some() { Handling::Batched } else { Handling::Sequential };
        let full = Arc::new(FullMessage { topic, message_id, message });
        match self.node.receive_message(&sender, Arc::clone(&full), handling, self.now) {
            ReceiveOutcome::Batched => json!({
                "out": "to_include_in_batch",
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

fn check_limits(limits: TraceLimits) -> Value {
    answer::out(if limits.accept().is_ok() { "ok" } else { "assert_failure" })
}

fn delivery(entry: BatchEntry) -> Delivery<TraceNetwork> {
    let BatchEntry { sender, topic, message_id, message, co_senders } = entry;
    Delivery { sender, co_senders, message: Arc::new(FullMessage { topic, message_id, message }) }
}
