//! The transport of real networks: gossipsub's RPCs over rust-libp2p. It carries and checks what is
//! said; all decisions are the engine's, which it knows only by the types of [`Network`](crate::Network).
//!
//! | part | what it is |
//! |---|---|
//! | [`Libp2pNetwork`] | the types, ids and verdicts of the network, for the engine; makes our messages |
//! | [`SignaturePolicy`], [`Flaw`] | who may claim to have published what |
//! | [`Behaviour`] | gossipsub's streams on a swarm: outputs in, [`Event::Inputs`] out |
//! | [`WireLimits`], [`FrameDecoder`] | what is read and written, checked before it is stored |
//! | [`swarm`] | a ready-made swarm: tcp, noise, yamux, identify, ping and the behaviour |
//! | [`Libp2pNode`] | a task that ties the ready-made swarm to an engine |
//!
//! ```no_run
//! use actix_gossipsub::libp2p::{Libp2pNetwork, SignaturePolicy, TransportConfig, swarm};
//! use libp2p::identity::Keypair;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = Keypair::generate_ed25519();
//! let network = Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone()))).build();
//! let swarm = swarm(key, network.clone(), &TransportConfig::default())?;
//! // Start an engine for `network`, and give it and its p2p outputs to `Libp2pNode::new`. Publish what
//! // `Libp2pNetwork::message` makes:
//! let message = network.message("news".into(), "first")?;
//! # Ok(()) }
//! ```
//!
//! To compose it into a swarm of your own, put a [`Behaviour`] among your behaviours. Pass each
//! [`Event::Inputs`] to the engine, each output of the engine to [`Behaviour::apply`], and each
//! [`Event::Unreachable`] to the engine's `set_unreachable_point`. Tell [`Libp2pNetwork::add_addresses`]
//! what identify learns, and accept the protocols before you dial or listen (they are when the behaviour
//! is part of the swarm): rust-libp2p gives up a connection whose peer does not speak gossipsub yet.
//!
//! What it does on a connection: it opens one stream at once, on which it only writes, and reads from the
//! stream that the peer opens. The peer exists for the engine from the first such stream of its first
//! connection until the last connection that has one closes. Signatures are checked here, on reception:
//! a message that fails is given to the engine under an id of its own and is `Invalid` there, so that the
//! sender is penalised and the good message whose id it may have claimed is not taken for it.
//!
//! Not on this wire: `Ping` (nothing is sent; libp2p has a protocol of its own for it) and the
//! extensions of v1.2 and v1.3 (they are skipped when read).

mod adapter;
mod addresses;
mod behaviour;
mod codec;
mod encode;
mod event;
mod fields;
mod handler;
mod ids;
mod inbound;
mod message;
mod network;
mod pack;
mod peers;
mod queue;
mod recent;
mod rpc;
mod sign;
mod transport;
mod verdicts;

pub use adapter::{CommandError, Engine, Libp2pNode, NodeEvent, NodeHandle};
pub use behaviour::{Behaviour, Blocked};
pub use codec::{FrameDecoder, FrameError, WireLimits};
pub use encode::EncodeError;
pub use event::{BehaviourConfig, Event};
pub use handler::{Handler, HandlerEvent, InboundError, Protocols, Up};
pub use ids::{MessageId, TopicName};
pub use message::Message;
pub use network::{AuthorError, Libp2pNetwork, Libp2pNetworkBuilder, MessageIdFn, PeerFilter, Validator};
pub use queue::QueueLimits;
pub use rpc::RpcError;
pub use sign::{Flaw, SignaturePolicy};
pub use transport::{TransportBehaviour, TransportBehaviourEvent, TransportConfig, TransportError, swarm};
