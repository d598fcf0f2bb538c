//! This module defines the traits of the drivers that perform the ops of a trace, and of the engines under them.
#![allow(async_fn_in_trait, reason = "a trace is replayed on one thread: no future need be Send")]

use actix_gossipsub::{
    AppInput, P2pInput,
    protocol::{Stats, Timestamp, View},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    TraceNetwork,
    ops::{Make, Step},
    outputs::Outputs,
};

/// Performs the ops of one kind of trace on one kind of engine.
pub trait Driver: Sized {
    /// The ops without the settings.
    type Op: DeserializeOwned;

    /// Performs the first op of a trace, which starts the engine. Returns the driver and the answer.
    async fn start(make: Self::Op) -> Result<(Self, Value), String>;

    /// Performs an op and returns its answer.
    async fn perform(&mut self, step: Step<Self::Op>) -> Result<Value, String>;

    async fn stop(self) -> Result<(), String>;
}

/// An engine of a worker trace. Each method has the name of its op and returns when all outputs of the op can be drained.
pub trait Engine: Sized {
    /// Starts the engine with the clock at zero and joins the topics of `make`.
    async fn start(make: Make, network: TraceNetwork) -> Result<Self, String>;
    async fn stop(self) -> Result<(), String>;

    async fn set_clock(&mut self, now: Timestamp) -> Result<(), String>;
    fn drain(&mut self) -> Outputs;

    /// The number of inputs that were accepted but not yet handled.
    fn pending(&self) -> usize;

    async fn p2p_input(&mut self, input: P2pInput<TraceNetwork>) -> Result<(), String>;
    async fn app_input(&mut self, input: AppInput<TraceNetwork>) -> Result<(), String>;
    async fn tick(&mut self) -> Result<(), String>;
    async fn check_parked(&mut self) -> Result<(), String>;
    async fn batch_deadline(&mut self) -> Result<Option<Timestamp>, String>;
    async fn process_batch(&mut self) -> Result<(), String>;
    async fn set_unreachable_point(&mut self, point: i64) -> Result<(), String>;

    /// The points with the ticks until they may be dialled.
    async fn reconnection_delays(&mut self) -> Result<Vec<(i64, i64)>, String>;
    async fn is_subscribed(&mut self, topic: &std::sync::Arc<str>) -> bool;
    async fn stats(&mut self) -> Stats;
    async fn view(&mut self) -> Result<View<TraceNetwork>, String>;
}
