//! What a worker trace needs of an engine. The one place where `Node` and the actors meet.

use actix_gossipsub::{
    AppInput, P2pInput,
    protocol::{Stats, Timestamp, View},
};

use super::{network::TraceNetwork, op::Make, output::Outputs};

/// A worker's engine. Every method leaves nothing pending: its outputs are there to be drained.
pub trait Engine: Sized {
    /// Starts it and joins the topics of `make`, with the clock at zero.
    async fn start(make: Make, network: TraceNetwork) -> Result<Self, String>;
    async fn stop(self) -> Result<(), String>;

    fn set_clock(&mut self, now: Timestamp);
    fn drain(&mut self) -> Outputs;
    /// Inputs that were accepted but not yet handled.
    fn pending(&self) -> usize;

    async fn p2p_input(&mut self, input: P2pInput<TraceNetwork>) -> Result<(), String>;
    async fn app_input(&mut self, input: AppInput<TraceNetwork>) -> Result<(), String>;
    async fn tick(&mut self) -> Result<(), String>;
    async fn check_parked(&mut self) -> Result<(), String>;
    async fn batch_deadline(&mut self) -> Result<Option<Timestamp>, String>;
    async fn process_batch(&mut self) -> Result<(), String>;
    async fn set_unreachable_point(&mut self, point: i64) -> Result<(), String>;

    /// Ticks that are left, by point.
    async fn reconnection_delays(&mut self) -> Result<Vec<(i64, i64)>, String>;
    async fn is_subscribed(&mut self, topic: &super::network::Topic) -> bool;
    async fn stats(&mut self) -> Stats;
    async fn view(&mut self) -> Result<View<TraceNetwork>, String>;
}
