//! In batch mode the supervisor is not on the path of the copies of a message: the first one enters the batch by it, all
//! others stay with their topic.

use std::{sync::Arc, time::Duration};

use actix::Arbiter;
use actix_gossipsub::{
    Clock, Limits, LimitsConfig, Mailbox, Mailboxes, ManualClock, P2pInput, P2pMessage, Started, Worker,
};

use super::{
    network::{Hooks, Id, ScheduledNetwork, Validation, message},
    random::Random,
};

const PEERS: u64 = 10;
const TOPIC: &str = "a";

struct BatchEngine {
    started: Started<ScheduledNetwork>,
    mailboxes: Mailboxes<ScheduledNetwork>,
    hooks: Arc<Hooks>,
}

impl BatchEngine {
    /// An engine with its peers, of which nothing is queued.
    async fn start() -> Self {
        let hooks = Arc::<Hooks>::default();
        let network = ScheduledNetwork { validation: Validation::AwaitedBatches, hooks: Arc::clone(&hooks) };
        let limits = Limits::try_from(LimitsConfig::default()).expect("the limits are valid");
        let started = Worker::builder(network, limits)
            .manual()
            .on_arbiters([Arbiter::current()])
            .clock(Arc::new(ManualClock::new()) as Arc<dyn Clock>)
            .batching(Duration::from_secs(1))
            .start([TOPIC.to_owned()])
            .expect("a system runs");
        let mailboxes = started.worker.schedule_mailboxes();
        let engine = Self { started, mailboxes, hooks };
        for peer in 1..=PEERS {
            engine.input(P2pInput::connected(peer));
            engine.input(P2pInput::message(peer, P2pMessage::subscribe(TOPIC.to_owned())));
        }
        engine.drain().await;
        engine
    }

    fn input(&self, input: P2pInput<ScheduledNetwork>) {
        self.started.worker.p2p_input(input).expect("the input is accepted");
    }

    async fn grant(&self, mailbox: Mailbox, items: usize) {
        self.mailboxes.grant(mailbox, items);
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }

    fn queued(&self, mailbox: Mailbox) -> usize {
        self.mailboxes.lengths().find(|(known, _)| *known == mailbox).map_or(0, |(_, length)| length)
    }

    async fn drain(&self) {
        let queued = || self.mailboxes.lengths().find(|(_, length)| *length > 0);
        tokio::task::yield_now().await;
        while let Some((mailbox, length)) = queued() {
            self.grant(mailbox, length).await;
        }
    }

    /// The topic handles the copies of all peers one by one. Returns what is queued for the supervisor afterwards.
    async fn copies_of_all_peers(&self, id: &Id) -> usize {
        for peer in 1..=PEERS {
            self.input(P2pInput::message(peer, P2pMessage::FullMessage(message(id).into())));
        }
        assert_eq!(self.queued(Mailbox::Arbiter(0)), PEERS as usize);
        for _ in 0..PEERS {
            self.grant(Mailbox::Arbiter(0), 1).await;
        }
        assert_eq!(self.queued(Mailbox::Arbiter(0)), 0, "all copies are handled");
        self.queued(Mailbox::Supervisor)
    }
}

#[test]
fn copies_of_a_message_in_a_batch_do_not_reach_the_supervisor() {
    let _alone = crate::lock_process();
    actix::System::new().block_on(async {
        tokio::time::pause();
        let mut engine = BatchEngine::start().await;
        let id = Id { number: 1, topic: TOPIC.to_owned() };
        assert_eq!(engine.copies_of_all_peers(&id).await, 1, "the first copy enters the batch");
        engine.drain().await;
        let worker = engine.started.worker.clone();
        let batch = actix::spawn(async move { worker.process_batch().await });
        engine.drain().await;
        assert_eq!(engine.hooks.awaited(), 1, "the batch is validated");
        assert_eq!(engine.copies_of_all_peers(&id).await, 0, "copies wait for the verdict in the topic");
        let verdict = engine.hooks.take_awaited(&mut Random::new(0)).expect("the batch is validated");
        engine.hooks.resolve(verdict);
        engine.drain().await;
        batch.await.expect("the batch ends");
        let delivered = engine.started.app.recv().await.expect("the engine runs");
        assert_eq!(delivered.message_id, id);
        assert!(engine.started.app.try_recv().is_none(), "it is delivered once");
        assert_eq!(engine.copies_of_all_peers(&id).await, 0, "duplicates stay in the topic");
    });
}
