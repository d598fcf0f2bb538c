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
//! [`Event::Inputs`] to the engine and keep what it refuses for now: the peer is not read meanwhile. Pass
//! each emission of the engine to [`Behaviour::emit`] (or each output to [`Behaviour::apply`]), and each
//! [`Event::Unreachable`] to the engine's `set_unreachable_point`, each [`Event::SlowPeer`] to its
//! `report_slow_peer` and each [`Event::Dropped`] to its `report_dropped`; publish tickets want
//! [`Behaviour::set_reports`]. Tell [`Libp2pNetwork::add_addresses`]
//! what identify learns, and accept the protocols before you dial or listen (they are when the behaviour
//! is part of the swarm): rust-libp2p gives up a connection whose peer does not speak gossipsub yet.
//!
//! What it does on a connection: it opens one stream at once, on which it only writes, and reads from the
//! stream that the peer opens. The peer exists for the engine from the first such stream of its first
//! connection until the last connection that has one closes. Signatures are checked here, on reception:
//! a message that fails is given to the engine under an id of its own and is `Invalid` there, so that the
//! sender is penalised and the good message whose id it may have claimed is not taken for it.
//!
//! Slow sides: an engine without room for a peer's inputs stops the reading of that peer alone, whose own
//! queue then fills ([`Inputs`]). A peer that reads slowly is sent what is urgent first, and loses what is
//! not ([`QueueLimits`]). One that reads next to nothing for [`BehaviourConfig::write_timeout`] is slow: what
//! waits for it is dropped, and [`BehaviourConfig::slow_peer`] says what else is done. Control is dropped only
//! with the connection: one to which even that can't be said is disconnected.
//!
//! # What is kept at most
//!
//! | what | for each connection | in all |
//! |---|---|---|
//! | connections | | `max_connections`, `max_connections_per_peer`, `max_pending_incoming` |
//! | what waits to be written | `max_items`, `max_bytes`; control alone `stall_factor` times that | |
//! | what is being written | 16 KiB and a frame of `max_frame_out` | |
//! | a frame that is being read | `max_frame_in` and 8 KiB | |
//! | what was read for an engine that has no room | 128 KiB of frames and one more; up to some twenty times their bytes in memory | |
//! | waits for that room | | one for each peer that waits |
//! | what yamux keeps | 256 KiB for each of the few hundred streams that it accepts, and 16 MiB | |
//! | kicked peers | | `max_blocked` |
//! | dials that the engine asked for | | `max_dials` |
//! | events for the owner | | 4,096 and what a turn adds, in a [`Libp2pNode`] |
//! | drops to be told of | | with the events; one entry for each peer and reason |
//! | commands of the owner | | 64 |
//! | addresses | | of 3 times 4,096 peers: one, 8, and a signed record of 2 KiB |
//! | signatures that were checked | | 16,384 digests |
//! | encoded messages | | the last one, beside what waits |
//!
//! Whatever is dropped is told, with its reason: outputs by [`Event::Dropped`], by lane; inputs by
//! [`NodeEvent::Refused`]; a peer's stream by [`Event::InboundFailed`]. Of a connection that was given up
//! nothing is heard any more: for the engine its peer is gone.
//!
//! IDONTWANT (v1.2) is heard from any peer, and said to those that take it from us by `/meshsub/1.2.0` or later. A
//! message that waits for the peer that says it is taken out of its queue, unless the peer asked for it: whoever waits
//! to hear of it hears [`DropReason::Unwanted`](crate::DropReason).
//!
//! Not on this wire: `Ping` (nothing is sent; libp2p has a protocol of its own for it) and the
//! extensions of v1.3 (they are skipped when read).

mod bounded_map;
mod codec;
mod connection;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod ids;
mod message;
mod message_serde;
mod network;
mod node;
mod signature;
mod state;
mod swarm;

pub use ::libp2p::{Multiaddr, PeerId, identity::Keypair};

pub use codec::{
    encode::EncodeError,
    frame::{FrameDecoder, FrameError},
    limits::WireLimits,
    rpc::RpcError,
};
pub use connection::{
    capabilities::Protocols,
    delivery_report::DeliveryListener,
    handler::{Established, Handler, HandlerEvent},
    inbound_stream::{InboundError, InboundRpc},
    lanes::LaneCounts,
    send_queue::QueueLimits,
};
pub use ids::{MessageId, TopicName};
pub use message::{Message, SignatureError};
pub use network::{AuthorError, Libp2pNetwork, Libp2pNetworkBuilder, MessageIdFn, PeerFilter, Validator};
pub use node::{
    builder::{Node, NodeBuilder, NodeStartError, PublishError},
    driver::NodeDriver,
    engine::{Engine, RefusedInput},
    event::NodeEvent,
    handle::{CommandError, NodeHandle},
    outputs::{OutputSource, OutputStream},
};
pub use signature::policy::SignaturePolicy;
pub use swarm::{
    behaviour::Behaviour,
    builder::{TransportBehaviour, TransportBehaviourEvent, TransportConfig, TransportError, swarm},
    config::{BehaviourConfig, SlowPeerAction},
    event::{Blocked, Event, Slowness},
    inputs::Inputs,
};
