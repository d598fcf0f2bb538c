//! An [`AttackScenario`] is an engine with one attacker and with honest peers that publish on two topics meanwhile.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use actix_gossipsub::{
    AppOutputs, Limits, LimitsConfig, ManualClock, P2pInput, P2pMessage, P2pOutput, P2pOutputs, Started,
    Worker,
    protocol::{Footprint, View},
};

use super::HEAP;
pub use super::network::*;
use crate::lock_process;

/// The honest peers. They are in the mesh of both topics.
pub const HONEST: Range<u64> = 0..5;
/// The attacker. It is connected, and subscribed to the attacked topic.
pub const ATTACKER: u64 = 100;
/// The topic that is not attacked.
pub const CALM: u64 = 0;
pub const ATTACKED: u64 = 1;
/// The content of honest messages.
pub const HONEST_CONTENT: &[u8] = b"v";
/// Topics from this number on are never joined.
pub const NOT_JOINED: u64 = 1 << 20;
/// An upper bound of the bytes of one entry of any map, its share of the map and its heap memory included.
pub const ENTRY: usize = 512;
/// An upper bound of the bytes of a remembered topic without its entries.
pub const TOPIC: usize = 4096;
/// An upper bound of the bytes of an output in a queue that doubles when it grows.
pub const OUTPUT: usize = 256;
/// An upper bound of the bytes of one admitted input and of what follows from it, in all queues that it passes: the
/// inboxes of topic, supervisor and router, and the batches taken out of them. Each queue doubles when it grows and
/// keeps its capacity; how far it grows depends on the scheduling of the threads.
const INPUT: usize = 4096;
/// The number of inputs sent before the engine handles them: less than half of the queue's limit, so that none is
/// refused.
const BURST: usize = 200;
/// The attacker sends this many inputs between two honest messages.
const PAUSE: usize = 20 * BURST;

/// Counts the outputs that concern other peers than the honest ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutputCounts {
    pub prunes: usize,
    /// Message ids in IWANT.
    pub iwants: usize,
    /// Full messages sent, of any publisher.
    pub messages: usize,
    pub connects: usize,
    pub forgets: usize,
    /// Messages of other publishers that reached the application.
    pub delivered: usize,
}

/// The memory in use at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub footprint: Footprint,
    pub bytes: usize,
}

/// What an attack costs in memory.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub before: Usage,
    pub after: Usage,
    /// The peak in bytes above `before.bytes`.
    pub peak: usize,
}

impl Cost {
    /// Bytes in use after the attack beyond those before it.
    pub fn bytes(&self) -> usize {
        self.after.bytes.saturating_sub(self.before.bytes)
    }

    /// The bytes that the attacker's invalid messages, its broken promises and our IDONTWANT for its messages may take.
    pub fn remembered(&self) -> usize {
        let (before, after) = (self.before.footprint, self.after.footprint);
        let more = |after: usize, before: usize| after.saturating_sub(before);
        let entries = more(after.invalid, before.invalid) + more(after.promises, before.promises);
        let entries = entries + more(after.sent_idontwant, before.sent_idontwant);
        entries * ENTRY + more(after.invalid_bytes, before.invalid_bytes)
    }
}

pub struct AttackScenario {
    pub worker: Worker<AttackNetwork>,
    pub p2p: P2pOutputs<AttackNetwork>,
    app: AppOutputs<AttackNetwork>,
    pub clock: Arc<ManualClock>,
    pub network: AttackNetwork,
    pub outputs: OutputCounts,
    /// If true, the p2p stream is not read.
    pub unread: bool,
    ticks: usize,
    /// The tick at which each honest message was sent.
    sent: Vec<usize>,
    delivered: usize,
    forwarded: usize,
}

/// Runs an attack on an engine on two threads. It has the limits of the specification with some changes and a short
/// input queue. In the end every honest message must have been delivered and forwarded.
pub fn with_attacker(
    change: impl FnOnce(&mut LimitsConfig<u64>),
    attack: impl AsyncFnOnce(&mut AttackScenario),
) {
    with_attacker_on(2, change, attack);
}

