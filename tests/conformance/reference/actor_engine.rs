//! This module runs a worker trace on the actors. The engine settles after each input.

use std::{
    fmt::Display,
    sync::{Arc, Mutex},
};

use actix_gossipsub::{
    AppInput, AppOutputs, Clock, ManualClock, P2pInput, P2pOutputs, Worker,
    protocol::{Stats, Timestamp, View},
};
use serde_json::Value;

use super::{
    TraceNetwork,
    driver::Engine,
    ops::Make,
    outputs::{self, Outputs},
};

/// An engine with `ARBITERS` arbiters.
pub struct ActorEngine<const ARBITERS: usize> {
    worker: Worker<TraceNetwork>,
    p2p: P2pOutputs<TraceNetwork>,
    app: AppOutputs<TraceNetwork>,
    events: Arc<Mutex<Vec<Value>>>,
    clock: Arc<ManualClock>,
}

impl<const ARBITERS: usize> Engine for ActorEngine<ARBITERS> {
    async fn start(make: Make, network: TraceNetwork) -> Result<Self, String> {
        let clock = Arc::new(ManualClock::new());
        let events = Arc::new(Mutex::new(Vec::new()));
        let observed = Arc::clone(&events);
        let mut builder = Worker::builder(network, make.limits.accept()?)
            .self_peer(make.self_peer)
            .seed(3)
            .arbiters(ARBITERS)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .observer(move |event| {
                observed.lock().expect("the lock is not poisoned").extend(outputs::event(event))
            })
            .manual();
        if let Some(interval) = make.batching_interval {
            builder = builder.batching(interval);
        }
        let started = builder.start(make.topics).map_err(describe)?;
        started.worker.settle().await;
        Ok(Self { worker: started.worker, p2p: started.p2p, app: started.app, events, clock })
    }

    async fn stop(self) -> Result<(), String> {
        self.worker.shutdown().await;
        Ok(())
    }

    async fn set_clock(&mut self, now: Timestamp) -> Result<(), String> {
        self.clock.set(now);
        Ok(())
    }

    fn drain(&mut self) -> Outputs {
        Outputs {
            p2p: std::iter::from_fn(|| self.p2p.try_recv()).map(outputs::p2p_output).collect(),
            app: std::iter::from_fn(|| self.app.try_recv()).map(outputs::app_output).collect(),
            events: std::mem::take(&mut *self.events.lock().expect("the lock is not poisoned")),
        }
    }

    fn pending(&self) -> usize {
        self.worker.input_queue_length()
    }

    async fn p2p_input(&mut self, input: P2pInput<TraceNetwork>) -> Result<(), String> {
        self.worker.p2p_input(input).map_err(describe)?;
        self.settled().await
    }

    async fn app_input(&mut self, input: AppInput<TraceNetwork>) -> Result<(), String> {
        self.worker.app_input(input).map_err(describe)?;
        self.settled().await
    }

    async fn tick(&mut self) -> Result<(), String> {
        self.worker.tick().await;
        self.settled().await
    }

    async fn check_parked(&mut self) -> Result<(), String> {
        self.worker.check_parked().await;
        self.settled().await
    }

    async fn batch_deadline(&mut self) -> Result<Option<Timestamp>, String> {
        Ok(self.worker.batch_deadline().await)
    }

    async fn process_batch(&mut self) -> Result<(), String> {
        self.worker.process_batch().await;
        self.settled().await
    }

    async fn set_unreachable_point(&mut self, point: i64) -> Result<(), String> {
        self.worker.set_unreachable_point(point);
        self.settled().await
    }

    async fn reconnection_delays(&mut self) -> Result<Vec<(i64, i64)>, String> {
        self.worker.reconnection_delays().await.map_err(describe)
    }

    async fn is_subscribed(&mut self, topic: &Arc<str>) -> bool {
        self.worker.is_subscribed(topic)
    }

    async fn stats(&mut self) -> Stats {
        self.worker.stats()
    }

    async fn view(&mut self) -> Result<View<TraceNetwork>, String> {
        self.worker.state().await.map_err(describe)
    }
}

impl<const ARBITERS: usize> ActorEngine<ARBITERS> {
    async fn settled(&self) -> Result<(), String> {
        self.worker.settle().await;
        Ok(())
    }
}

fn describe(error: impl Display) -> String {
    error.to_string()
}
