//! A gossipsub engine for applications built on [actix](https://docs.rs/actix): one actor a topic, a
//! supervisor that owns peers and their scores, and two output streams, one for the p2p layer and
//! one for the application. Bring any transport, or take the one in [`libp2p`](crate#features).
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
//! worker.p2p_input(P2pInput::said(7, P2pMessage::Subscribe { topic: "news".to_owned() }))?;
//! let message = PlainNetwork::message("news", 1, "it works");
//! worker.p2p_input(P2pInput::said(7, P2pMessage::FullMessage(message.into())))?;
//! let received = app.recv().await.expect("the engine runs");
//! assert_eq!(received.message, "it works");
//! worker.app_input(AppInput::Publish(PlainNetwork::message("news", 2, "so it does")))?;
//! worker.shutdown().await;
//! # Ok(()) }) }
//! ```
//!
//! # Map
//!
//! Arrows go one way: [`Network`] and its words ← [`protocol`] ← actors ← [`Worker`].
//!
//! * [`Network`]: the types and hooks an application brings; [`plain`] is a small one.
//! * [`protocol`]: gossipsub as pure state machines, composed in [`protocol::Node`]; no actor, no
//!   clock, no IO.
//! * [`Worker`]: the running engine's handle, `Clone + Send + Sync`; also an actix actor.
//! * [`limits`]: every parameter, checked before use; presets are files in `config/`.
//! * [`metrics`]: what an engine can be watched by, with a catalogue.
//!
//! # Features
//!
//! None by default. `libp2p`: a transport over rust-libp2p (`quic` adds QUIC). `http`: an actix-web
//! scope. `prometheus`: what its exporter must know of our metrics. `node`: the binary, with everything.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod actors;
mod directory;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "libp2p")]
pub mod libp2p;
pub mod limits;
pub mod metrics;
mod network;
pub mod plain;
pub mod protocol;
mod tape;
#[cfg(feature = "trace")]
pub mod trace;
mod worker;

pub use actors::clock::{Clock, ManualClock, SystemClock};
pub use limits::{InvalidLimits, Limits, LimitsConfig};
pub use network::{
    AppInput, AppOutput, Delivery, FullMessage, Key, Later, Network, Origin, P2pInput, P2pMessage, P2pOutput,
    PeerAction, Traffic, Validity,
};
pub use tape::{Heard, Tape};
pub use worker::{
    AppOutputs, Events, Fault, LastHeartbeat, Listing, NotSent, P2pOutputs, Page, PeerInputs, PublishReport,
    PublishTicket, Queue, Refused, Routed, StartError, Started, Stopped, Worker, WorkerBuilder,
};
