//! The wire format: frames that contain the RPC of `rpc.proto`. A pure function of bytes and values: limits are
//! checked before anything is stored, and no socket, swarm or hook is involved.

pub(super) mod decode;
pub(super) mod encode;
pub(super) mod encode_error;
pub(super) mod entry;
pub(super) mod frame;
pub(super) mod limits;
pub(super) mod protobuf;
pub(super) mod rpc;
pub(super) mod size;
pub(super) mod turn;

use ::libp2p::PeerId;

use super::{
    ids::{MessageId, TopicName},
    message::Message,
};
use crate::network::Network;

/// A network whose messages this codec reads and writes: one with libp2p's peers, topics, ids and messages.
pub(super) trait WireNetwork:
    Network<Peer = PeerId, Topic = TopicName, MessageId = MessageId, Message = Message>
{
}

impl<N> WireNetwork for N where
    N: Network<Peer = PeerId, Topic = TopicName, MessageId = MessageId, Message = Message>
{
}
