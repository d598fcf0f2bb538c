//! The handle of a running engine: takes inputs, answers questions. Decides who is admitted, and
//! nothing else.

mod actor;
mod builder;
mod input;
mod queries;
mod streams;
mod ticket;

use std::sync::{Arc, atomic::Ordering};

use actix::Arbiter;
use derive_where::derive_where;
use tokio::sync::oneshot;

use crate::{
    actors::{
        mesh::messages::{Snapshot, TopicItem},
        shared::Shared,
        supervisor::messages::SupervisorItem,
    },
    input_recorder::RecordedInput,
    limits::Limits,
    network::{AppInput, FullMessage, Network, P2pInput},
    outputs::publication::PublishState,
    protocol::{Lane, Stats, Timestamp, View},
};

pub use self::{
    builder::{StartError, Started, WorkerBuilder},
    input::peer::PeerInputs,
    queries::page::{Events, HeartbeatStatus, Page, PageOf, QueueStatus},
    streams::{AppOutputs, P2pOutputs},
    ticket::PublishTicket,
};
pub use crate::{
    actors::fault::{EngineError, EngineStopped},
    admission::refused::Refused,
    outputs::publication::{DropReason, PublishReport, RouteResult},
};

/// The handle of a gossipsub engine. Cheap to clone, usable from any thread and any runtime.
///
/// Made by [`Worker::builder`]. The engine runs until [`shutdown`](Self::shutdown), or until its
/// actix system ends.
#[derive_where(Clone)]
pub struct Worker<N: Network> {
    shared: Arc<Shared<N>>,
    arbiters: Arc<std::sync::Mutex<Vec<Arbiter>>>,
}

// === Inputs ===

impl<N: Network> Worker<N> {
    /// Sets an engine up for `network` under `limits`.
    pub fn builder(network: N, limits: Limits<N::Topic>) -> WorkerBuilder<N> {
        WorkerBuilder::new(network, limits)
    }

    /// Takes an input of the p2p layer. Never blocks.
    ///
    /// # Errors
    /// A message of a peer is refused when too much waits, of all peers or of this one, or when the
    /// application does not read its stream: see [`Refused`]. Connections and disconnections are refused only by an engine
    /// that has ended.
    pub fn p2p_input(&self, input: P2pInput<N>) -> Result<(), Refused> {
        input::p2p_input(&self.shared, input)
    }

    /// What takes the messages of `peer` from now on: for a transport that has a task for each connection, and
    /// asks for it once [`p2p_input`](Self::p2p_input) has taken the connection.
    pub fn peer_inputs(&self, peer: N::Peer) -> PeerInputs<N> {
        PeerInputs::new(Arc::clone(&self.shared), peer)
    }

    /// Takes an input of the application. Never blocks. What the application did before, what arrives
    /// after sees: a message that comes once this returned finds the topic joined.
    ///
    /// # Errors
    /// A publication is refused when too many of them wait; everything, by an engine that has ended.
    pub fn app_input(&self, input: AppInput<N>) -> Result<(), Refused> {
        input::app_input(&self.shared, input)
    }

    /// Publishes a message, as [`AppInput::Publish`] does, and answers what to wait on to learn what
    /// became of it.
    ///
    /// # Errors
    /// Too many publications wait, or the engine has ended.
    pub fn publish(&self, message: FullMessage<N>) -> Result<PublishTicket<N>, Refused> {
        let publication = Arc::new(PublishState::default());
        let key = (message.topic.clone(), message.message_id.clone());
        input::publish_with_ticket(&self.shared, message, Arc::clone(&publication))?;
        Ok(PublishTicket::new(self.clone(), key, publication))
    }

    /// Whether somebody waits to hear what became of this message: then the transport is to tell, for
    /// each peer, by [`report_sent`](Self::report_sent) or [`report_not_sent`](Self::report_not_sent).
    pub fn wants_reports(&self, topic: &N::Topic, id: &N::MessageId) -> bool {
        self.shared.tickets.is_open(topic, id)
    }

    /// The transport sent a message to one peer.
    pub fn report_sent(&self, topic: &N::Topic, id: &N::MessageId) {
        self.shared.tickets.sent(topic, id);
    }

    /// The transport could not send a message to one peer.
    pub fn report_not_sent(&self, topic: &N::Topic, id: &N::MessageId, reason: DropReason) {
        self.shared.tickets.not_sent(topic, id, reason, 1);
    }

    /// The transport finds `peer` too slow to be told what it must be told (grafts, prunes, subscriptions): it
    /// reads nothing, or less than is said. Counted, told to the observer, and held against it
    /// ([`slow_peer_penalty`](crate::limits::Extensions::slow_peer_penalty)). Once a stall is enough; what
    /// becomes of the connection is the transport's.
    pub fn report_slow_peer(&self, peer: &N::Peer) {
        self.shared.metrics.slow_peer();
        self.shared.record(RecordedInput::SlowPeer(peer));
        self.tell(SupervisorItem::SlowPeer(peer.clone()));
    }

