//! Requested messages: each is requested by IWANT from one peer at a time. Peers that offer it meanwhile are remembered, and
//! one of them is asked if the message has not come within the follow-up time.

use std::collections::{BTreeMap, HashMap};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::TopicState;
use crate::{
    network::{Network, P2pMessage},
    protocol::{
        connection::ConnectionId,
        exchange::{Context, Outbox, peer_view::check_score},
        inspect::memory::{MAX_OFFERERS, REQUESTS_PART},
        rng::shuffle,
    },
    timestamp::Timestamp,
};

/// The outstanding requests of one topic.
#[derive_where(Debug, Default)]
pub(super) struct Requests<N: Network> {
    /// The hash map's order reaches no output.
    by_message: HashMap<N::MessageId, Request<N>, RandomState>,
}

/// A message that was requested and has not come.
#[derive_where(Debug)]
struct Request<N: Network> {
    asked: N::Peer,
    deadline: Timestamp,
    /// Other peers that have offered it since.
    offerers: Vec<N::Peer>,
}

impl<N: Network> Requests<N> {
    /// Whether the message is requested from another peer, whose time is not over. `peer` is remembered then.
    pub(super) fn is_requested(&mut self, id: &N::MessageId, peer: &N::Peer, now: Timestamp) -> bool {
        // The common case is that nothing is requested.
        if self.by_message.is_empty() {
            return false;
        }
        let Some(request) = self.by_message.get_mut(id).filter(|request| now < request.deadline) else {
            return false;
        };
        let is_known = request.asked == *peer || request.offerers.contains(peer);
        if !is_known && request.offerers.len() < MAX_OFFERERS {
            request.offerers.push(peer.clone());
        }
        true
    }

    /// Records a request. Of more than `max` messages nothing is recorded: they are requested from each peer that offers them.
    fn insert(&mut self, id: &N::MessageId, request: Request<N>, max: usize) {
        if self.by_message.len() < max || self.by_message.contains_key(id) {
            self.by_message.insert(id.clone(), request);
        }
    }

    /// The message has come, from any peer, or was published.
    #[inline]
    pub(super) fn remove(&mut self, id: &N::MessageId) {
        if !self.by_message.is_empty() {
            self.by_message.remove(id);
        }
    }

    /// Removes the requests whose time is over or whose peer has disconnected. Returns those that others have offered,
    /// ascending by id.
    fn take_over(&mut self, cx: &Context<'_, N>) -> Vec<(N::MessageId, Vec<N::Peer>)> {
        let is_over = |request: &Request<N>| {
            request.deadline <= cx.now || cx.peer_view.status(&request.asked).connection_id.is_none()
        };
        let over = self.by_message.extract_if(|_, request| is_over(request));
        let offered = over.filter(|(_, request)| !request.offerers.is_empty());
        let mut offered: Vec<_> = offered.map(|(id, request)| (id, request.offerers)).collect();
        offered.sort_unstable();
        if self.by_message.is_empty() {
            self.by_message = HashMap::default();
        }
        offered
    }

    pub(super) fn len(&self) -> usize {
        self.by_message.len()
    }
}

impl<N: Network> TopicState<N> {
    /// Records that messages are requested from a peer.
    pub(super) fn record_requests(&mut self, peer: &N::Peer, ids: &[N::MessageId], cx: &Context<'_, N>) {
        let extensions = &cx.limits.extensions;
        if extensions.iwant_from_one_peer && !extensions.iwant_followup_time.is_zero() {
            ids.iter().for_each(|id| self.record_request(peer, id, Vec::new(), cx));
        }
    }

    fn record_request(
        &mut self,
        peer: &N::Peer,
        id: &N::MessageId,
        offerers: Vec<N::Peer>,
        cx: &Context<'_, N>,
    ) {
        let deadline = cx.now.after(cx.limits.extensions.iwant_followup_time);
        let request = Request { asked: peer.clone(), deadline, offerers };
        self.requests.insert(id, request, cx.limits.bounds.max_promises_per_topic / REQUESTS_PART);
    }

    /// Requests what has not come in time, or whose peer has disconnected, from one of the other peers that offered it,
    /// chosen at random.
    pub(super) fn request_again(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let mut requests: BTreeMap<(N::Peer, ConnectionId), Vec<N::MessageId>> = BTreeMap::new();
        for (id, offerers) in self.requests.take_over(cx) {
            let mut able: Vec<_> = offerers.into_iter().filter_map(|peer| able_to_answer(peer, cx)).collect();
            if able.is_empty() {
                continue;
            }
            shuffle(&mut able, &mut self.rng);
            let (peer, connection_id) = able.swap_remove(0);
            self.record_request(&peer, &id, able.into_iter().map(|(peer, _)| peer).collect(), cx);
            requests.entry((peer, connection_id)).or_default().push(id);
        }
        for ((peer, connection_id), message_ids) in requests {
            self.track_promise(&peer, &message_ids, cx, outbox);
            outbox.send(connection_id, P2pMessage::IWant { message_ids });
        }
    }
}

/// The peer with its connection, if it may be sent an IWANT.
fn able_to_answer<N: Network>(peer: N::Peer, cx: &Context<'_, N>) -> Option<(N::Peer, ConnectionId)> {
    let status = cx.peer_view.status(&peer);
    let connection_id = status.connection_id.filter(|connection_id| connection_id.takes_gossip())?;
    check_score(status, cx.limits).is_ok().then_some((peer, connection_id))
}
