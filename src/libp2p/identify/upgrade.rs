//! The streams of identify: one message, or several that count as one, and then the end of the stream. go-libp2p sends its
//! record as a message of its own if the other fields are long.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use ::libp2p::{
    Multiaddr, Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
};
use futures::{AsyncReadExt, AsyncWriteExt, future::BoxFuture};

use super::message::{LocalInfo, PeerReport};

pub(super) const IDENTIFY: StreamProtocol = StreamProtocol::new("/ipfs/id/1.0.0");
pub(super) const PUSH: StreamProtocol = StreamProtocol::new("/ipfs/id/push/1.0.0");
/// Most bytes that are read of a peer. go-libp2p sends up to 8 KiB.
const MAX_BYTES: u64 = 16 << 10;

/// The result of a stream.
#[derive(Debug)]
pub enum Exchanged {
    /// This node sent what it says of itself.
    Sent,
    /// This node received what a peer says of itself.
    Received(Vec<u8>),
}

/// Answers a peer that asks who this node is, and receives what a peer pushes when it changed.
#[derive(Clone)]
pub struct Answer {
    pub(super) local: Arc<Mutex<LocalInfo>>,
    /// The peer's end of the connection.
    pub(super) observed: Multiaddr,
}

impl Answer {
    fn message(&self) -> Vec<u8> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner).message(&self.observed)
    }
}

/// The action of this node on a stream that it opens.
#[derive(Debug)]
pub enum Request {
    /// It asks the peer who it is.
    Ask,
    /// It pushes this message.
    Push(Vec<u8>),
}

impl UpgradeInfo for Answer {
    type Info = StreamProtocol;
    type InfoIter = std::array::IntoIter<StreamProtocol, 2>;

    fn protocol_info(&self) -> Self::InfoIter {
        [IDENTIFY, PUSH].into_iter()
    }
}

impl UpgradeInfo for Request {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(if matches!(self, Self::Ask) { IDENTIFY } else { PUSH })
    }
}

impl InboundUpgrade<Stream> for Answer {
    type Output = Exchanged;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Exchanged>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        if protocol == PUSH {
            return Box::pin(receive(stream));
        }
        Box::pin(async move { send(stream, self.message()).await })
    }
}

impl OutboundUpgrade<Stream> for Request {
    type Output = Exchanged;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Exchanged>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        match self {
            Self::Ask => Box::pin(receive(stream)),
            Self::Push(message) => Box::pin(send(stream, message)),
        }
    }
}

async fn send(mut stream: Stream, message: Vec<u8>) -> io::Result<Exchanged> {
    let mut length = unsigned_varint::encode::usize_buffer();
    stream.write_all(unsigned_varint::encode::usize(message.len(), &mut length)).await?;
    stream.write_all(&message).await?;
    stream.close().await?;
    Ok(Exchanged::Sent)
}

async fn receive(mut stream: Stream) -> io::Result<Exchanged> {
    stream.close().await?;
    let mut bytes = Vec::new();
    stream.take(MAX_BYTES).read_to_end(&mut bytes).await?;
    Ok(Exchanged::Received(joined(&bytes)?))
}

/// The messages of a stream as one: the fields of a protobuf message may be spread over several.
fn joined(mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut all = Vec::with_capacity(bytes.len());
    while !bytes.is_empty() {
        let (length, rest) = unsigned_varint::decode::usize(bytes).map_err(io::Error::other)?;
        let message = rest.get(..length).ok_or(io::ErrorKind::UnexpectedEof)?;
        all.extend_from_slice(message);
        bytes = &rest[length..];
    }
    Ok(all)
}

impl Exchanged {
    /// What a peer says of itself, if it was received and can be read.
    pub(super) fn report(&self) -> Option<PeerReport> {
        if let Self::Received(bytes) = self { PeerReport::read(bytes) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_one_stream_count_as_one() {
        assert_eq!(joined(&[2, 1, 2, 0, 1, 3]).unwrap(), [1, 2, 3]);
        assert!(joined(&[]).unwrap().is_empty());
        assert!(joined(&[3, 1, 2]).is_err() && joined(&[0xff; 11]).is_err());
    }
}
