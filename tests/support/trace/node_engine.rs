//! `protocol::Node` as the engine of a worker trace: no actor, no thread.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, P2pInput,
    protocol::{Node, NodeOptions, Stats, Timestamp, View},
};

use super::{
    engine::Engine,
    network::{Topic, TraceNetwork},
    op::Make,
    output::{Outputs, render_event},
};

pub struct NodeEngine {
    node: Node<TraceNetwork>,
    now: Timestamp,
}

impl Engine for NodeEngine {
    async fn start(make: Make, network: TraceNetwork) -> Result<Self, String> {
        let batch_interval = make.batching_interval.map(Duration::from_millis);
        let options = NodeOptions { self_peer: Some(make.self_peer), seed: 2, batch_interval };
        let mut node = Node::new(Arc::new(network), make.limits.accept()?, options);
        let now = Timestamp::since_start(Duration::ZERO);
        for topic in make.topics {
            node.app_input(AppInput::Join(topic), now);
        }
        Ok(Self { node, now })
    }

    async fn stop(self) -> Result<(), String> {
        Ok(())
    }

    fn set_clock(&mut self, now: Timestamp) {
        self.now = now;
    }

    fn drain(&mut self) -> Outputs {
        let drained = self.node.drain();
        let events = drained.events.iter().filter_map(render_event).collect();
        Outputs { p2p: drained.p2p, app: drained.app, events }
    }

    fn pending(&self) -> usize {
        0
    }

    async fn p2p_input(&mut self, input: P2pInput<TraceNetwork>) -> Result<(), String> {
        self.node.p2p_input(input, self.now);
        Ok(())
    }

    async fn app_input(&mut self, input: AppInput<TraceNetwork>) -> Result<(), String> {
        self.node.app_input(input, self.now);
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), String> {
        self.node.heartbeat(self.now);
        Ok(())
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

    async fn set_unreachable_point(&mut self, point: i64) -> Result<(), String> {
        self.node.set_unreachable_point(point);
        Ok(())
    }

    async fn reconnection_delays(&mut self) -> Result<Vec<(i64, i64)>, String> {
        Ok(self.node.reconnection_delays())
    }

    async fn is_subscribed(&mut self, topic: &Topic) -> bool {
        self.node.is_subscribed(topic)
    }

    async fn stats(&mut self) -> Stats {
        self.node.stats()
    }

    async fn view(&mut self) -> Result<View<TraceNetwork>, String> {
        Ok(self.node.view(self.now))
    }
}
