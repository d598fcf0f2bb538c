//! The transport for real networks: gossipsub over rust-libp2p.
//!
//! An engine decides what is sent to whom; this module carries it. It opens streams, frames and encodes RPCs, checks
//! signatures and limits, and turns what arrives into the engine's inputs. It knows the engine only by its
//! [`Network`](crate::Network) types, its inputs and its outputs.
//!
//! # Where to begin
//!
//! * An application that wants a node starts a [`Node`]: engine, swarm and driver in one. Its documentation has an
//!   example of two nodes that exchange a message.
//! * An application that runs the engine itself takes [`swarm()`], a ready-made swarm (TCP, QUIC, noise, yamux, DNS,
//!   identify, ping, limits on connections), and ties it to the engine by a [`NodeDriver`].
//! * An application with a swarm of its own puts a [`gossipsub::Behaviour`] among its behaviours: it owns an engine and has
//!   the API of rust-libp2p's gossipsub.
//! * An application that runs the engine itself in a swarm of its own takes [`Behaviour`], the transport alone; see
//!   [below](#in-your-own-swarm).
//!
//! The first two need the feature `libp2p-node`. The others need only `libp2p`: the behaviour, [`LimitsBehaviour`], the
//! wire, and no transport or security of rust-libp2p. It is polled inside a tokio runtime, whose timers it uses.
//!
//! # Layers
//!
//! Each folder uses only those below it.
//!
//! | folder | content |
//! |---|---|
//! | `gossipsub` | [`gossipsub::Behaviour`]: transport and engine as one behaviour |
//! | `node` | [`Node`] and its builder; [`NodeDriver`], the task between swarm and engine; [`Engine`], the engine as the driver sees it |
//! | `swarm` | [`Behaviour`]: connected peers, dials, blocked peers; [`swarm()`], the ready-made swarm |
//! | `identify` | [`IdentifyBehaviour`]: what peers and this node report of themselves to each other, with signed peer records |
//! | `limits` | [`LimitsBehaviour`]: how many connections there may be, in total and for each peer, address and subnet |
//! | `connection` | [`Handler`]: the two streams of one connection, its send queue, its read budget |
//! | `network` | [`Libp2pNetwork`]: message ids, validation, signature policy; creates our messages |
//! | `state` | the address book, the verified messages, the charged memory and the counters of traffic and refusals, which all connections share |
//! | `signature` | [`SignaturePolicy`]: how our messages name their author, which messages are accepted; the messages that were verified lately |
//! | `codec` | frames and RPCs: [`FrameDecoder`], [`WireLimits`], `rpc.proto` |
//! | `message`, `ids`, `transform`, `bounded_map` | [`Message`], data transforms, [`SignatureError`], [`TopicName`], [`MessageId`]; a map that evicts its least recently used entry |
//!
//! # Connections and streams
//!
//! On each connection we open one stream, on which we only write, and read from the stream that the peer opens. A peer
//! is connected for the engine from the first stream of its first connection ([`Event::Established`]) until its last
//! connection with a stream closes. A peer with several connections is read on all of them and written on the newest. An
//! older one may be that of a process that has ended, which TCP notices late, while the peer has started again: so the newest
//! carries our subscriptions and GRAFTs once more. What the older one has not written moves to it. The end of a subscription and
//! a PRUNE that the older one was writing are not sent again: a process that lives on and did not read them learns of neither.
//! If one of the two speaks floodsub and the other gossipsub, the peer disconnects for the engine and connects again.
//!
//! A stream that breaks is replaced; at most four are opened on one connection. When a peer replaces its stream, the frames
//! that it wrote to the one before are read first. The version of the protocol is
//! negotiated on each stream: IDONTWANT (v1.2) is sent only over `/meshsub/1.2.0` or later, and accepted from any peer.
//! A full message that is queued for the peer that sends the IDONTWANT is taken out of the queue, unless the peer
//! requested it by IWANT. `Ping` is not sent, since libp2p has a protocol of its own for it, and the extensions of v1.3
//! are skipped.
//!
//! # A message in
//!
//! The connection's own task cuts the stream into frames, decodes each frame as one RPC and checks every signature. The
//! tasks of all connections share the threads of the swarm ([`TransportConfig::connection_threads`]), and each yields its
//! thread after a bounded amount of work: 64 KiB that were read, 16 KiB of control, 500 messages, 100 subscriptions, 8
//! signatures, or one message that breaks the policy. An RPC that is more work is handled in parts. The copies of a message
//! that other peers deliver are compared with it and not verified again. A
//! message that breaks the [`SignaturePolicy`] still goes to the engine, which
//! penalises its sender; it gets an id of its own instead of the one that it claims, so that it can't be mistaken for
//! the valid message with that id. [`Event::Inputs`] carries the messages of one RPC, or of a part of it, to the driver,
//! which passes them to the engine one by one.
//!
//! # Validation
//!
//! A message that keeps the signature policy is validated once, with its topic, its sender and its co-senders in hand. The
//! verdict is a [`Validity`](crate::Validity): accept, reject, ignore or unknown.
//!
//! | validator | the verdict is given |
//! |---|---|
//! | [`Validator::new`] | at once, on a thread of the engine |
//! | [`Validator::asynchronous`] | by a future, on a thread of the engine |
//! | [`Validator::blocking`] | on threads of its own, for checks that take long |
//! | [`Validator::manual`] | by [`Libp2pNetwork::report_validation`], for the messages of [`Libp2pNetwork::unvalidated`] |
//!
//! There is one for all topics ([`Libp2pNetworkBuilder::validator`] and the methods beside it), and any for single topics
//! ([`Libp2pNetworkBuilder::topic_validator`]). [`Libp2pNetwork::set_validator`] replaces one while the engine runs. The limits
//! are those of all asynchronous validations ([`max_validating`](crate::limits::Bounds::max_validating) and those beside it);
//! what exceeds them is dropped and counted in `gossipsub_validations_dropped_total`, and no peer is penalised.
//!
//! # A message out
//!
//! The driver reads outputs with their [`Lane`](crate::protocol::Lane). The behaviour encodes a message once for all
//! its recipients and puts the fragments into the send queue of each. The connection's task packs them into frames, the
//! most urgent lane first, whenever its socket takes more.
//!
//! # Back-pressure and limits
//!
//! *An engine without room* stops the reading of the one peer whose input it refused: the driver keeps the input, the
//! connection's read budget (128 KiB of decoded frames) runs out, the stream is not read, and the peer's own queue fills.
//! Other peers are not affected ([`NodeEvent::Paused`], [`Inputs`]).
//!
//! *A peer that reads slowly* gets the urgent lanes first and loses items of the others when its queue is full
//! ([`QueueLimits`]). If it reads next to nothing for [`BehaviourConfig::write_timeout`] it is slow: what is queued is
//! dropped, and [`BehaviourConfig::slow_peer`] sets what else is done. Control (subscriptions, GRAFT, PRUNE) is dropped
//! only with the connection: a peer whose control queue overflows is disconnected. Of the GRAFTs, and of the PRUNEs, that
//! wait one after another for a topic, only the last is sent.
//!
//! *A peer that sends a frame slowly* loses its stream when the frame is not complete within
//! [`BehaviourConfig::frame_timeout`], and its connection when it opens too many
//! others ([`BehaviourConfig::max_reopened_streams`]).
//!
//! *The messages that such a peer missed* are reported to the engine ([`DeliveryListener::report_missed`]). When the peer
//! reads again and at most a quarter of its queue is in use, the transport reports room for as many
//! messages as fit into half of the queue, and the engine offers as many by IHAVE ([`max_missed_ids_per_peer`](crate::limits::Extensions)). A publisher that
//! uses [`Worker::publish_when_room`](crate::Worker::publish_when_room) waits for its peers, so that its own messages are not dropped.
//!
//! Every dropped item is reported with its reason: outputs by [`Event::Dropped`], by lane; inputs by
//! [`NodeEvent::Refused`]; a stream by [`Event::InboundFailed`].
//!
//! # Memory
//!
//! The transport uses at most 1,360 MiB with the default settings ([`TransportConfig::memory_at_most`]), beside what the
//! engine states for itself ([`Footprint::bytes_at_most`](crate::protocol::Footprint::bytes_at_most)). It is that much
//! only if each of 1,024 peers does its worst at the same time:
//!
//! | what | bytes |
//! |---|---|
//! | encoded messages, send queues, frames that are being read, decoded inputs: [`BehaviourConfig::max_memory`] | 128 MiB |
//! | frames that are being written, buffers of noise and yamux: [`BehaviourConfig::CONNECTION_MEMORY`] | 400 KiB for each connection |
//! | windows of yamux that are not read: two streams that the peer opened, and ours for ping; QUIC has as much | 768 KiB for each connection |
//! | windows of further streams, at most 16 of a connection | 64 MiB |
//!
//! The first part is a budget of its own and not that of the engine's inputs
//! ([`Worker::message_budget`](crate::Worker::message_budget)): peers that do not read would otherwise keep the engine
//! from admitting the messages of others. Encoded bytes are charged once for all recipients, also of messages that
//! peers requested by IWANT at different times, and until the last recipient has them. A connection gets at most a part
//! of what is *free*: a sixteenth for its queue, and as much for what is read from it. So the queue with most bytes
//! drops items first ([`DropReason::TransportMemory`](crate::DropReason::TransportMemory)), or the peer with most is
//! not read for a while, and those that use little do not notice: with 60 greedy peers each gets 1.7 MiB, with 1,024 in
//! both directions 63 KiB, and as much is free for another one. Control gets half of what is free, since a connection
//! without room for it is closed. A node with tens of thousands of topics and many peers needs a larger limit: control
//! takes about 600 bytes for each topic and peer until it is written.
//!
//! The rest is bounded by numbers:
//!
//! | what | for each connection | in total |
//! |---|---|---|
//! | connections | | [`ConnectionLimits`], for `system`, `pending` and `peer` |
//! | addresses and subnets whose last connections are remembered | | `max_subnets` |
//! | items to be written | `max_items`, `max_bytes`; for control alone `stall_factor` times `max_items`, and `max_control_bytes` | `max_memory` |
//! | bytes being written | 16 KiB and a frame of `max_frame_out` | |
//! | the frame being read | `max_frame_in` and 8 KiB, and 8 bytes for each of its entries, for `frame_timeout`; twice while the peer replaces its stream | `max_memory` |
//! | inputs that the engine has no room for | 128 KiB of decoded frames and one more frame | `max_memory` |
//! | waits for room in the engine | | one for each peer |
//! | streams that a peer opened | `streams_per_connection` | two for each connection, and `shared_streams` |
//! | blocked peers | | `max_blocked` |
//! | dials that the engine requested | | `max_dials`, `max_px_dials`, and `max_px_dials_per_minute` |
//! | requested messages whose encoding is shared | | 4,096, of 250 bytes each |
//! | queued events | | in a [`NodeDriver`]: 4,096, and what one turn adds |
//! | unreported drops | | in a [`NodeDriver`], with the queued events; one entry for each peer and reason |
//! | queued commands | | 64 |
//! | addresses | | for 4,096 peers each: one dialled address, 8 reported ones, 8 of a signed record |
//! | signed records that peers sent of themselves | one of 2 KiB, until the peer disconnects | 4,096, so 8 MiB |
//! | verified messages | | 16,384 times 500 bytes, without the payloads |
//!
//! # What an attacker meets
//!
//! | attack | answer |
//! |---|---|
//! | long frames, long names | [`WireLimits`] are checked before anything is stored; a frame beyond them costs the stream, and [`BehaviourConfig::max_bad_streams`] such streams the connection |
//! | many entries, empty RPCs | what is beyond the [`WireLimits`] is ignored and counted; a connection yields its thread after a bounded amount of work |
//! | floods of valid messages | the engine refuses the peer's inputs beyond its share, and the peer is not read |
//! | a peer that reads a byte now and then | bytes written in `write_timeout` must reach [`BehaviourConfig::min_written`] |
//! | a peer that never reads control | disconnected at `max_control_bytes`, earlier while memory is scarce |
//! | many peers that do not read what they caused, or send frames slowly | `max_memory` for all of them together; a connection loses what is above its part |
//! | many streams, or bytes on streams that we do not read | two streams for each connection and a few that all share are accepted, others reset; bytes on a stream that is ours break it |
//! | forged or replayed signatures | verified under the policy, with keys of all types (Ed25519, secp256k1, ECDSA, RSA up to 8,192 bits); the sender is penalised by the engine (P4); a forged message ends the turn of its connection, and evicts no verified one |
//! | messages in the name of another message's id | they get an id of their own |
//! | what a peer with a score below `graylist_threshold` sends | dropped frame by frame, before it is decoded |
//! | peers with a score below `disconnect_threshold` | disconnected by the engine, and refused for `ban_duration` |
//! | garbage in place of RPCs | the stream is closed, the engine lowers the score (P7), the connection is closed after [`BehaviourConfig::max_bad_streams`] |
//! | streams that are reset and opened again and again | the connection is closed after [`BehaviourConfig::max_reopened_streams`]; no score changes |
//! | blocked peers that come back | refused, on dialling and on being dialled, until their time is over |
//! | peer exchange with wrong addresses | only a record signed by the recommended peer is used, verified when the engine has accepted the peer; the newest one wins |
//! | addresses of private networks, by identify or peer exchange | [`BehaviourConfig::addresses`]: only global addresses are dialled |
//! | peer exchange with thousands of peers | [`peers_to_px`](crate::LimitsConfig::peers_to_px) of a PRUNE are accepted, `max_px_dials` are dialled at a time, `max_px_dials_per_minute` in a minute; nothing is stored of the others |
//! | many connections of one address or subnet | refused before negotiation, by number and by rate |
//! | many connections of many addresses | limits in total and of pending ones; the last connections are reserved for our dials; direct, trusted and bootstrap peers are admitted in any case, and the inbound connection with the lowest score gives way |
//! | dead peers | ping closes their connections |
//! | peers that stop reading at the socket | [`TransportConfig::write_timeout`] |
//!
//! # In your own swarm
//!
//! A [`gossipsub::Behaviour`] does all of this by itself. To tie an engine of your own to a [`Behaviour`], create one
//! [`Libp2pNetwork`] and give a clone to the engine and another to [`Behaviour::new`]. Then:
//!
//! * Pass each input of [`Event::Inputs`] to the engine. When the engine refuses one for now,
//!   [put it back](Inputs::put_back) and keep the [`Inputs`] until there is room: the peer is not read meanwhile.
//! * Pass each output of the engine to [`Behaviour::emit`], or to [`Behaviour::apply`] if it comes without its lane.
//! * Pass [`Event::Unreachable`] to the engine's `set_unreachable_point`, [`Event::SlowPeer`] to `report_slow_peer` unless
//!   the cause is [`Slowness::Memory`], [`Event::Dropped`] to `report_dropped`, and an [`Event::InboundFailed`] that is a
//!   [violation](InboundError::is_violation) to `report_protocol_violation`. Give it the engine's graylist by
//!   [`Behaviour::set_graylist`]. Publish tickets and offers of missed messages need
//!   [`Behaviour::set_delivery_listener`]. Call it before connections are made.
//! * Make [`LimitsBehaviour`] the first behaviour, and pass it the engine's scores ([`Engine::scores`]).
//! * Add the behaviour before you dial or listen: rust-libp2p closes a connection whose peer offers no gossipsub yet.
//!
//! With the ready-made swarm:
//!
//! ```no_run
//! use actix_gossipsub::{
//!     Limits, LimitsConfig, Started, Worker,
//!     libp2p::{Keypair, Libp2pNetwork, NodeDriver, SignaturePolicy, TransportConfig, swarm},
//! };
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let key = Keypair::generate_ed25519();
//! let network = Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone()))).build();
//! let limits = Limits::try_from(LimitsConfig::default())?;
//! let Started { worker, p2p, app } = Worker::builder(network.clone(), limits).start(["news".into()])?;
//! let swarm = swarm(key, network.clone(), &TransportConfig::default())?;
//! let (driver, handle) = NodeDriver::new(swarm, worker.clone(), p2p, |event| println!("{event:?}"));
//! actix::spawn(driver);
//! let address = handle.listen("/ip4/0.0.0.0/tcp/4001".parse()?).await?;
//! worker.publish(network.message("news".into(), "first")?)?;
//! # let _ = (app, address);
//! # Ok(()) }
//! ```

