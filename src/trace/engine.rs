//! What the ops of a trace need of an engine, and of who performs them. The place where `Node` and the actors meet.
#![allow(
    async_fn_in_trait,
    reason = "nobody needs these futures to be Send: a trace is replayed on one thread"
)]

use serde_json::Value;

use super::{
    network::TraceNetwork,
    op::{Make, Ops, Step},
    render::Outputs,
    values::Values,
};
use crate::{
    network::{AppInput, P2pInput},
    protocol::{Stats, Timestamp, View},
};

/// Performs the ops of one kind of trace on one kind of engine.
pub trait Driver: Sized {
    /// What the trace is made of.
    type Op: Ops<Values = Self::Values>;
    /// Whose values they are.
    type Values: Values;

    /// By the first line of a trace; with its answer.
    async fn start(make: Self::Op) -> Result<(Self, Value), String>;

    /// Performs an op; with its answer.
    async fn perform(&mut self, step: Step<Self::Values, Self::Op>) -> Result<Value, String>;

    /// Ends it.
    async fn stop(self) -> Result<(), String>;

    /// The time of the last op.
    fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// What became of each input since the last call, where the answer does not say it.
    fn outcomes(&mut self) -> Vec<Value> {
        Vec::new()
    }

    /// How many inputs the trace says that it lacks.
    fn lost(&self) -> u64 {
        0
    }

    /// The whole state, in detail.
    async fn state(&mut self) -> Result<Value, String> {
        Err("a driver without a state".to_owned())
    }
}

/// A worker's engine. Every method leaves nothing pending: its outputs are there to be drained.
#[allow(missing_docs, reason = "each method is what the op of its name does to an engine")]
pub trait Engine: Sized {
    /// Whose values it works on.
    type Values: Values;

    /// Starts it and joins the topics of `make`, with the clock at zero.
    async fn start(make: Make<Self::Values>, network: TraceNetwork<Self::Values>) -> Result<Self, String>;
    async fn stop(self) -> Result<(), String>;

    fn set_clock(&mut self, now: Timestamp);
    fn drain(&mut self) -> Outputs<TraceNetwork<Self::Values>>;

    /// What became of each input since the last call, as the automaton's traces have it (FORMAT.md, 4): none, if
    /// the engine does not tell.
    fn outcomes(&mut self) -> Vec<Value> {
        Vec::new()
    }

    /// Inputs that were accepted but not yet handled.
    fn pending(&self) -> usize;

    async fn p2p_input(&mut self, input: P2pInput<TraceNetwork<Self::Values>>) -> Result<(), String>;
    async fn app_input(&mut self, input: AppInput<TraceNetwork<Self::Values>>) -> Result<(), String>;
    async fn tick(&mut self) -> Result<(), String>;
    async fn check_parked(&mut self) -> Result<(), String>;
    async fn batch_deadline(&mut self) -> Result<Option<Timestamp>, String>;
    async fn process_batch(&mut self) -> Result<(), String>;
    async fn set_unreachable_point(&mut self, point: <Self::Values as Values>::Point) -> Result<(), String>;
    async fn slow_peer(&mut self, peer: <Self::Values as Values>::Peer) -> Result<(), String>;

    /// Ticks that are left, by point.
    async fn reconnection_delays(&mut self) -> Result<Vec<(<Self::Values as Values>::Point, i64)>, String>;
    async fn is_subscribed(&mut self, topic: &<Self::Values as Values>::Topic) -> bool;
    async fn stats(&mut self) -> Stats;
    async fn view(&mut self) -> Result<View<TraceNetwork<Self::Values>>, String>;
}