/// As [`with_attacker`] on this many threads. With none the engine handles inputs only while the attack awaits it.
pub fn with_attacker_on(
    arbiters: usize,
    change: impl FnOnce(&mut LimitsConfig<u64>),
    attack: impl AsyncFnOnce(&mut AttackScenario),
) {
    let _alone = lock_process();
    let mut limits = LimitsConfig::default();
    limits.bounds.max_input_items = 3 * BURST;
    without_graylist(&mut limits);
    change(&mut limits);
    let limits = Limits::try_from(limits).expect("valid limits");
    actix::System::new().block_on(async {
        let mut scenario = AttackScenario::start(arbiters, limits).await;
        attack(&mut scenario).await;
        scenario.finish().await;
    });
}

/// What stands behind the graylist must withstand an attack too.
pub fn without_graylist(limits: &mut LimitsConfig<u64>) {
    (limits.extensions.graylist_threshold, limits.extensions.disconnect_threshold) = (None, None);
}

impl AttackScenario {
    async fn start(arbiters: usize, limits: Limits<u64>) -> Self {
        let (network, clock) = (AttackNetwork::default(), Arc::new(ManualClock::new()));
        let builder = Worker::builder(network.clone(), limits).manual().arbiters(arbiters).seed(1);
        let Started { worker, p2p, app } =
            builder.clock(Arc::clone(&clock) as _).start([CALM, ATTACKED]).expect("an actix system runs");
        let (outputs, unread) = (OutputCounts::default(), false);
        let (sent, ticks, delivered, forwarded) = (Vec::new(), 0, 0, 0);
        let mut scenario =
            Self { worker, p2p, app, clock, network, outputs, unread, ticks, sent, delivered, forwarded };
        for peer in HONEST {
            scenario.send(P2pInput::connected(peer));
            scenario.send(graft(peer, CALM));
            scenario.send(graft(peer, ATTACKED));
        }
        scenario.send(P2pInput::connected(ATTACKER));
        scenario.send(subscribe(ATTACKER, ATTACKED));
        scenario.settle().await;
        scenario
    }

    pub fn limits(&self) -> Arc<Limits<u64>> {
        self.worker.limits()
    }

    pub fn send(&self, input: P2pInput<AttackNetwork>) {
        self.worker.p2p_input(input).expect("there is room");
    }

    /// An honest peer sends a message on a topic.
    pub fn send_honest(&mut self, topic: u64) -> Id {
        let number = self.sent.len() as u64;
        let id = Id::new(topic, u64::MAX - number);
        self.sent.push(self.ticks);
        self.send(full_message(number % HONEST.end, topic, id.clone(), HONEST_CONTENT.to_vec()));
        id
    }

    /// The number of honest messages in a map that remembers them for `ticks`.
    fn honest(&self, ticks: usize) -> usize {
        self.sent.iter().filter(|sent| self.ticks - **sent < ticks).count()
    }

    /// Sends `count` inputs as fast as the engine handles them, while honest peers go on publishing on both topics.
    pub async fn attack(&mut self, count: usize, input: impl Fn(u64) -> P2pInput<AttackNetwork>) -> Cost {
        let before = self.usage().await;
        HEAP.reset_peak_usage();
        for number in 0..count {
            self.send(input(number as u64));
            if number % PAUSE == 0 {
                self.send_honest(CALM);
                self.send_honest(ATTACKED);
            }
            if number % BURST == BURST - 1 {
                self.settle().await;
            }
        }
        self.settle().await;
        let peak = HEAP.peak_usage().saturating_sub(before.bytes);
        let cost = Cost { before, after: self.usage().await, peak };
        println!(
            "{count} inputs: {} bytes kept, {peak} at the peak; allowance {}",
            cost.bytes(),
            self.allowance()
        );
        cost
    }

    /// Waits until every input is handled, then reads both streams.
    pub async fn settle(&mut self) {
        self.worker.settle().await;
        while !self.unread
            && let Some(output) = self.p2p.try_recv()
        {
            self.record(output);
        }
        while let Some(message) = self.app.try_recv() {
            if is_honest(&message.message_id) { self.delivered += 1 } else { self.outputs.delivered += 1 }
        }
    }

