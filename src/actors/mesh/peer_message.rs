//! Lets a topic handle what a peer said about it, and tells what became of it to whoever wants to know: the tally
//! counts, the log shows, the journal keeps. Used by the topic's actor, and by the supervisor for topics that have
//! none. Decides nothing.

use super::messages::{IncomingMessage, PeerMessage};
use crate::{
    actors::{
        arbiter::outgoing::Outgoing,
        diagnostics::{
            journal::Note,
            log::{self, BeforeGraft, Said},
        },
        shared::Shared,
    },
    directory::connection::ConnectionRecord,
    network::{Delivery, Network, P2pMessage, PxPeer},
    protocol::{
        exchange::{
            Context, Outbox,
            peer_view::{PeerStatus, PeerView},
        },
        outcome::{
            IWantOutcome, ReceiveOutcome,
            decision::{EventKind, PeerDecision, Pruning},
            labels::Input,
        },
        peers::idontwant::check_idontwant,
        topic::TopicState,
    },
    timestamp::Timestamp,
};

/// Lets a topic handle what a peer said about it.
pub(in crate::actors) fn handle_peer<N: Network>(
    state: &mut TopicState<N>,
    saying: PeerMessage<N>,
    shared: &Shared<N>,
    outbox: &mut Outbox<N>,
) {
    let PeerMessage { from, connection, message, at, credit: _credit } = saying;
    let record = connection.as_deref();
    let status =
        record.map_or_else(|| shared.directory.status_of_disconnected(&from), ConnectionRecord::status);
    let speaker = PeerInputHandler { peer: &from, record, status, at, shared };
    match message {
        P2pMessage::Subscribe { .. } => speaker.subscribe(state, outbox),
        P2pMessage::Unsubscribe { .. } => speaker.unsubscribe(state, outbox),
        P2pMessage::Graft { .. } => speaker.graft(state, outbox),
        P2pMessage::Prune { px, backoff, .. } => speaker.prune(state, px, backoff, outbox),
        P2pMessage::IHave { message_ids, .. } => speaker.ihave(state, message_ids, outbox),
        P2pMessage::IWant { message_ids } => speaker.iwant(state, message_ids, outbox),
        // A full message arrives by another way, an IDONTWANT is dealt with at the door; a ping says nothing.
        P2pMessage::FullMessage(_) | P2pMessage::IDontWant { .. } | P2pMessage::Ping => {}
    }
}

/// Heeds an IDONTWANT, at the door: it is no topic's.
pub(crate) fn handle_idontwant<N: Network>(
    shared: &Shared<N>,
    peer: &N::Peer,
    record: Option<&ConnectionRecord>,
    ids: Vec<N::MessageId>,
    at: Timestamp,
) {
    let record = record.filter(|record| record.is_connected());
    let status =
        record.map_or_else(|| shared.directory.status_of_disconnected(peer), ConnectionRecord::status);
    let named = ids.len();
    let outcome = match check_idontwant(status, &shared.limits) {
        Ok(()) => shared.directory.insert_idontwant(peer, ids, &shared.limits),
        Err(refused) => refused,
    };
    shared.metrics.declined(named, &outcome);
    Said::<N> { peer, status }.idontwant(named, outcome);
    if let Some(decision) = PeerDecision::of_idontwant(outcome) {
        let about = Note { peer: Some(peer), topic: None, score: status.score, at };
        shared.journal.decided(about, decision);
    }
}

/// Lets a topic handle a full message that a peer sent. `watched`: see [`watches_messages`].
pub(in crate::actors) fn handle_message<N: Network>(
    state: &mut TopicState<N>,
    arrival: IncomingMessage<N>,
    cx: &Context<'_, N>,
    watched: bool,
    shared: &Shared<N>,
    outbox: &mut Outbox<N>,
    outgoing: &mut Outgoing<N>,
) {
    let IncomingMessage { from, message, credit } = arrival;
    let thread_slot = credit.thread_slot();
    credit.release_into(&mut outgoing.released);
    let delivery = Delivery::new(from, message);
    let bytes = shared.network.message_size(&delivery.message.message);
    outbox.tally.bytes += bytes as u64;
    let kept = watched.then(|| delivery.clone());
    let outcome = state.receive(delivery, shared.validation_mode, cx, outbox);
    outbox.tally.input(Input::ReceiveMessage, &outcome);
    if let Some(copy) = outbox.copy.take() {
        outgoing.spent.add(copy, bytes, thread_slot);
    }
    if let Some(delivery) = kept {
        keep_message(&delivery, &outcome, cx.now, shared);
    }
    if matches!(outcome, ReceiveOutcome::Throttled) {
        shared.metrics.validations_throttled(1);
    }
}

/// Whether log or journal want to hear of each full message: they are asked once for many.
pub(in crate::actors) fn watches_messages<N: Network>(shared: &Shared<N>) -> bool {
    shared.journal.keeps_messages() || log::wants_messages()
}

fn keep_message<N: Network>(
    delivery: &Delivery<N>,
    outcome: &ReceiveOutcome<N>,
    at: Timestamp,
    shared: &Shared<N>,
) {
    let Delivery { sender, message, .. } = delivery;
    log::message::<N>(sender, &message.topic, outcome);
    if let Some(what) = EventKind::to_message(outcome).filter(|_| shared.journal.keeps_messages()) {
        let score = shared.directory.status(sender).score;
        let about = Note { peer: Some(sender), topic: Some(&message.topic), score, at };
        shared.journal.message(about, &message.message_id, what);
    }
}

