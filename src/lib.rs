//! A gossipsub v1.2 engine for applications built on [actix](https://docs.rs/actix). Each topic has an actor; a supervisor
//! owns the peers and their scores; two output streams serve the p2p layer and the application. Use the libp2p transport
//! of this crate (feature [`libp2p`](crate#features)) or your own.
//!
//! # Embedding
//!
//! ```
//! use actix_gossipsub::{
//!     AppInput, Limits, LimitsConfig, P2pInput, P2pMessage, Started, Worker, plain::PlainNetwork,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
//! let limits = Limits::try_from(LimitsConfig::default())?;
//! let Started { worker, mut p2p, mut app } =
//!     Worker::builder(PlainNetwork::new(), limits).start(["news".to_owned()])?;
//! actix::spawn(async move {
//!     while let Some(output) = p2p.recv().await {
//!         println!("for the transport: {output}");
//!     }
//! });
//! worker.p2p_input(P2pInput::connected(7))?;
//! worker.p2p_input(P2pInput::message(7, P2pMessage::subscribe("news".to_owned())))?;
//! let message = PlainNetwork::message("news", 1, "it works");
//! worker.p2p_input(P2pInput::message(7, P2pMessage::FullMessage(message.into())))?;
//! let received = app.recv().await.expect("the engine runs");
//! assert_eq!(received.message, "it works");
//! worker.app_input(AppInput::Publish(PlainNetwork::message("news", 2, "so does this")))?;
//! worker.shutdown().await;
//! # Ok(()) }) }
//! ```
//!
//! # Modules
//!
//! Each layer depends only on the layers before it: [`Network`] and its messages, [`limits`], [`protocol`], the actors,
//! [`Worker`].
//!
//! * [`Network`]: the types and hooks that an application supplies; [`plain`] has a small implementation.
//! * [`protocol`]: gossipsub as pure state machines without actors, clocks and IO, composed in [`protocol::Node`].
//! * [`Worker`]: the handle of a running engine. It is `Clone + Send + Sync`, and also an actix actor.
//! * [`limits`]: all parameters, validated before use. `config/` has files with the presets.
//! * [`metrics`]: the metrics of an engine, with a catalogue.
//!
//! # Features
//!
//! None is enabled by default.
//!
//! * `libp2p`: a transport over rust-libp2p; `quic` adds QUIC.
//! * `http`: an actix-web scope for inspection and administration.
//! * `prometheus`: the settings of the Prometheus exporter for the metrics of an engine.
//! * `recording`: recordings of inputs, and their replay.
//! * `node`: the binary, with all of these except `quic`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod actors;
mod admission;
mod clock;
mod directory;
#[cfg(feature = "http")]
pub mod http;
mod input_recorder;
#[cfg(feature = "libp2p")]
#[allow(missing_docs, reason = "derived behaviours have no place for comments, variants tell their fields")]
pub mod libp2p;
pub mod limits;
pub mod metrics;
mod network;
mod outputs;
pub mod plain;
pub mod protocol;
#[cfg(feature = "recording")]
pub mod recording;
mod timestamp;
mod worker;

pub use clock::{Clock, ManualClock, SystemClock};
pub use input_recorder::{InputRecorder, RecordedInput};
pub use limits::{InvalidLimits, Limits, LimitsConfig};
pub use network::{
    AppInput, AppOutput, BoxFuture, ConnectionInfo, Delivery, Direction, FullMessage, Key, Network, Origin,
    P2pInput, P2pMessage, P2pOutput, PeerAction, PeerKind, PxPeer, SubscribeOptions, TransportStats,
    Validity,
};
pub use worker::{
    AppOutputs, DropReason, EngineError, EngineStopped, Events, HeartbeatStatus, P2pOutputs, Page, PageOf,
    PeerInputs, PublishReport, PublishTicket, QueueStatus, Refused, RouteResult, StartError, Started, Worker,
    WorkerBuilder,
};
