//! Drives an engine by worker ops (FORMAT.md, 5): the clock, the queue, and one answer an op.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{FullMessage, P2pInput, P2pMessage, protocol::Timestamp};
use serde_json::{Value, json};

use super::{
    answer,
    engine::Engine,
    input_queue::{Input, InputQueue},
    network::{Id, Topic, TraceNetwork},
    op::{Setting, Step, WorkerOp},
    output::Outputs,
    replay::Driver,
    view,
};

pub struct WorkerDriver<E> {
    engine: E,
    network: TraceNetwork,
    queue: InputQueue,
    /// What was emitted since the last answer.
    outputs: Outputs,
    /// Milliseconds.
    now: u64,
    /// Milliseconds.
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
        let mut driver = Self { engine, network, queue, outputs, now: 0, heartbeat_interval };
        let answer = driver.emitted();
        Ok((driver, answer))
    }

    async fn perform(&mut self, step: Step<WorkerOp>) -> Result<Value, String> {
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
}

impl<E: Engine> WorkerDriver<E> {
    /// The answer of an op that emits nothing.
    async fn ask(&mut self, op: &WorkerOp) -> Result<Option<Value>, String> {
        Ok(Some(match op {
            WorkerOp::View { detail } => view::render(&self.engine.view().await?, *detail),
            WorkerOp::Stats {} => {
                let mut stats = json!(self.engine.stats().await);
                stats["out"] = json!("stats");
                stats
            }
            WorkerOp::IsSubscribed { topic } => {
                json!({ "out": "is_subscribed", "value": self.engine.is_subscribed(topic).await })
            }
            WorkerOp::ReconnectionDelays {} => {
                let mut delays = self.engine.reconnection_delays().await?;
                delays.sort_unstable();
                let span = |(point, ticks)| json!([point, ticks * self.heartbeat_interval]);
                let points: Vec<_> = delays.into_iter().map(span).collect();
                json!({ "out": "reconnection_delays", "points": points })
            }
            WorkerOp::InputQueueLength {} => {
                json!({ "out": "input_queue_length", "value": self.queue.len() + self.engine.pending() })
            }
            _ => return Ok(None),
        }))
    }

    /// Performs an op whose answer is what it emits.
    async fn put(&mut self, op: WorkerOp) -> Result<(), String> {
        match op {
            WorkerOp::P2pInput { input } => self.offer(Input::P2p(input.into())).await,
            WorkerOp::BoundedP2pInput { input, times } => {
                for _ in 0..times {
                    self.queue.push_bounded(input.clone().into(), self.now);
                    self.work_off().await?;
                }
                Ok(())
            }
            WorkerOp::AppInput { input } => self.offer(Input::App(input.into())).await,
            WorkerOp::Heartbeat { times } => {
                for _ in 0..times {
                    self.offer(Input::Tick).await?;
                }
                Ok(())
            }
            WorkerOp::CheckUnknownMessages {} => self.offer(Input::CheckParked).await,
            WorkerOp::MessageBurst { from_peer, topic, first_id, step, count } => {
                let ids = (0..count as i64).map(|nth| first_id + nth * step);
                for number in ids {
                    self.offer(Input::P2p(burst_message(from_peer, &topic, number))).await?;
                }
                Ok(())
            }
            WorkerOp::SetUnreachablePoint { point } => self.offer(Input::Unreachable(point)).await,
            WorkerOp::AdvanceTime { ms } => self.advance(ms).await,
            WorkerOp::Hold {} => {
                self.queue.hold(true);
                Ok(())
            }
            WorkerOp::Release {} => {
                self.queue.hold(false);
                self.work_off().await
            }
            other => Err(format!("{other:?} is not to be performed here")),
        }
    }

    async fn offer(&mut self, input: Input) -> Result<(), String> {
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
                Input::Dropped(depth) => {
                    self.outputs.events.push(json!({ "type": "p2p_queue_drop", "depth": depth }));
                }
            }
            self.outputs.append(self.engine.drain());
        }
        Ok(())
    }

    /// On the way to the target time, each batch is processed at its very deadline.
    async fn advance(&mut self, ms: u64) -> Result<(), String> {
        let target = Timestamp::since_start(Duration::from_millis(self.now + ms));
        let mut last = None;
        while let Some(deadline) = self.engine.batch_deadline().await?.filter(|d| *d <= target) {
            if self.queue.awaits_batch() {
                break;
            }
            if last == Some(deadline) {
                return Err("a batch stays after it was processed".into());
            }
            last = Some(deadline);
            self.engine.set_clock(deadline);
            self.offer(Input::ProcessBatch).await?;
        }
        self.now += ms;
        self.engine.set_clock(target);
        Ok(())
    }

    fn emitted(&mut self) -> Value {
        std::mem::take(&mut self.outputs).render()
    }
}

fn burst_message(from_peer: i64, topic: &Topic, number: i64) -> P2pInput<TraceNetwork> {
    let message_id = Id { number, topic: topic.clone() };
    let full = FullMessage { topic: topic.clone(), message_id, message: format!("m{number}").into() };
    P2pInput::InMessage { from_peer, message: P2pMessage::FullMessage(Arc::new(full)) }
}
