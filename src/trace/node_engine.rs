//! [`Node`] as the engine of a worker trace: no actor, no thread.

use std::sync::Arc;

use serde_json::Value;

use super::{
    answer,
    engine::Engine,
    network::TraceNetwork,
    op::Make,
    render::{self, Outputs},
    values::Values,
};
use crate::{
    network::{AppInput, P2pInput, P2pMessage},
    protocol::{Node, NodeOptions, Stats, Timestamp, ValidationMode, View},
};

/// A node that is given whole inputs; if `EXPLAINED`, input by input by the kind, so that it tells what became
/// of each.
pub struct NodeEngine<V: Values, const EXPLAINED: bool = false> {
    node: Node<TraceNetwork<V>>,
    network: TraceNetwork<V>,
    validation_mode: ValidationMode,
    now: Timestamp,
    outcomes: Vec<Value>,
}

impl<V: Values, const EXPLAINED: bool> Engine for NodeEngine<V, EXPLAINED> {
    type Values = V;

    async fn start(make: Make<V>, network: TraceNetwork<V>) -> Result<Self, String> {
        let batch_interval = make.batching_interval;
        let validation_mode =
            if batch_interval.is_some() { ValidationMode::Batched } else { ValidationMode::Sequential };
        let options = NodeOptions { self_peer: make.self_peer, seed: make.seed.unwrap_or(2), batch_interval };
        let mut node = Node::new(Arc::new(network.clone()), make.limits.accept()?, options);
        let now = Timestamp::ZERO;
        for topic in make.topics {
            node.app_input(AppInput::Join(topic), now);
        }
        Ok(Self { node, network, validation_mode, now, outcomes: Vec::new() })
    }

    async fn stop(self) -> Result<(), String> {
        Ok(())
    }

    fn set_clock(&mut self, now: Timestamp) {
        self.now = now;
    }

    fn drain(&mut self) -> Outputs<TraceNetwork<V>> {
        let drained = self.node.drain();
        let events = drained.events.iter().filter_map(render::event).collect();
        Outputs { p2p: drained.p2p, app: drained.app, events }
    }

    fn outcomes(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.outcomes)
    }

    fn pending(&self) -> usize {
        0
    }

    async fn p2p_input(&mut self, input: P2pInput<TraceNetwork<V>>) -> Result<(), String> {
        if EXPLAINED {
            let outcome = self.explained(input);
            self.outcomes.push(outcome);
        } else {
            self.node.p2p_input(input, self.now);
        }
        Ok(())
    }

    async fn app_input(&mut self, input: AppInput<TraceNetwork<V>>) -> Result<(), String> {
        let (node, now) = (&mut self.node, self.now);
        let outcome = match input {
            AppInput::Publish(message) => answer::publish(&node.publish(message, now)),
            AppInput::Join(topic) => answer::join(&node.join(&topic, now)),
            AppInput::Leave(topic) => answer::leave(&node.leave(&topic, now)),
            AppInput::SetApplicationScore { peer, score } => {
                node.set_application_score(&peer, score);
                answer::out("set_application_score")
            }
        };
        self.tell(outcome)
    }

    async fn tick(&mut self) -> Result<(), String> {
        let outcome = self.node.heartbeat(self.now);
        self.tell(answer::heartbeat(&outcome))
    }

    async fn check_parked(&mut self) -> Result<(), String> {
        self.node.check_parked(self.now);
        Ok(())
    }

    async fn batch_deadline(&mut self) -> Result<Option<Timestamp>, String> {
        Ok(self.node.batch_deadline())
    }

    async fn process_batch(&mut self) -> Result<(), String> {
        self.node.process_batch(self.now);
        Ok(())
    }

    async fn set_unreachable_point(&mut self, point: V::Point) -> Result<(), String> {
        self.node.set_unreachable_point(point);
        Ok(())
    }

    async fn slow_peer(&mut self, peer: V::Peer) -> Result<(), String> {
        self.node.report_slow_peer(&peer);
        Ok(())
    }

    async fn reconnection_delays(&mut self) -> Result<Vec<(V::Point, i64)>, String> {
        Ok(self.node.reconnection_delays())
    }

    async fn is_subscribed(&mut self, topic: &V::Topic) -> bool {
        self.node.is_subscribed(topic)
    }

    async fn stats(&mut self) -> Stats {
        self.node.stats()
    }

    async fn view(&mut self) -> Result<View<TraceNetwork<V>>, String> {
        Ok(self.node.view(self.now))
    }
}

impl<V: Values, const EXPLAINED: bool> NodeEngine<V, EXPLAINED> {
    fn tell(&mut self, outcome: Value) -> Result<(), String> {
        if EXPLAINED {
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// As [`Node::p2p_input`], which tells no outcome.
    fn explained(&mut self, input: P2pInput<TraceNetwork<V>>) -> Value {
        let (node, now) = (&mut self.node, self.now);
        match input {
            P2pInput::NewConnection { peer, info } => answer::add_peer(node.add_peer(&peer, &info, now)),
            P2pInput::Disconnection { peer } => answer::remove_peer(node.remove_peer(&peer, now)),
            P2pInput::InMessage { from_peer, message } => self.in_message(&from_peer, message),
        }
    }

    fn in_message(&mut self, from: &V::Peer, message: P2pMessage<TraceNetwork<V>>) -> Value {
        let (node, now) = (&mut self.node, self.now);
        match message {
            P2pMessage::Graft { topic } => answer::graft(node.graft(from, &topic, now)),
            P2pMessage::Prune { topic, px, backoff } => {
                answer::prune(&node.prune(from, &topic, px, backoff, now))
            }
            P2pMessage::IHave { topic, message_ids } => {
                answer::ihave(&node.ihave(from, &topic, message_ids, now))
            }
            P2pMessage::IWant { message_ids } => {
                answer::iwant(&self.network, &node.iwant(from, message_ids, now))
            }
            P2pMessage::IDontWant { message_ids } => {
                answer::idontwant(node.idontwant(from, message_ids, now))
            }
            P2pMessage::Subscribe { topic, .. } => answer::subscribe(node.subscribe(from, &topic, now)),
            P2pMessage::Unsubscribe { topic } => answer::unsubscribe(node.unsubscribe(from, &topic, now)),
            P2pMessage::FullMessage(message) => {
                answer::receive(&node.receive_message(from, message, self.validation_mode, now))
            }
            P2pMessage::Ping => answer::out("ping"),
        }
    }
}
