//! The status line of a node: once in a while the log, and the service manager, get what it did since the last one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{
    DropReason, Page, Worker,
    libp2p::{Event, Libp2pNetwork, NodeEvent},
    protocol::{Stats, TopicProblem},
};

use crate::cli::{escaped::Escaped, systemd};

/// Most topics that one line names.
const MAX_NAMED: usize = 5;

/// Counters of the events that the transport reported. Clones share them.
#[derive(Clone, Default)]
pub struct Activity(Arc<Counters>);

#[derive(Default)]
struct Counters {
    refused: AtomicU64,
    dropped: AtomicU64,
}

impl Activity {
    /// Counts an event.
    pub fn on_event(&self, event: &NodeEvent<'_>) {
        match event {
            NodeEvent::Refused(..) => drop(self.0.refused.fetch_add(1, Ordering::Relaxed)),
            NodeEvent::Gossipsub(Event::Dropped { reason, lanes, .. }) if !is_normal(*reason) => {
                self.0.dropped.fetch_add(lanes.total(), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn totals(&self) -> (u64, u64) {
        (self.0.refused.load(Ordering::Relaxed), self.0.dropped.load(Ordering::Relaxed))
    }
}

/// Whether such a drop says nothing about the load: a peer disconnects, has the message, speaks an older version of the
/// protocol, or gets a later GRAFT or PRUNE instead.
pub fn is_normal(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::Disconnected | DropReason::IDontWant | DropReason::Unsupported | DropReason::Superseded
    )
}

/// The state of a node, and what it did since the last line.
struct Status {
    peers: u64,
    topics: u64,
    /// Joined topics with fewer than D_low peers in the mesh.
    below_d_low: usize,
    /// Messages of peers that were validated: accepted, and rejected or ignored.
    accepted: u64,
    rejected: u64,
    /// Messages sent, counted for each recipient.
    sent: u64,
    /// Inputs that the engine refused.
    refused: u64,
    /// Entries of RPCs that were not sent.
    dropped: u64,
}

/// The counters at the last line.
#[derive(Default)]
struct Last {
    stats: Stats,
    activity: (u64, u64),
}

impl Status {
    fn take(worker: &Worker<Libp2pNetwork>, activity: &Activity, last: &mut Last) -> Self {
        let (stats, (refused, dropped)) = (worker.stats(), activity.totals());
        let before = std::mem::replace(last, Last { stats, activity: (refused, dropped) });
        let since = |value: fn(&Stats) -> u64| value(&stats).saturating_sub(value(&before.stats));
        Self {
            peers: stats.count_connections,
            topics: stats.count_topics,
            below_d_low: worker.last_heartbeat().topics_below_degree_low,
            accepted: since(|stats| stats.count_recv_valid_app_messages),
            rejected: since(|stats| {
                stats.count_recv_invalid_app_messages + stats.count_recv_outdated_app_messages
            }),
            sent: since(|stats| stats.count_sent_app_messages),
            refused: refused - before.activity.0,
            dropped: dropped - before.activity.1,
        }
    }

    fn log(&self) {
        let Self { peers, topics, below_d_low, accepted, rejected, sent, refused, dropped } = *self;
        tracing::info!(peers, topics, below_d_low, accepted, rejected, sent, refused, dropped, "status");
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peers, topics, below_d_low, accepted, rejected, sent, refused, dropped } = self;
        write!(
            f,
            "{peers} peers, {topics} topics ({below_d_low} below D_low); lately: {accepted} messages accepted, {rejected} \
             rejected, {sent} sent, {refused} refused, {dropped} dropped"
        )
    }
}

/// Names the joined topics without peers and those with a mesh below D_low, the worst first.
fn warn_of_topics(worker: &Worker<Libp2pNetwork>) {
    let topics = worker.topic_statuses(&Page::first(MAX_NAMED), |_, status| {
        matches!(status.problem, Some(TopicProblem::NoPeers | TopicProblem::BelowDLow))
    });
    let named = topics.items.iter().map(|(topic, status)| {
        format!(
            "{} ({} in the mesh, {} subscribed)",
            Escaped(topic.as_str()),
            status.mesh,
            status.subscribers
        )
    });
    let named: Vec<_> = named.collect();
    if !named.is_empty() {
        let more = if topics.more { ", and more" } else { "" };
        tracing::warn!("topics with too few peers: {}{more}", named.join(", "));
    }
}

/// Logs the status once in `interval`, for ever; never if that is zero.
pub async fn report(worker: Worker<Libp2pNetwork>, activity: Activity, interval: Duration) {
    if interval.is_zero() {
        return;
    }
    let mut last = Last { stats: worker.stats(), activity: activity.totals() };
    loop {
        tokio::time::sleep(interval).await;
        let status = Status::take(&worker, &activity, &mut last);
        status.log();
        warn_of_topics(&worker);
        systemd::status(&status.to_string());
    }
}
