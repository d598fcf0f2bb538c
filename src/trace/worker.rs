//! Drives an engine by worker ops (FORMAT.md, 5): the clock, the queue, and one answer an op.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    answer,
    engine::{Driver, Engine},
    input_queue::{Input, InputQueue},
    network::{Setting, TraceNetwork},
    op::{Step, WorkerOp},
    render::Outputs,
    values::Values,
    view,
};
use crate::{
    network::{P2pInput, P2pMessage},
    protocol::Timestamp,
};

/// An engine that performs worker ops.
pub struct WorkerDriver<E: Engine> {
    engine: E,
    network: TraceNetwork<E::Values>,
    queue: InputQueue<E::Values>,
    /// What was emitted since the last answer.
    outputs: Outputs<TraceNetwork<E::Values>>,
    now: Timestamp,
    /// Milliseconds.
    heartbeat_interval: i64,
    /// A live node's recording says itself when a batch is judged.
    recorded: bool,
    lost: u64,
}

impl<E: Engine> Driver for WorkerDriver<E> {
    type Op = WorkerOp<E::Values>;
    type Values = E::Values;

    async fn start(op: WorkerOp<E::Values>) -> Result<(Self, Value), String> {
        let WorkerOp::Make(make) = op else { return Err("the first op is not `make`".into()) };
        let network = TraceNetwork::default();
        network.set(Setting::SetInitialPoints { points: make.initial_points.clone() });
        let queue = InputQueue::new(make.max_transport_input_queue_length);
        let heartbeat_interval = make.limits.heartbeat_interval();
        let recorded = make.recorded_by.is_some();
        let mut engine = E::start(make, network.clone()).await?;
        let outputs = engine.drain();
        let now = Timestamp::ZERO;
        let mut driver = Self { engine, network, queue, outputs, now, heartbeat_interval, recorded, lost: 0 };
        let answer = driver.emitted();
        Ok((driver, answer))
    }

    async fn perform(&mut self, step: Step<E::Values, WorkerOp<E::Values>>) -> Result<Value, String> {
        match step {
            Step::Setting(setting) => {
                self.network.set(setting);
                Ok(answer::out("ok"))
            }
            Step::Op(op) => match self.ask(&op).await? {
                Some(answer) => Ok(answer),
                None => {
                    self.put(op).await?;
                    Ok(self.emitted())
                }
            },
        }
    }

    async fn stop(self) -> Result<(), String> {
        self.engine.stop().await
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn outcomes(&mut self) -> Vec<Value> {
        self.engine.outcomes()
    }

    fn lost(&self) -> u64 {
        self.lost
    }

    async fn state(&mut self) -> Result<Value, String> {
        Ok(view::render(&self.engine.view().await?, true))
    }
}

impl<E: Engine> WorkerDriver<E> {
    /// The answer of an op that emits nothing.
    async fn ask(&mut self, op: &WorkerOp<E::Values>) -> Result<Option<Value>, String> {
        Ok(Some(match op {
            WorkerOp::View { detail } => view::render(&self.engine.view().await?, *detail),
            WorkerOp::Stats => answer::stats(&self.engine.stats().await),
            WorkerOp::IsSubscribed { topic } => {
                json!({ "out": "is_subscribed", "value": self.engine.is_subscribed(topic).await })
            }
            WorkerOp::ReconnectionDelays => {
                let mut delays = self.engine.reconnection_delays().await?;
                delays.sort_unstable();
                let span = |(point, ticks): (_, i64)| (json!(point), ticks * self.heartbeat_interval);
                answer::delays(delays.into_iter().map(span).collect())
            }
            WorkerOp::InputQueueLength => {
                json!({ "out": "input_queue_length", "value": self.queue.len() + self.engine.pending() })
            }
            _ => return Ok(None),
        }))
    }

