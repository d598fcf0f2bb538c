//! The stream that the peer opened: its bytes become frames, and each frame becomes the messages of one RPC, in several
//! parts if it is more work than one turn may do. It is read only while the connection's read budget has room.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
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
            entry::RpcError,
            frame::{FrameDecoder, FrameError},
            rpc::RpcReader,
            size::memory_of,
            turn::TurnBudget,
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

/// The messages of one RPC that was received, or of a part of it, in the order in which they are handled.
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
    /// The ids of all IDONTWANTs.
    pub(super) fn idontwant(&self) -> impl Iterator<Item = &MessageId> {
        let first = self.messages.len().saturating_sub(self.idontwants);
        let ids = self.messages[first..].iter().filter_map(|message| match message {
            P2pMessage::IDontWant { message_ids } => Some(message_ids),
            _ => None,
        });
        ids.flatten()
    }

    #[cfg(test)]
    pub(super) fn of_idontwants(messages: Vec<P2pMessage<Libp2pNetwork>>) -> Self {
        let permit = Arc::new(ReadBudget::new(&Arc::default())).acquire(0);
        Self { idontwants: messages.len(), messages, permit, suppressed: LaneCounts::NONE }
    }
}

pub(super) struct InboundStream<S = Stream> {
    stream: S,
    decoder: FrameDecoder,
    /// Reads the frame that the decoder returned last.
    reader: RpcReader,
    /// Whether any bytes were received.
    received: bool,
    /// The charge for the memory of `decoder` and `reader`.
    buffered: MemoryCharge,
    /// Detects that a frame takes too long.
    slow_frame: StallDetector,
    /// Set while the stream is not read for want of memory.
    retry: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + Unpin> InboundStream<S> {
    pub(super) fn new(
        stream: S,
        network: &Libp2pNetwork,
        budget: &ReadBudget,
        frame_timeout: Duration,
    ) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(network.limits().max_frame_in),
            reader: RpcReader::default(),
            received: false,
            buffered: budget.charge(),
            // A frame is late whatever arrives of it, unless all of it does.
            slow_frame: StallDetector::new(frame_timeout, usize::MAX),
            retry: None,
        }
    }

    /// Whether a part of a frame was received, or a frame is not handled completely.
    pub(super) fn has_unread(&self) -> bool {
        self.reader.has_next() || self.decoder.pending() > 0
    }

    /// Whether frames may be lost if the stream is dropped, which has not ended or broken as far as it is read: a part of one is
    /// not handled, more bytes have arrived, or nothing has arrived yet of a stream that the peer opened for some frame.
    pub(super) fn may_lose_frames(&mut self) -> bool {
        // Nobody waits for the stream any more.
        let mut cx = Context::from_waker(Waker::noop());
        self.has_unread()
            || match Pin::new(&mut self.stream).poll_read(&mut cx, &mut [0]) {
                Poll::Ready(Ok(count)) => count > 0,
                Poll::Ready(Err(_)) | Poll::Pending => !self.received,
            }
    }

    /// The next messages; `None` when the peer has closed the stream. `Pending` without a waker if the turn is exhausted.
    pub(super) fn poll_rpc(
        &mut self,
        cx: &mut Context<'_>,
        turn: &mut TurnBudget,
        budget: &Arc<ReadBudget>,
        network: &Libp2pNetwork,
        graylist: &GraylistCheck,
    ) -> Poll<Result<Option<InboundRpc>, InboundError>> {
        if budget.poll_available(cx).is_pending() {
            self.reset_slow_frame(cx);
            return Poll::Pending;
        }
        loop {
            while budget.may_decode()
                && (self.reader.has_next() || self.begin_frame(cx, turn, network, graylist)?)
            {
                if turn.is_exhausted() {
                    return Poll::Pending;
                }
                let Decoded { messages, idontwants, bytes } =
                    decode(self.decoder.frame(), &mut self.reader, turn, network)?;
                network.state().traffic().add_ignored_entries(self.reader.take_ignored());
                if !messages.is_empty() {
                    let permit = budget.acquire(bytes.max(memory_of(&messages)));
                    let suppressed = LaneCounts::NONE;
                    return Poll::Ready(Ok(Some(InboundRpc { messages, idontwants, permit, suppressed })));
                }
            }
            if turn.is_exhausted() {
                return Poll::Pending;
            }
            let decodes = budget.may_decode();
            let has_memory = self.poll_memory(cx, budget).is_ready();
            // Memory may have become free since the last entry.
            if has_memory && (self.reader.has_next() || !decodes) {
                continue;
            }
            let read = if has_memory { self.poll_read(cx)? } else { Poll::Pending };
            let Poll::Ready(count) = read else {
                let incomplete = self.decoder.pending() > 0;
                ready!(self.slow_frame.poll_stalled(cx, incomplete, 0));
                return Poll::Ready(Err(InboundError::SlowFrame));
            };
            if count == 0 {
                return Poll::Ready(Ok(None));
            }
            self.received = true;
            turn.charge_read(count);
            network.state().traffic().add_received(count);
        }
    }

    /// Begins the next frame. Frames of a graylisted peer are dropped before they are decoded. Returns false if no frame has
    /// arrived completely, or the turn is exhausted.
    fn begin_frame(
        &mut self,
        cx: &mut Context<'_>,
        turn: &mut TurnBudget,
        network: &Libp2pNetwork,
        graylist: &GraylistCheck,
    ) -> Result<bool, InboundError> {
        while !turn.is_exhausted()
            && let Some(frame) = self.decoder.next_frame()?
        {
            turn.charge_frame();
            let dropped = graylist.is_graylisted();
            if !dropped {
                self.reader.begin(frame, network.limits())?;
            }
            self.reset_slow_frame(cx);
            if !dropped {
                return Ok(true);
            }
            network.state().traffic().add_graylisted_rpc();
        }
        Ok(false)
    }

    /// A frame is complete, or the engine is behind and not the peer.
    fn reset_slow_frame(&mut self, cx: &mut Context<'_>) {
        let _ = self.slow_frame.poll_stalled(cx, false, 0);
    }

    /// Waits until there is memory for more bytes.
    fn poll_memory(&mut self, cx: &mut Context<'_>, budget: &ReadBudget) -> Poll<()> {
        self.charge_buffers();
        while !budget.may_buffer(self.buffered.bytes(), READ_SIZE) {
            let retry = self.retry.get_or_insert_with(|| Box::pin(sleep(MEMORY_INTERVAL)));
            ready!(retry.poll_unpin(cx));
            self.retry = None;
        }
        Poll::Ready(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0; READ_SIZE];
        let count = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        self.decoder.extend(&chunk[..count]);
        self.charge_buffers();
        Poll::Ready(Ok(count))
    }

    fn charge_buffers(&mut self) {
        self.buffered.resize(self.decoder.capacity() + self.reader.capacity());
    }
}

