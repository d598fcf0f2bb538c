//! A gossipsub (v1.0, v1.1, v1.2) engine for applications built on [actix](https://docs.rs/actix): an actor for each
//! topic, a supervisor that owns the peers and their scores, and two output streams, one for the p2p layer and one for
//! the application. Use it with your own transport, or with the libp2p transport of this crate
//! ([feature `libp2p`](crate#features)).
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
//! Each layer uses only the layers below it:
//!
//! | layer | modules | what they do |
//! |---|---|---|
//! | interfaces | `libp2p`, `http`, `recording` | the libp2p transport; an actix-web scope; recording and replay of inputs |
//! | handle | `worker` | [`Worker`], [`WorkerBuilder`], the output streams, [`PublishTicket`], the actix [`messages`]: all that an application calls |
//! | actors | `actors` | supervisor, topics, heartbeat and router: they run the protocol on several threads |
//! | metrics | [`metrics`] | the catalogue of metrics, and the code that records them |
//! | shared state | `outputs`, `directory` | the queues of the output streams; the maps of connections that all threads read |
//! | admission | `admission` | limits on queued inputs and fair shares of peers |
//! | protocol | [`protocol`] | gossipsub as pure state machines, composed without actors in [`protocol::Node`] |
//! | base | `network`, [`limits`], `clock`, `timestamp` | [`Network`]: the types and hooks that an application provides; parameters and presets; time |
//!
//! [`plain`] is a small [`Network`] for examples and tests. Parameters are checked before an engine starts
//! ([`LimitsConfig`], [`Limits`]); preset files are in `config/`.
//!
//! # Features
//!
//! None is on by default.
//!
//! * `libp2p`: a gossipsub behaviour for a rust-libp2p swarm of your own. It needs only the core, swarm and identity of
//!   libp2p.
//! * `libp2p-node`: a ready-made swarm (TCP, noise, yamux, DNS, identify, ping) and a whole node; implies `libp2p`.
//!   `quic` adds QUIC to it.
//! * `snappy`: compressed messages, as those of Ethereum; implies `libp2p`.
//! * `http`: an actix-web scope that displays the state of an engine.
//! * `prometheus`: histogram buckets for the Prometheus exporter.
//! * `recording`: recording and replay of inputs.
//! * `node`: the binary, with all of these except `quic`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// The code of README and of the book is compiled and run by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/tutorial.md")]
struct Tutorial;

#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;

#[cfg(doctest)]
#[doc = include_str!("../docs/transport.md")]
struct Transport;

mod actors;
mod admission;
pub mod build_info;
mod clock;
mod directory;
#[cfg(feature = "http")]
pub mod http;
mod input_recorder;
#[cfg(feature = "libp2p")]
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
    AppInput, AppOutput, BatchVerdicts, BoxFuture, ConnectionFailure, ConnectionInfo, ConnectionRefusal,
    Delivery, DialOutcome, Direction, FullMessage, Key, LateVerdict, ManualValidation, Network, Origin,
    P2pInput, P2pMessage, P2pOutput, PeerAction, PeerFeedback, PeerKind, PeerRecordOutcome, ProtocolVersion,
    PxDialOutcome, PxPeer, SubscribeOptions, TransportKind, TransportStats, Unvalidated, UnvalidatedMessage,
    Validity,
};
pub use worker::messages;
pub use worker::{
    AppOutputs, BudgetCharge, ChangeRefused, DeliveredMessage, DropReason, EngineError, EngineEvent,
    EngineEvents, EngineStopped, Events, HeartbeatStatus, MessageBudget, NotPublished, P2pOutputs, Page,
    PageOf, PeerInputs, PeerStatus, PublishOptions, PublishReport, PublishTicket, QueueStatus, Rank,
    RecipientStopped, Refused, RouteResult, StartError, Started, SubscribeError, SubscriptionConfig,
    TopicMessages, TopicStatus, WhenFull, Worker, WorkerBuilder,
};
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub use worker::{Mailbox, Mailboxes};