    /// Performs an op whose answer is what it emits.
    async fn put(&mut self, op: WorkerOp<E::Values>) -> Result<(), String> {
        match op {
            WorkerOp::P2pInput { input, point, bounded, times } => {
                self.note_point(&input, point);
                for _ in 0..times {
                    match bounded {
                        true => self.queue.push_bounded(input.clone(), self.now),
                        false => self.queue.push(Input::P2p(input.clone())),
                    }
                    self.work_off().await?;
                }
                Ok(())
            }
            WorkerOp::AppInput { input } => self.offer(Input::App(input)).await,
            WorkerOp::Heartbeat { times } => {
                for _ in 0..times {
                    self.offer(Input::Tick).await?;
                }
                Ok(())
            }
            WorkerOp::CheckUnknownMessages => self.offer(Input::CheckParked).await,
            WorkerOp::MessageBurst { from_peer, messages } => {
                for message in messages {
                    let message = P2pMessage::FullMessage(message);
                    self.offer(Input::P2p(P2pInput::message(from_peer.clone(), message))).await?;
                }
                Ok(())
            }
            WorkerOp::SetUnreachablePoint { point } => self.offer(Input::Unreachable(point)).await,
            WorkerOp::SlowPeer { peer } => self.offer(Input::SlowPeer(peer)).await,
            WorkerOp::ProcessBatch => self.offer(Input::ProcessBatch).await,
            WorkerOp::AdvanceTime { span } => self.advance(span).await,
            WorkerOp::Hold => {
                self.queue.hold(true);
                Ok(())
            }
            WorkerOp::Release => {
                self.queue.hold(false);
                self.work_off().await
            }
            WorkerOp::Gap { lost } => {
                self.lost += lost;
                Ok(())
            }
            WorkerOp::Make(_) => Err("`make` twice".into()),
            // Answered above.
            WorkerOp::View { .. }
            | WorkerOp::Stats
            | WorkerOp::IsSubscribed { .. }
            | WorkerOp::ReconnectionDelays
            | WorkerOp::InputQueueLength => Ok(()),
        }
    }

    fn note_point(
        &self,
        input: &P2pInput<TraceNetwork<E::Values>>,
        point: Option<<E::Values as Values>::Point>,
    ) {
        if let (P2pInput::NewConnection { peer, .. }, Some(point)) = (input, point) {
            self.network.set_point(peer.clone(), point);
        }
    }

    async fn offer(&mut self, input: Input<E::Values>) -> Result<(), String> {
        self.queue.push(input);
        self.work_off().await
    }

    /// Handles what is in the queue, unless that is held.
    async fn work_off(&mut self) -> Result<(), String> {
        while let Some(input) = self.queue.take() {
            match input {
                Input::P2p(input) => self.engine.p2p_input(input).await?,
                Input::App(input) => self.engine.app_input(input).await?,
                Input::Tick => self.engine.tick().await?,
                Input::CheckParked => self.engine.check_parked().await?,
                Input::ProcessBatch => self.engine.process_batch().await?,
                Input::Unreachable(point) => self.engine.set_unreachable_point(point).await?,
                Input::SlowPeer(peer) => self.engine.slow_peer(peer).await?,
                Input::Dropped(depth) => {
                    self.outputs.events.push(json!({ "type": "p2p_queue_drop", "depth": depth }));
                }
            }
            self.outputs.append(self.engine.drain());
        }
        Ok(())
    }

    /// On the way to the target time, each batch is processed at its very deadline.
    async fn advance(&mut self, span: Duration) -> Result<(), String> {
        let target = self.now.after(span);
        let mut last = None;
        while let Some(deadline) = self.engine.batch_deadline().await?.filter(|d| *d <= target) {
            if self.recorded || self.queue.awaits_batch() {
                break;
            }
            if last == Some(deadline) {
                return Err("a batch stays after it was processed".into());
            }
            last = Some(deadline);
            self.engine.set_clock(deadline);
            self.offer(Input::ProcessBatch).await?;
        }
        self.now = target;
        self.engine.set_clock(target);
        Ok(())
    }

    fn emitted(&mut self) -> Value {
        std::mem::take(&mut self.outputs).render()
    }
}
