//! Recording of a live engine's inputs to a file, and replay of such a file on a [`Node`](crate::protocol::Node).
#![doc = include_str!("recording.md")]

mod limits;
mod line;
mod recorder;
mod replay;

pub use line::Mistake;
pub use recorder::{FileRecorder, Recorded};
pub use replay::{Replay, Replayed};

use serde::{Serialize, de::DeserializeOwned};

use crate::{network::Network, plain::PlainNetwork};

/// A network whose inputs can be written to a file and read from it. In JSON its peers must be numbers or strings and
/// its topics strings, because both are keys of objects.
pub trait Recordable:
    Network<
        Peer: Serialize + DeserializeOwned,
        Topic: Serialize + DeserializeOwned,
        MessageId: Serialize + DeserializeOwned,
        Message: Serialize + DeserializeOwned,
        Point: Serialize + DeserializeOwned,
    >
{
    /// The name of this kind of network in the first line of a recording.
    const NAME: &'static str;

    /// In a replay: [`reachable_point`](Network::reachable_point) of this peer was `point` in the recorded engine, and
    /// should be the same from now on. A network whose points never change may ignore this.
    fn set_reachable_point(&self, _peer: &Self::Peer, _point: Self::Point) {}
}

impl Recordable for PlainNetwork {
    const NAME: &'static str = "plain";
}
