//! The streams that a peer opened on one connection. A peer has one at a time; when it opens another, what it wrote to the
//! one before is read first. With floodsub it may have several.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use ::libp2p::Stream;
use futures::AsyncRead;

use super::{
    graylist::GraylistCheck,
    inbound_stream::{InboundError, InboundRpc, InboundStream},
    read_budget::ReadBudget,
};
use crate::libp2p::{codec::turn::TurnBudget, network::Libp2pNetwork, state::TrafficCounters};

/// Most streams of a peer that are read: the last one, and the one before until the peer closes it.
pub(super) const MAX_STREAMS: usize = 2;
/// The same for a peer that speaks floodsub: rust-libp2p opens a stream for each RPC, up to this many at a time.
pub(super) const MAX_FLOODSUB_STREAMS: usize = 8;

/// The streams, the oldest first.
pub(super) struct InboundStreams<S = Stream>(VecDeque<InboundStream<S>>);

impl<S> Default for InboundStreams<S> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<S: AsyncRead + Unpin> InboundStreams<S> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a stream. Drops the oldest ones if there are more than `most`.
    pub(super) fn push(&mut self, stream: InboundStream<S>, most: usize, traffic: &TrafficCounters) {
        while self.0.len() >= most {
            self.drop_oldest(traffic);
        }
        self.0.push_back(stream);
    }

    /// Drops all streams.
    pub(super) fn clear(&mut self, traffic: &TrafficCounters) {
        while !self.0.is_empty() {
            self.drop_oldest(traffic);
        }
    }

    /// The next messages, of the oldest stream that has any; `None` when a stream has ended. `Pending` without a waker if
    /// the turn is exhausted.
    pub(super) fn poll_rpc(
        &mut self,
        cx: &mut Context<'_>,
        turn: &mut TurnBudget,
        budget: &Arc<ReadBudget>,
        network: &Libp2pNetwork,
        graylist: &GraylistCheck,
    ) -> Poll<Result<Option<InboundRpc>, InboundError>> {
        for index in 0..self.0.len() {
            let Poll::Ready(read) = self.0[index].poll_rpc(cx, turn, budget, network, graylist) else {
                continue;
            };
            match &read {
                Ok(Some(_)) => {}
                Ok(None) | Err(InboundError::Io(_)) => self.end(index, network.state().traffic()),
                // These frames are counted by the error.
                Err(InboundError::Frame(_) | InboundError::Rpc(_) | InboundError::SlowFrame) => {
                    drop(self.0.remove(index))
                }
            }
            return Poll::Ready(read);
        }
        Poll::Pending
    }

    fn drop_oldest(&mut self, traffic: &TrafficCounters) {
        if self.0.pop_front().is_some_and(|mut stream| stream.may_lose_frames()) {
            traffic.add_lost_frame();
        }
    }

    /// Removes a stream that has ended.
    fn end(&mut self, index: usize, traffic: &TrafficCounters) {
        if self.0.remove(index).is_some_and(|stream| stream.has_unread()) {
            traffic.add_lost_frame();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, pin::Pin, time::Duration};

    use super::*;
    use crate::{libp2p::signature::policy::SignaturePolicy, network::P2pMessage};
    use ::libp2p::PeerId;

    /// A stream on which these bytes arrive, and then nothing or the end.
    struct Bytes(Vec<u8>, bool);

    impl AsyncRead for Bytes {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            if self.0.is_empty() && !self.1 {
                return Poll::Pending;
            }
            let count = self.0.len().min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Poll::Ready(Ok(count))
        }
    }

    fn network() -> Libp2pNetwork {
        Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).build()
    }

    /// Frames that subscribe to one topic each.
    fn subscriptions(topics: &str) -> Vec<u8> {
        topics.bytes().flat_map(|topic| [7, 0x0a, 5, 8, 1, 0x12, 1, topic]).collect()
    }

    fn push(streams: &mut InboundStreams<Bytes>, bytes: Bytes, network: &Libp2pNetwork) {
        let budget = ReadBudget::new(network.state().memory());
        let stream = InboundStream::new(bytes, network, &budget, Duration::from_secs(20));
        streams.push(stream, MAX_STREAMS, network.state().traffic());
    }

    /// Reads until nothing is left. Returns the topics, and a `.` for each stream that ended.
    fn read(streams: &mut InboundStreams<Bytes>, network: &Libp2pNetwork) -> String {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let budget = Arc::new(ReadBudget::new(network.state().memory()));
        let graylist = GraylistCheck::new(PeerId::random(), None);
        let mut turn = TurnBudget::default();
        let mut read = String::new();
        while let Poll::Ready(rpc) = streams.poll_rpc(&mut cx, &mut turn, &budget, network, &graylist) {
            match rpc.unwrap() {
                Some(rpc) => read.extend(rpc.messages.iter().map(|message| match message {
                    P2pMessage::Subscribe { topic, .. } => topic.to_string(),
                    other => panic!("{other:?}"),
                })),
                None => read.push('.'),
            }
        }
        read
    }

    fn lost(network: &Libp2pNetwork) -> u64 {
        network.state().traffic().snapshot().lost_frames
    }

    #[tokio::test]
    async fn a_new_stream_loses_no_frame_of_the_one_before() {
        let (network, mut streams) = (network(), InboundStreams::default());
        push(&mut streams, Bytes(subscriptions("abc"), true), &network);
        push(&mut streams, Bytes(subscriptions("de"), false), &network);
        assert_eq!(read(&mut streams, &network), "abc.de");
        // The peer need not close the old one.
        push(&mut streams, Bytes(subscriptions("f"), false), &network);
        assert_eq!(read(&mut streams, &network), "f");
        assert_eq!((streams.0.len(), lost(&network)), (2, 0));
    }

    #[tokio::test]
    async fn the_number_of_streams_is_bounded_and_a_lost_frame_is_counted() {
        let (network, mut streams) = (network(), InboundStreams::default());
        let incomplete = || [subscriptions("a"), vec![7, 0x0a]].concat();
        push(&mut streams, Bytes(incomplete(), false), &network);
        push(&mut streams, Bytes(incomplete(), false), &network);
        assert_eq!(read(&mut streams, &network), "aa");
        push(&mut streams, Bytes(subscriptions("b"), false), &network);
        assert_eq!((streams.0.len(), lost(&network)), (2, 1));
        push(&mut streams, Bytes(incomplete(), true), &network);
        assert_eq!(read(&mut streams, &network), "ba.");
        assert_eq!(lost(&network), 3);
        // The first is read completely. Of the second nothing has arrived yet.
        push(&mut streams, Bytes(Vec::new(), false), &network);
        streams.clear(network.state().traffic());
        assert!(streams.is_empty());
        assert_eq!(lost(&network), 4);
    }

    /// Before, a stream with whole frames was dropped uncounted.
    #[tokio::test]
    async fn a_stream_that_is_dropped_before_it_is_read_is_counted() {
        let (network, mut streams) = (network(), InboundStreams::default());
        for topics in ["a", "b", "c"] {
            push(&mut streams, Bytes(subscriptions(topics), true), &network);
        }
        assert_eq!(lost(&network), 1);
        assert_eq!(read(&mut streams, &network), "b.c.");
        // The peer closed these without a frame.
        for _ in 0..3 {
            push(&mut streams, Bytes(Vec::new(), true), &network);
        }
        assert_eq!(lost(&network), 1);
    }
}
