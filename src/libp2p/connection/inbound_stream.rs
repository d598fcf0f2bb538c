//! The stream that a peer opened: cuts it into frames, and those into what is said. It reads no further
//! ahead of the engine than the connection's gate allows.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::libp2p::Stream;
use futures::AsyncRead;

use super::read_budget::{Debt, Gate};
use crate::{
    libp2p::{
        codec::{
            decode as inbound,
            frame::{FrameDecoder, FrameError},
            rpc::RpcError,
        },
        ids::MessageId,
        network::Libp2pNetwork,
        swarm::event::LaneCounts,
    },
    network::P2pMessage,
};

/// Bytes read from a stream at once.
const READ_SIZE: usize = 8_192;

/// Why the stream of a peer is no longer read. It may open another.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// It does not send frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame is not an RPC.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
}

/// What one RPC said.
#[derive(Debug)]
pub struct Heard {
    pub(in crate::libp2p) said: Vec<P2pMessage<Libp2pNetwork>>,
    pub(in crate::libp2p) debt: Debt,
    /// What waited on the connection for the peer, which does not want it.
    pub(in crate::libp2p) spared: LaneCounts,
}

impl Heard {
    /// The ids of each IDONTWANT.
    pub(in crate::libp2p) fn unwanted(&self) -> impl Iterator<Item = &[MessageId]> {
        self.said.iter().filter_map(|message| match message {
            P2pMessage::IDontWant { message_ids } => Some(message_ids.as_slice()),
            _ => None,
        })
    }
}

pub(in crate::libp2p) struct Reader {
    stream: Stream,
    decoder: FrameDecoder,
}

impl Reader {
    pub(in crate::libp2p) fn new(stream: Stream, network: &Libp2pNetwork) -> Self {
        Self { stream, decoder: FrameDecoder::new(network.limits().max_frame_in) }
    }

    /// What the next frame says; `None` when the peer has closed the stream.
    pub(in crate::libp2p) fn poll_heard(
        &mut self,
        cx: &mut Context<'_>,
        gate: &Arc<Gate>,
        network: &Libp2pNetwork,
    ) -> Poll<Result<Option<Heard>, InboundError>> {
        ready!(gate.poll_open(cx));
        loop {
            while let Some(frame) = self.decoder.next_frame()? {
                let said = inbound::read(frame, network)?;
                if !said.is_empty() {
                    return Poll::Ready(Ok(Some(Heard {
                        said,
                        debt: gate.owe(frame.len()),
                        spared: LaneCounts::NONE,
                    })));
                }
            }
            let mut chunk = [0; READ_SIZE];
            let count = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if count == 0 {
                return Poll::Ready(Ok(None));
            }
            network.wire().received(count);
            self.decoder.extend(&chunk[..count]);
        }
    }
}
