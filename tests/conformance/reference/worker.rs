//! This module performs worker ops (FORMAT.md, 5) on an engine. It manages the clock and the queue, and returns one
//! answer for each op.

use std::time::Duration;

use actix_gossipsub::{P2pInput, P2pMessage, protocol::Timestamp};
use serde_json::{Value, json};

use super::{
    TraceNetwork, answers,
    driver::{Driver, Engine},
    input_queue::{Input, InputQueue},
    network::Setting,
    ops::{Step, WorkerOp},
    outputs::{self, Outputs},
    view,
};

/// An engine that performs worker ops.
pub struct WorkerDriver<E> {
    engine: E,
    network: TraceNetwork,
    queue: InputQueue,
    /// The outputs since the last answer.
    outputs: Outputs,
    now: Timestamp,
    /// The heartbeat interval in milliseconds.
    heartbeat_interval: i64,
}

impl<E: Engine> Driver for WorkerDriver<E> {
    type Op = WorkerOp;

    async fn start(op: WorkerOp) -> Result<(Self, Value), String> {
        let WorkerOp::Make(make) = op else { return Err("the first op is not `make`".into()) };
        let network = TraceNetwork::default();
        network.set(Setting::SetInitialPoints { points: make.initial_points.clone() });
        let queue = InputQueue::new(make.max_transport_input_queue_length);
        let heartbeat_interval = make.limits.heartbeat_interval();
        let mut engine = E::start(make, network.clone()).await?;
        let outputs = engine.drain();
        let mut driver = Self { engine, network, queue, outputs, now: Timestamp::ZERO, heartbeat_interval };
        let answer = driver.emitted();
        Ok((driver, answer))
    }

    async fn perform(&mut self, step: Step<WorkerOp>) -> Result<Value, String> {
        match step {
            Step::Setting(setting) => {
                self.network.set(setting);
                Ok(answers::out("ok"))
            }
            Step::Op(op) => match self.query(&op).await? {
                Some(answer) => Ok(answer),
                None => {
                    self.input(op).await?;
                    Ok(self.emitted())
                }
            },
        }
    }

    async fn stop(self) -> Result<(), String> {
        self.engine.stop().await
    }
}

impl<E: Engine> WorkerDriver<E> {
    /// The answer of an op that emits nothing.
    async fn query(&mut self, op: &WorkerOp) -> Result<Option<Value>, String> {
        Ok(Some(match op {
            WorkerOp::View { detail } => view::render(&self.engine.view().await?, *detail),
            WorkerOp::Stats {} => answers::stats(&self.engine.stats().await),
            WorkerOp::IsSubscribed { topic } => {
                json!({ "out": "is_subscribed", "value": self.engine.is_subscribed(topic).await })
            }
            WorkerOp::ReconnectionDelays {} => {
                let mut delays = self.engine.reconnection_delays().await?;
                delays.sort_unstable();
                let span = |(point, ticks): (_, i64)| (point, ticks * self.heartbeat_interval);
                answers::delays(delays.into_iter().map(span).collect())
            }
            WorkerOp::InputQueueLength {} => {
                json!({ "out": "input_queue_length", "value": self.queue.len() + self.engine.pending() })
            }
            _ => return Ok(None),
        }))
    }

    /// Performs an op whose answer is what it emits.
    async fn input(&mut self, op: WorkerOp) -> Result<(), String> {
        match op {
            WorkerOp::P2pInput { input } => self.push(Input::P2p(input.into())).await,
            WorkerOp::BoundedP2pInput { input, times } => {
                for _ in 0..times {
                    self.queue.push_bounded(input.clone().into(), self.now);
                    self.handle_queued().await?;
                }
                Ok(())
            }
            WorkerOp::AppInput { input } => self.push(Input::App(input.into())).await,
            WorkerOp::Heartbeat { times } => {
                for _ in 0..times {
                    self.push(Input::Tick).await?;
                }
                Ok(())
            }
            WorkerOp::CheckUnknownMessages {} => self.push(Input::CheckParked).await,
            WorkerOp::MessageBurst(burst) => {
                for message in burst.messages() {
                    let message = P2pMessage::FullMessage(message);
                    self.push(Input::P2p(P2pInput::InMessage { from_peer: burst.from_peer, message }))
                        .await?;
                }
                Ok(())
            }
            WorkerOp::SetUnreachablePoint { point } => self.push(Input::Unreachable(point)).await,
            WorkerOp::AdvanceTime { span } => self.advance(span).await,
            WorkerOp::Pause {} => {
                self.queue.pause(true);
                Ok(())
            }
            WorkerOp::Resume {} => {
                self.queue.pause(false);
                self.handle_queued().await
            }
            WorkerOp::Make(_) => Err("`make` twice".into()),
            WorkerOp::View { .. }
            | WorkerOp::Stats {}
            | WorkerOp::IsSubscribed { .. }
            | WorkerOp::ReconnectionDelays {}
            | WorkerOp::InputQueueLength {} => unreachable!("queries are answered before"),
        }
    }

    async fn push(&mut self, input: Input) -> Result<(), String> {
        self.queue.push(input);
        self.handle_queued().await
    }

    /// Handles the queued inputs, unless the queue is paused.
    async fn handle_queued(&mut self) -> Result<(), String> {
        while let Some(input) = self.queue.pop() {
            match input {
                Input::P2p(input) => self.engine.p2p_input(input).await?,
                Input::App(input) => self.engine.app_input(input).await?,
                Input::Tick => self.engine.tick().await?,
                Input::CheckParked => self.engine.check_parked().await?,
                Input::ProcessBatch => self.engine.process_batch().await?,
                Input::Unreachable(point) => self.engine.set_unreachable_point(point).await?,
                Input::Dropped(depth) => self.outputs.events.push(outputs::dropped(depth)),
            }
            self.outputs.append(self.engine.drain());
        }
        Ok(())
    }

    /// Advances the clock. Each batch is processed exactly at its deadline.
    async fn advance(&mut self, span: Duration) -> Result<(), String> {
        let target = self.now.after(span);
        let mut last = None;
        while let Some(deadline) = self.engine.batch_deadline().await?.filter(|d| *d <= target) {
            if self.queue.awaits_batch() {
                break;
            }
            if last == Some(deadline) {
                return Err("a batch stays after it was processed".into());
            }
            last = Some(deadline);
            self.engine.set_clock(deadline).await?;
            self.push(Input::ProcessBatch).await?;
        }
        self.now = target;
        self.engine.set_clock(target).await
    }

    fn emitted(&mut self) -> Value {
        std::mem::take(&mut self.outputs).render()
    }
}