mod bounded_map;
mod codec;
mod connection;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
pub mod gossipsub;
#[cfg(feature = "libp2p-node")]
mod identify;
mod ids;
mod limits;
mod memory;
mod message;
mod message_serde;
mod network;
mod node;
mod presets;
mod signature;
mod state;
mod swarm;
mod transform;

/// rust-libp2p, whose types appear in this module: `Swarm`, `identity`, `multiaddr`, `swarm::NetworkBehaviour`. Use it from
/// here, or depend on the same version.
pub use ::libp2p;
pub use ::libp2p::{Multiaddr, PeerId, StreamProtocol, identity::Keypair};

pub use crate::network::LateVerdict;
pub use crate::network::ProtocolVersion;
pub use codec::{
    encode_error::EncodeError,
    entry::RpcError,
    frame::{FrameDecoder, FrameError},
    limits::WireLimits,
};
pub use connection::{
    capabilities::{ProtocolId, Protocols},
    delivery_report::DeliveryListener,
    graylist::Graylist,
    handler::{Established, Handler, HandlerEvent},
    inbound_stream::{InboundError, InboundRpc},
    lanes::LaneCounts,
    queue_limits::QueueLimits,
};
#[cfg(feature = "libp2p-node")]
pub use identify::behaviour::IdentifyBehaviour;
pub use ids::{MessageId, TopicName};
pub use limits::{
    behaviour::{DirectSource, LimitsBehaviour, ScoreSource},
    config::{ConnectionLimits, ScopeLimits, SubnetLimit},
};
pub use message::{Message, SignatureError};
pub use network::{
    AuthorError, Libp2pNetwork, Libp2pNetworkBuilder, MessageIdFn, PeerFilter, SubscriptionFilter,
    Unvalidated, UnvalidatedMessage, Validator,
};
pub use node::engine::{Engine, OutputSource, OutputStream, RefusedInput};
#[cfg(feature = "libp2p-node")]
pub use node::{
    builder::{Node, NodeBuilder},
    driver::NodeDriver,
    error::{NodeStartError, PublishError},
    handle::{CommandError, NodeEvent, NodeHandle, PeerInfo},
};
pub use signature::{
    authenticity::MessageAuthenticity,
    policy::{CustomPolicy, PolicyError, SignaturePolicy},
    validation::ValidationMode,
};
pub use state::{address_filter::AddressFilter, refusals::RefusedConnections};
#[cfg(feature = "libp2p-node")]
pub use swarm::builder::{
    TransportBehaviour, TransportBehaviourEvent, TransportConfig, TransportError, swarm,
};
pub use swarm::{
    behaviour::Behaviour,
    config::{BehaviourConfig, SlowPeerAction},
    event::{Event, Inputs, Slowness},
};