#[cfg(test)]
mod tests {
    use ::libp2p::{PeerId, identity::Keypair};
    use futures::io::Cursor;

    use super::*;
    use crate::{
        libp2p::{
            codec::protobuf::{put_bytes, put_varint},
            signature::policy::SignaturePolicy,
        },
        network::TransportStats,
    };

    fn network() -> Libp2pNetwork {
        Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(Keypair::generate_ed25519()))).build()
    }

    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, number, bytes);
        out
    }

    fn frame(rpc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, rpc.len() as u64);
        [&out, rpc].concat()
    }

    type Message = P2pMessage<Libp2pNetwork>;

    /// Reads a whole stream. Returns the messages of each turn.
    fn turns(network: &Libp2pNetwork, bytes: Vec<u8>, mut after_turn: impl FnMut()) -> Vec<Vec<Message>> {
        let budget = Arc::new(ReadBudget::new(network.state().memory()));
        let mut stream = InboundStream::new(Cursor::new(bytes), network, &budget, Duration::from_secs(20));
        let graylist = GraylistCheck::new(PeerId::random(), None);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut turns = vec![Vec::new()];
        let mut turn = TurnBudget::default();
        loop {
            match stream.poll_rpc(&mut cx, &mut turn, &budget, network, &graylist) {
                Poll::Ready(Ok(Some(rpc))) => turns.last_mut().unwrap().extend(rpc.messages),
                Poll::Ready(Ok(None)) => return turns,
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => {
                    assert!(turn.is_exhausted(), "the engine has taken all messages");
                    turn = TurnBudget::default();
                    turns.push(Vec::new());
                    after_turn();
                }
            }
        }
    }

    #[test]
    fn a_frame_of_many_entries_is_handled_in_several_turns_and_in_order() {
        let topics = || (0..5_000).map(|number| format!("topic-{number}"));
        let subscription = |topic: String| field(1, &[&[8, 1][..], &field(2, topic.as_bytes())].concat());
        let graft = |topic: String| field(3, &field(3, &field(1, topic.as_bytes())));
        // The order of the kinds is that of the other implementations, not that of the bytes.
        let rpc: Vec<u8> = topics().map(graft).chain(topics().map(subscription)).flatten().collect();
        let turns = turns(&network(), frame(&rpc), || {});
        let subscribed = topics().map(|topic| Message::subscribe(topic.into()));
        let grafted = topics().map(|topic| Message::Graft { topic: topic.into() });
        assert_eq!(turns.concat(), subscribed.chain(grafted).collect::<Vec<_>>());
        let is_subscription = |message: &&Message| matches!(message, Message::Subscribe { .. });
        for turn in turns {
            assert!(
                turn.len() <= 512 && turn.iter().filter(is_subscription).count() <= 100,
                "{}",
                turn.len()
            );
        }
    }

    #[test]
    fn an_ihave_of_5000_ids_is_accepted_and_ids_beyond_the_limit_are_counted() {
        let network = network();
        let ihave = |ids: usize| {
            let fields = [field(1, b"t"), field(2, &[7; 30]).repeat(ids)].concat();
            field(3, &field(1, &fields))
        };
        let [honest, excessive] = [5_000, 20_000].map(ihave);
        let messages = turns(&network, frame(&[honest, excessive, ihave(1)].concat()), || {}).concat();
        let ids: Vec<_> = messages
            .iter()
            .map(|message| match message {
                Message::IHave { message_ids, .. } => message_ids.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, [5_000, 15_000, 0]);
        assert_eq!(network.state().traffic().snapshot().ignored_entries, 5_001);
    }

    #[test]
    fn a_forged_message_ends_the_turn_and_few_signatures_are_checked_in_one() {
        let network = network();
        let sign = |number: u32| {
            let message = network.message("t".into(), number.to_be_bytes()).unwrap().message;
            let source = message.source().unwrap().to_bytes();
            let seqno = message.seqno().unwrap().to_be_bytes();
            let (data, signature) = (field(2, message.data()), field(5, message.signature().unwrap()));
            [field(1, &source), data, field(3, &seqno), field(4, b"t"), signature].concat()
        };
        let stats = || network.state().traffic().snapshot();
        let signed: Vec<u8> = (0..100).flat_map(|number| field(2, &sign(number))).collect();
        let mut before = TransportStats::default();
        let good = turns(&network, frame(&signed), || {
            let now = stats();
            assert!(now.verified_signatures - before.verified_signatures <= 8);
            before = now;
        });
        assert_eq!(
            (good.concat().len(), stats().verified_signatures, stats().policy_violations),
            (100, 100, 0)
        );

        let mut forged = sign(0);
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let bad = turns(&network, frame(&field(2, &forged).repeat(1_000)), || {
            let now = stats();
            assert!(now.policy_violations - before.policy_violations <= 1);
            before = now;
        });
        assert_eq!((bad.concat().len(), stats().policy_violations), (1_000, 1_000));
        assert!(bad.len() >= 1_000);
    }

    #[test]
    fn empty_frames_and_empty_rpcs_use_up_a_turn() {
        let unknown = frame(&field(99, b"x"));
        let empty_control = frame(&field(3, &[]));
        for frame in [vec![0], unknown, empty_control] {
            let turns = turns(&network(), frame.repeat(5_120), || {});
            assert_eq!((turns.concat().len(), turns.len()), (0, 11));
        }
        // A stream of large frames without content ends its turns by its bytes.
        let turns = turns(&network(), frame(&field(99, &[0; 1 << 18])).repeat(4), || {});
        assert!((16..=17).contains(&turns.len()), "{}", turns.len());
    }
}