    fn record(&mut self, output: P2pOutput<AttackNetwork>) {
        let (to, message) = match output {
            P2pOutput::OutMessage { to_peer, message } => (to_peer, message),
            P2pOutput::Connect { .. } => return self.outputs.connects += 1,
            P2pOutput::Forget { .. } => return self.outputs.forgets += 1,
            _ => return,
        };
        let outputs = &mut self.outputs;
        match message {
            P2pMessage::FullMessage(full) if HONEST.contains(&to) => {
                self.forwarded += usize::from(is_honest(&full.message_id));
            }
            P2pMessage::FullMessage(_) => outputs.messages += 1,
            P2pMessage::Prune { .. } => outputs.prunes += 1,
            P2pMessage::IWant { message_ids } => outputs.iwants += message_ids.len(),
            _ => {}
        }
    }

    /// The memory in use now. Asserts that each map is within its bound; honest messages that are still remembered are
    /// not counted.
    pub async fn usage(&mut self) -> Usage {
        self.settle().await;
        let mut footprint = self.worker.footprint().await.expect("the engine runs");
        self.assert_within_bounds(&footprint);
        let cached = self.honest(self.limits().history_length);
        footprint.history -= cached;
        footprint.history_bytes -= cached * message_bytes(HONEST_CONTENT);
        footprint.seen -= self.honest(self.limits().seen_history_length);
        // Its bytes contain those of honest messages.
        footprint.seen_bytes = 0;
        Usage { footprint, bytes: HEAP.current_usage() }
    }

    fn assert_within_bounds(&self, footprint: &Footprint) {
        let most = Footprint::at_most(&self.limits(), footprint.connections, footprint.joined);
        for ((map, size), (_, bound)) in footprint.maps().zip(most.maps()) {
            assert!(size <= bound, "{size} entries in {map}, above the bound {bound}");
        }
    }

    /// The bytes that queues, streams and honest messages may keep.
    pub fn allowance(&self) -> usize {
        self.limits().bounds.max_input_items * INPUT + self.sent.len() * 4 * ENTRY
    }

    /// Asserts that the attack leaves only what the engine remembers against the attacker for a while.
    #[track_caller]
    pub fn assert_nothing_kept(&self, cost: &Cost) {
        let (before, mut after) = (cost.before.footprint, cost.after.footprint);
        (after.invalid, after.invalid_bytes) = (before.invalid, before.invalid_bytes);
        after.promises = before.promises;
        after.sent_idontwant = before.sent_idontwant;
        // The attacker, until the next heartbeat.
        after.heartbeat_quotas = before.heartbeat_quotas;
        assert_eq!(after, before);
        let kept = self.allowance() + cost.remembered();
        assert!(cost.bytes() <= kept, "{} bytes kept, above the allowance of {kept}", cost.bytes());
    }

    pub async fn view(&mut self) -> View<AttackNetwork> {
        self.settle().await;
        self.worker.state().await.expect("the engine runs")
    }

    /// How many messages other than the honest ones were validated.
    pub fn validated_of_others(&self) -> usize {
        self.network.validated.load(Ordering::Relaxed) - self.sent.len()
    }

    pub async fn score(&mut self) -> f64 {
        self.view().await.scores[&ATTACKER].score
    }

    /// The attacker asks for a message. Returns whether it receives one.
    pub async fn is_answered(&mut self) -> bool {
        let id = self.send_honest(ATTACKED);
        self.settle().await;
        let before = self.outputs.messages;
        self.send(iwant(ATTACKER, vec![id]));
        self.settle().await;
        self.outputs.messages > before
    }

    /// Runs this many heartbeats.
    pub async fn pass_heartbeats(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.ticks += 1;
            self.clock.advance(self.limits().heartbeat_interval);
            self.worker.tick().await;
            self.settle().await;
        }
    }

    async fn finish(&mut self) {
        self.send_honest(CALM);
        self.send_honest(ATTACKED);
        self.settle().await;
        let sent = self.sent.len();
        assert_eq!(self.delivered, sent, "an honest message was not delivered");
        if !self.unread {
            let others = HONEST.count() - 1;
            assert_eq!(
                self.forwarded,
                sent * others,
                "an honest message was not forwarded to all honest peers"
            );
        }
        self.worker.shutdown().await;
    }
}

/// Honest messages have the greatest ids.
fn is_honest(id: &Id) -> bool {
    <[u8; 8]>::try_from(&*id.bytes).is_ok_and(|number| u64::from_be_bytes(number) > u64::MAX / 2)
}
