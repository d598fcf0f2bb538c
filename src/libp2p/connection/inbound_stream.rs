//! The stream that the peer opened: its bytes become frames, and each frame becomes the messages of one RPC. It is read
//! only while the connection's read budget has room.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::libp2p::Stream;
use futures::{AsyncRead, FutureExt};
use tokio::time::{Sleep, sleep};

use super::{
    graylist::GraylistCheck,
    lanes::LaneCounts,
    read_budget::{Permit, ReadBudget},
    stall_detector::StallDetector,
};
use crate::{
    libp2p::{
        codec::{
            decode::{Decoded, decode},
            frame::{FrameDecoder, FrameError},
            rpc::RpcError,
            size::memory_of,
        },
        ids::MessageId,
        memory::MemoryCharge,
        network::Libp2pNetwork,
    },
    network::P2pMessage,
};

/// Most bytes that are read from a stream at once.
const READ_SIZE: usize = 8_192;
/// How often a stream that is not read for want of memory looks for some.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);

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
    /// A frame was not complete within [`BehaviourConfig::frame_timeout`](crate::libp2p::BehaviourConfig::frame_timeout).
    #[error("a frame was not complete in time")]
    SlowFrame,
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
}

impl InboundError {
    /// Whether the peer broke the protocol. Otherwise the connection failed, or is slow, and not the peer.
    pub fn is_violation(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Rpc(_))
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
    /// The charge for the memory of `decoder`.
    buffered: MemoryCharge,
    /// Detects that a frame takes too long.
    slow_frame: StallDetector,
    /// Set while the stream is not read for want of memory.
    retry: Option<Pin<Box<Sleep>>>,
}

impl InboundStream {
    pub(super) fn new(
        stream: Stream,
        network: &Libp2pNetwork,
        budget: &ReadBudget,
        frame_timeout: Duration,
    ) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(network.limits().max_frame_in),
            buffered: budget.charge(),
            // A frame is late whatever arrives of it, unless all of it does.
            slow_frame: StallDetector::new(frame_timeout, usize::MAX),
            retry: None,
        }
    }

    /// The next RPC that has messages. Those of a graylisted peer are dropped before they are decoded. `None` when the peer has closed the stream.
    pub(super) fn poll_rpc(
        &mut self,
        cx: &mut Context<'_>,
        budget: &Arc<ReadBudget>,
        network: &Libp2pNetwork,
        graylist: &GraylistCheck,
    ) -> Poll<Result<Option<InboundRpc>, InboundError>> {
        if budget.poll_available(cx).is_pending() {
            // The engine is behind, not the peer.
            let _ = self.slow_frame.poll_stalled(cx, false, 0);
            return Poll::Pending;
        }
        loop {
            while budget.may_decode()
                && let Some(frame) = self.decoder.next_frame()?
            {
                let _ = self.slow_frame.poll_stalled(cx, false, 0);
                if graylist.is_graylisted() {
                    network.state().traffic().add_graylisted_rpc();
                    continue;
                }
                let Decoded { messages, idontwants } = decode(frame, network)?;
                if !messages.is_empty() {
                    let permit = budget.acquire(frame.len().max(memory_of(&messages)));
                    let suppressed = LaneCounts::NONE;
                    return Poll::Ready(Ok(Some(InboundRpc { messages, idontwants, permit, suppressed })));
                }
            }
            self.buffered.resize(self.decoder.capacity());
            let Poll::Ready(count) = self.poll_read(cx, budget)? else {
                let incomplete = self.decoder.pending() > 0;
                ready!(self.slow_frame.poll_stalled(cx, incomplete, 0));
                return Poll::Ready(Err(InboundError::SlowFrame));
            };
            if count == 0 {
                return Poll::Ready(Ok(None));
            }
            network.state().traffic().add_received(count);
        }
    }

    /// Reads bytes, if there is memory for them. Otherwise the task is woken to look again.
    fn poll_read(&mut self, cx: &mut Context<'_>, budget: &ReadBudget) -> Poll<io::Result<usize>> {
        while !budget.may_buffer(self.decoder.capacity(), READ_SIZE) {
            let retry = self.retry.get_or_insert_with(|| Box::pin(sleep(MEMORY_INTERVAL)));
            ready!(retry.poll_unpin(cx));
            self.retry = None;
        }
        let mut chunk = [0; READ_SIZE];
        let count = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        self.decoder.extend(&chunk[..count]);
        self.buffered.resize(self.decoder.capacity());
        Poll::Ready(Ok(count))
    }
}