/// Who says something, and how it stands.
struct PeerInputHandler<'a, N: Network> {
    peer: &'a N::Peer,
    /// Its connection, if it has one.
    record: Option<&'a ConnectionRecord>,
    status: PeerStatus,
    at: Timestamp,
    shared: &'a Shared<N>,
}

impl<N: Network> PeerInputHandler<'_, N> {
    fn subscribe(&self, state: &mut TopicState<N>, outbox: &mut Outbox<N>) {
        let outcome =
            self.with_room(state, |state, room| state.subscribe(self.peer, self.status, room, outbox));
        outbox.tally.input(Input::Subscribe, &outcome);
        self.said().subscribe(&state.topic, outcome);
        self.keep(state, PeerDecision::of_subscribe(outcome));
    }

    fn unsubscribe(&self, state: &mut TopicState<N>, outbox: &mut Outbox<N>) {
        if let Some(record) = self.record.filter(|record| state.is_subscriber(record.connection_id())) {
            record.release_subscription();
        }
        let in_mesh = state.is_in_mesh(self.peer);
        let outcome = state.unsubscribe(self.peer, self.status, outbox);
        outbox.tally.input(Input::Unsubscribe, &outcome);
        self.said().unsubscribe(&state.topic, outcome);
        let left = in_mesh && !state.is_in_mesh(self.peer);
        self.keep(state, left.then_some(PeerDecision::Pruned(Pruning::Unsubscribed)));
    }

    fn graft(&self, state: &mut TopicState<N>, outbox: &mut Outbox<N>) {
        let before = BeforeGraft::of(state, self.peer, self.at);
        let cx = self.shared.context(self.at);
        let outcome =
            self.with_room(state, |state, room| state.graft(self.peer, self.status, room, &cx, outbox));
        outbox.tally.input(Input::Graft, &outcome);
        self.said().graft(&state.topic, outcome, before, self.shared.limits.degree_high);
        self.keep(state, Some(PeerDecision::Graft(outcome)));
    }

    /// One that is not refused is for the peers' side to judge, and to count.
    fn prune(
        &self,
        state: &mut TopicState<N>,
        px: Vec<PxPeer<N::Peer>>,
        backoff: std::time::Duration,
        outbox: &mut Outbox<N>,
    ) {
        let cx = self.shared.context(self.at);
        let outcome = state.prune(self.peer, self.status, px, backoff, &cx, outbox);
        self.said().prune(&state.topic, outcome.as_ref());
        match outcome {
            Some(refused) => outbox.tally.input(Input::Prune, &refused),
            None => self.keep(state, Some(PeerDecision::PrunedByPeer)),
        }
    }

    fn ihave(&self, state: &mut TopicState<N>, ids: Vec<N::MessageId>, outbox: &mut Outbox<N>) {
        outbox.tally.offered(ids.len());
        let cx = self.shared.context(self.at);
        let outcome = self.shared.directory.with_heartbeat_quota(self.peer, &self.shared.limits, |quota| {
            state.ihave(self.peer, self.status, ids, quota, &cx, outbox)
        });
        outbox.tally.input(Input::IHave, &outcome);
        self.said().ihave(&state.topic, &outcome);
        self.keep(state, PeerDecision::of_ihave(&outcome));
    }

    fn iwant(&self, state: &mut TopicState<N>, ids: Vec<N::MessageId>, outbox: &mut Outbox<N>) {
        outbox.tally.asked(ids.len());
        let outcome = state.iwant(self.peer, self.status, ids, &self.shared.context(self.at), outbox);
        outbox.tally.input(Input::IWant, &outcome);
        if let IWantOutcome::Answered { ids } = &outcome {
            ids.values().for_each(|answer| outbox.tally.answered(answer));
        }
        self.said().iwant(&state.topic, &outcome);
        self.keep(state, PeerDecision::of_iwant(&outcome));
    }

    /// Reserves a place under the peer's cap on topics, and gives it back if it was not taken up.
    fn with_room<T>(
        &self,
        state: &mut TopicState<N>,
        handle: impl FnOnce(&mut TopicState<N>, bool) -> T,
    ) -> T {
        let connection_id = self.record.map(ConnectionRecord::connection_id);
        let subscribed = |state: &TopicState<N>| {
            connection_id.is_some_and(|connection_id| state.is_subscriber(connection_id))
        };
        let before = subscribed(state);
        let max = self.shared.limits.max_topics_per_peer;
        let room = self.record.filter(|record| record.reserve_subscription(max));
        let outcome = handle(state, room.is_some());
        if let Some(record) = room.filter(|_| before || !subscribed(state)) {
            record.release_subscription();
        }
        outcome
    }

    fn said(&self) -> Said<'_, N> {
        Said { peer: self.peer, status: self.status }
    }

    fn keep(&self, state: &TopicState<N>, decision: Option<PeerDecision>) {
        if let Some(decision) = decision {
            let (topic, score) = (Some(&state.topic), self.status.score);
            self.shared.journal.decided(Note { peer: Some(self.peer), topic, score, at: self.at }, decision);
        }
    }
}
