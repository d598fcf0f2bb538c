//! An engine of which a test chooses each step, in place of a seed.

use std::sync::Arc;

use actix::Arbiter;
use actix_gossipsub::{
    Clock, Limits, LimitsConfig, Mailbox, Mailboxes, ManualClock, P2pInput, P2pMessage, Started, Worker,
};

use super::{
    hooks::Hooks,
    network::{ScheduledNetwork, Validation},
    schedule::BATCH_INTERVAL,
};

pub const PEERS: u64 = 10;
pub const TOPIC: &str = "a";

/// An engine whose test chooses each item that an actor handles. It has joined [`TOPIC`].
pub struct SteppedEngine {
    pub started: Started<ScheduledNetwork>,
    pub mailboxes: Mailboxes<ScheduledNetwork>,
    pub hooks: Arc<Hooks>,
    pub clock: Arc<ManualClock>,
}

impl SteppedEngine {
    /// An engine with its peers, of which nothing is queued.
    pub async fn start(validation: Validation) -> Self {
        let (hooks, clock) = (Arc::<Hooks>::default(), Arc::new(ManualClock::new()));
        let network = ScheduledNetwork { validation, hooks: Arc::clone(&hooks) };
        let limits = Limits::try_from(LimitsConfig::default()).expect("the limits are valid");
        let mut builder = Worker::builder(network, limits)
            .manual()
            .on_arbiters([Arbiter::current()])
            .clock(Arc::clone(&clock) as Arc<dyn Clock>);
        if validation.in_batches() {
            builder = builder.batching(BATCH_INTERVAL);
        }
        let started = builder.start([TOPIC.to_owned()]).expect("a system runs");
        let mailboxes = started.worker.schedule_mailboxes();
        let engine = Self { started, mailboxes, hooks, clock };
        for peer in 1..=PEERS {
            engine.input(P2pInput::connected(peer));
            engine.input(P2pInput::message(peer, P2pMessage::subscribe(TOPIC.to_owned())));
        }
        engine.drain().await;
        engine
    }

    pub fn input(&self, input: P2pInput<ScheduledNetwork>) {
        self.started.worker.p2p_input(input).expect("the input is accepted");
    }

    pub async fn grant(&self, mailbox: Mailbox, items: usize) {
        self.mailboxes.grant(mailbox, items);
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }

    pub fn queued(&self, mailbox: Mailbox) -> usize {
        self.mailboxes.lengths().find(|(known, _)| *known == mailbox).map_or(0, |(_, length)| length)
    }

    pub async fn drain(&self) {
        let queued = || self.mailboxes.lengths().find(|(_, length)| *length > 0);
        tokio::task::yield_now().await;
        while let Some((mailbox, length)) = queued() {
            self.grant(mailbox, length).await;
        }
    }
}
