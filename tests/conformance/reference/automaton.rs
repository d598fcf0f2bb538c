//! This module performs automaton ops (FORMAT.md, 4) on [`Node`].

use std::sync::Arc;

use actix_gossipsub::{
    ConnectionInfo, FullMessage, PxPeer,
    protocol::{Node, NodeOptions, Timestamp, ValidationMode},
};
use serde_json::{Value, json};

use super::{
    TraceNetwork, answers,
    driver::Driver,
    ops::{AutomatonOp, Step},
    view,
};

/// A node that performs automaton ops.
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
        let options = NodeOptions::default().with(|options| options.seed = 1);
        let node = Node::new(Arc::new(network.clone()), limits.accept()?, options);
        Ok((Self { node, network, now: Timestamp::ZERO }, answers::out("ok")))
    }

    async fn perform(&mut self, step: Step<AutomatonOp>) -> Result<Value, String> {
        let answer = match step {
            Step::Setting(setting) => {
                self.network.set(setting);
                answers::out("ok")
            }
            Step::Op(op) => self.answer(op)?,
        };
        // The worker traces compare the outputs. Here they are dropped so that they do not accumulate.
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
            AutomatonOp::CheckLimits { limits } => {
                answers::out(if limits.accept().is_ok() { "ok" } else { "assert_failure" })
            }
            AutomatonOp::AdvanceTime { span } => {
                self.now = now.after(span);
                answers::out("ok")
            }
            AutomatonOp::View { detail } => view::render(&node.view(now), detail),
            AutomatonOp::AddPeer { peer, direct, outbound, bootstrap } => {
                let mut info = if outbound { ConnectionInfo::outbound() } else { ConnectionInfo::inbound() };
                (info.kind.direct, info.kind.bootstrap) = (direct, bootstrap);
                answers::add_peer(node.add_peer(&peer, &info, now))
            }
            AutomatonOp::RemovePeer { peer } => answers::remove_peer(node.remove_peer(&peer, now)),
            AutomatonOp::Subscribe { peer, topic } => answers::subscribe(node.subscribe(&peer, &topic, now)),
            AutomatonOp::Unsubscribe { peer, topic } => {
                answers::unsubscribe(node.unsubscribe(&peer, &topic, now))
            }
            AutomatonOp::Graft { peer, topic } => answers::graft(node.graft(&peer, &topic, now)),
            AutomatonOp::Prune { peer, topic, px, backoff } => answers::prune(node.prune(
                &peer,
                &topic,
                px.into_iter().map(PxPeer::new).collect(),
                backoff,
                now,
            )),
            AutomatonOp::Ihave { peer, topic, message_ids } => {
                answers::ihave(node.ihave(&peer, &topic, message_ids, now))
            }
            AutomatonOp::Iwant { peer, message_ids } => answers::iwant(node.iwant(&peer, message_ids, now)),
            AutomatonOp::ReceiveMessage { sender, topic, message_id, message, batch_interval } => {
                let validation_mode = if batch_interval.is_some() {
                    ValidationMode::Batched
                } else {
                    ValidationMode::Sequential
                };
                let full = Arc::new(FullMessage { topic, message_id, message });
                self.receive(sender, full, validation_mode)
            }
            AutomatonOp::ApplyBatch { batch } => {
                let batch = batch.into_iter().map(Into::into).collect();
                answers::apply_batch(node.apply_batch(batch, now))
            }
            AutomatonOp::Publish(full) => answers::publish(node.publish(full, now)),
            AutomatonOp::Join { topic } => answers::join(node.join(&topic, now)),
            AutomatonOp::Leave { topic } => answers::leave(node.leave(&topic, now)),
            AutomatonOp::Heartbeat {} => answers::heartbeat(&node.heartbeat(now)),
            AutomatonOp::SetApplicationScore { peer, score } => {
                node.set_application_score(&peer, score);
                answers::out("set_application_score")
            }
            AutomatonOp::SelectPxPeers { peer_to_prune, topic, no_px_peers } => {
                let peers = node.select_px_peers(&peer_to_prune, &topic, &no_px_peers);
                json!({ "out": "px_peers", "peers": peers })
            }
            AutomatonOp::SelectGossipMessages {} => answers::gossip(node.select_gossip(now)),
        })
    }

    fn receive(
        &mut self,
        sender: i64,
        full: Arc<FullMessage<TraceNetwork>>,
        validation_mode: ValidationMode,
    ) -> Value {
        let outcome = self.node.receive_message(&sender, Arc::clone(&full), validation_mode, self.now);
        let mut answer = answers::receive(&outcome);
        if answer["out"] == "to_include_in_batch" {
            let out = answer["out"].take();
            answer = json!(full);
            answer["out"] = out;
            answer["sender"] = json!(sender);
            // FORMAT.md, 4: always empty here. Our outcome has none.
            answer["co_senders"] = json!([]);
        }
        answer
    }
}