    /// The transport dropped so many outputs that it had read from the stream, for this reason.
    pub fn report_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        self.shared.metrics.output_dropped(lane, reason, count);
    }

    /// Waits until an input of `peer` would be taken: a transport that reads no more from this peer
    /// until then slows it down, and it alone. RecycleBins at once when the engine has ended.
    pub async fn p2p_input_ready(&self, peer: &N::Peer) {
        let directory = &self.shared.directory;
        let account = input::account(&self.shared, peer);
        let open = || input::has_way_out(&self.shared);
        let ended = || self.shared.is_closing();
        self.shared.admission.ready(&account, || directory.connected(), open, ended).await;
    }

    /// Says that an attempt to reach `point` failed: it is left alone for 5 heartbeats, then 10, 20 …
    /// up to 300, until a peer connects from it.
    pub fn set_unreachable_point(&self, point: N::Point) {
        self.shared.record(RecordedInput::UnreachablePoint(&point));
        self.tell(SupervisorItem::SetUnreachablePoint(point));
    }
}

// === Questions ===

impl<N: Network> Worker<N> {
    /// Whether the application's last word on `topic` was join.
    pub fn is_subscribed(&self, topic: &N::Topic) -> bool {
        self.shared.topic_table.get(topic).is_some_and(|entry| entry.joined)
    }

    /// The sixteen counters, as of the last burst of work of each actor.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How many messages of peers and publications of the application wait to be handled.
    pub fn input_queue_length(&self) -> usize {
        self.shared.admission.waiting().items() + self.shared.publications.waiting().items()
    }

    /// The limits it runs under.
    pub fn limits(&self) -> &Limits<N::Topic> {
        &self.shared.limits
    }

    /// The whole state. Each topic's part is consistent in itself; all are of one moment only when
    /// nothing is on its way ([`settle`](Self::settle)).
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn state(&self) -> Result<View<N>, EngineStopped> {
        self.inspect().await
    }

    /// Each unreachable point with the heartbeats until it may be tried; negative when that is past.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn reconnection_delays(&self) -> Result<Vec<(N::Point, i64)>, EngineStopped> {
        self.ask(SupervisorItem::Delays).await
    }

    async fn inspect(&self) -> Result<View<N>, EngineStopped> {
        let Snapshot { mut view, topics } = self.ask(SupervisorItem::Inspect).await?;
        for address in topics {
            let (reply, answer) = oneshot::channel();
            address.push(TopicItem::Inspect(reply));
            // A topic that retired or restarted meanwhile is left out.
            if let Ok(part) = answer.await {
                view.merge(part);
            }
        }
        Ok(view)
    }
}

// === Life ===

impl<N: Network> Worker<N> {
    /// Waits until every input given so far, and all that follows from it, is handled and handed to
    /// the output streams. For tests and debugging: under a constant feed it never returns.
    pub async fn settle(&self) {
        self.shared.settled().await;
    }

    /// A heartbeat, for engines that are driven by hand ([`WorkerBuilder::manual`]).
    pub async fn tick(&self) {
        self.tell(SupervisorItem::Tick);
        self.settle().await;
    }

    /// Tries the parked messages, for engines that are driven by hand.
    pub async fn check_parked(&self) {
        self.tell(SupervisorItem::CheckParked);
        self.settle().await;
    }

    /// When the pending batch is due, if there is one.
    pub async fn batch_deadline(&self) -> Option<Timestamp> {
        self.ask(SupervisorItem::BatchDeadline).await.ok().flatten()
    }

    /// Judges the pending batch, for engines that are driven by hand.
    pub async fn process_batch(&self) {
        self.tell(SupervisorItem::ProcessBatch);
        self.settle().await;
    }

    /// Leaves all topics, with PRUNE and UNSUBSCRIBE to the peers; hands everything on its way to the
    /// output streams, which then end; joins the engine's own threads. What takes longer than
    /// `shutdown_deadline` is cut off. Further calls wait for the first.
    pub async fn shutdown(&self) {
        if self.shared.closing.swap(true, Ordering::AcqRel) {
            // How it ended is of no interest here.
            let _ = self.completion().await;
            return;
        }
        input::leave_all(&self.shared);
        let deadline = self.shared.limits.bounds.shutdown_deadline;
        let wind_down = async {
            self.settle().await;
            // A supervisor that is gone needs no telling.
            let _ = self.ask(SupervisorItem::Stop).await;
            self.settle().await;
        };
        // Cut off: the streams end all the same.
        let _ = tokio::time::timeout(deadline, wind_down).await;
        self.shared.finish(Ok(()));
        self.join_arbiters().await;
    }

    /// Waits for the engine's end.
    ///
    /// # Errors
    /// It ended by a fault of its own.
    pub async fn completion(&self) -> Result<(), EngineError> {
        let mut end = self.shared.end.subscribe();
        // The sender lives in `shared`, as long as this handle.
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(Ok(()))
    }

    async fn join_arbiters(&self) {
        let arbiters =
            std::mem::take(&mut *self.arbiters.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if arbiters.is_empty() {
            return;
        }
        let (done, joined) = oneshot::channel();
        std::thread::spawn(move || {
            for arbiter in arbiters {
                arbiter.stop();
                // A panic of its thread is no news: its actors' ends were watched.
                let _ = arbiter.join();
            }
            // Nobody waits any more.
            let _ = done.send(());
        });
        let _ = joined.await;
    }

    /// A closed supervisor: the engine has ended, and there is nothing to be done.
    fn tell(&self, item: SupervisorItem<N>) {
        let _ = self.shared.supervisor.push(item);
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> SupervisorItem<N>,
    ) -> Result<T, EngineStopped> {
        let (reply, answer) = oneshot::channel();
        self.shared.supervisor.push(question(reply)).map_err(|_| EngineStopped)?;
        answer.await.map_err(|_| EngineStopped)
    }
}
