//! The stream that the peer opened: its bytes become frames, and each frame becomes the messages of one RPC. It is read
//! only while the connection's read budget has room.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::libp2p::Stream;
use futures::AsyncRead;

use super::{
    graylist::GraylistCheck,
    lanes::LaneCounts,
    read_budget::{Permit, ReadBudget},
};
use crate::{
    libp2p::{
        codec::{
            decode::{Decoded, decode},
            frame::{FrameDecoder, FrameError},
            rpc::RpcError,
        },
        ids::MessageId,
        network::Libp2pNetwork,
    },
    network::P2pMessage,
};

/// Most bytes that are read from a stream at once.
const READ_SIZE: usize = 8_192;

/// Why the stream of a peer is no longer read. The peer may open another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboundError {
    /// The bytes are not frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame is not an acceptable RPC.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
}

impl InboundError {
    /// Whether the peer broke the protocol. Otherwise the connection failed, and not the peer.
    pub fn is_violation(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// The messages of one RPC that was received, in the order in which they are handled.
#[derive(Debug)]
pub struct InboundRpc {
    pub(in crate::libp2p) messages: Vec<P2pMessage<Libp2pNetwork>>,
    /// How many of the messages are IDONTWANTs. They are the last ones.
    idontwants: usize,
    pub(in crate::libp2p) permit: Permit,
    /// The messages that were taken out of this connection's send queue because of the IDONTWANTs.
    pub(in crate::libp2p) suppressed: LaneCounts,
}

impl InboundRpc {
    /// The ids of each IDONTWANT.
    pub(super) fn idontwant(&self) -> impl Iterator<Item = &[MessageId]> {
        let first = self.messages.len().saturating_sub(self.idontwants);
        self.messages[first..].iter().filter_map(|message| match message {
            P2pMessage::IDontWant { message_ids } => Some(message_ids.as_slice()),
            _ => None,
        })
    }
}

pub(super) struct InboundStream {
    stream: Stream,
    decoder: FrameDecoder,
}

impl InboundStream {
    pub(super) fn new(stream: Stream, network: &Libp2pNetwork) -> Self {
        Self { stream, decoder: FrameDecoder::new(network.limits().max_frame_in) }
    }

    /// The next RPC that has messages. Those of a graylisted peer are dropped before they are decoded. `None` when the peer has closed the stream.
    pub(super) fn poll_rpc(
        &mut self,
        cx: &mut Context<'_>,
        budget: &Arc<ReadBudget>,
        network: &Libp2pNetwork,
        graylist: &GraylistCheck,
    ) -> Poll<Result<Option<InboundRpc>, InboundError>> {
        ready!(budget.poll_available(cx));
        loop {
            while let Some(frame) = self.decoder.next_frame()? {
                if graylist.is_graylisted() {
                    network.state().traffic().add_graylisted_rpc();
                    continue;
                }
                let Decoded { messages, idontwants } = decode(frame, network)?;
                if !messages.is_empty() {
                    let (permit, suppressed) = (budget.acquire(frame.len()), LaneCounts::NONE);
                    return Poll::Ready(Ok(Some(InboundRpc { messages, idontwants, permit, suppressed })));
                }
            }
            let mut chunk = [0; READ_SIZE];
            let count = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if count == 0 {
                return Poll::Ready(Ok(None));
            }
            network.state().traffic().add_received(count);
            self.decoder.extend(&chunk[..count]);
        }
    }
}
