//! This module runs a worker trace on [`Node`], on one thread and without actors.

use std::sync::Arc;

use actix_gossipsub::{
    AppInput, P2pInput,
    protocol::{Node, NodeOptions, Stats, Timestamp, View},
};

use super::{
    TraceNetwork,
    driver::Engine,
    ops::Make,
    outputs::{self, Outputs},
};

pub struct NodeEngine {
    node: Node<TraceNetwork>,
    now: Timestamp,
}

impl Engine for NodeEngine {
    async fn start(make: Make, network: TraceNetwork) -> Result<Self, String> {
        let Make { limits, self_peer, topics, batching_interval, .. } = make;
        let options = NodeOptions::default().with(|options| {
            (options.self_peer, options.seed) = (Some(self_peer), 2);
            options.batch_interval = batching_interval;
        });
        let mut node = Node::new(Arc::new(network), limits.accept()?, options);
        let now = Timestamp::ZERO;
        for topic in topics {
            node.app_input(AppInput::Join(topic), now);
        }
        Ok(Self { node, now })
    }

    async fn stop(self) -> Result<(), String> {
        Ok(())
    }

    async fn set_clock(&mut self, now: Timestamp) -> Result<(), String> {
        self.now = now;
        Ok(())
    }

    fn drain(&mut self) -> Outputs {
        let drained = self.node.drain();
        Outputs {
            p2p: drained.p2p.into_iter().map(outputs::p2p_output).collect(),
            app: drained.app.into_iter().map(outputs::app_output).collect(),
            events: drained.events.iter().filter_map(outputs::event).collect(),
        }
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

    async fn is_subscribed(&mut self, topic: &Arc<str>) -> bool {
        self.node.is_subscribed(topic)
    }

    async fn stats(&mut self) -> Stats {
        self.node.stats()
    }

    async fn view(&mut self) -> Result<View<TraceNetwork>, String> {
        Ok(self.node.view(self.now))
    }
}
