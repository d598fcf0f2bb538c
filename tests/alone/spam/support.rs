//! A [`Siege`]: an engine with honest peers, who talk on two topics all the while, and an attacker.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use actix_gossipsub::{
    AppOutputs, Limits, LimitsConfig, ManualClock, P2pInput, P2pMessage, P2pOutput, P2pOutputs, Started,
    Worker,
    protocol::{Footprint, View},
};

use super::HEAP;
pub use super::field::*;

/// The honest are in the mesh of both topics.
pub const HONEST: Range<u64> = 0..5;
/// Connected, and subscribed to the attacked topic.
pub const ATTACKER: u64 = 100;
/// Whom nobody attacks.
pub const CALM: u64 = 0;
pub const ATTACKED: u64 = 1;
/// What the honest say.
pub const HONEST_CONTENT: &[u8] = b"v";
/// A topic from here on is one that we did not join.
pub const NOT_JOINED: u64 = 1 << 20;
/// More than what an entry of any map takes, with its share of the map and what it owns here.
pub const ENTRY: usize = 512;
/// More than what a remembered topic takes, without its entries.
pub const TOPIC: usize = 4096;
/// More than what an output takes in a queue that doubles when it grows.
pub const OUTPUT: usize = 256;
/// More than what one admitted input takes, with what follows from it, in all queues that it passes: an
/// inbox and what its actor took out of it, of the topic, the supervisor and the router. Each doubles when
/// it grows, and keeps its room; how far they grow depends on which thread is how fast.
const INPUT: usize = 4096;
/// Fewer than half of the inputs that may wait: nobody is refused who sends so many and waits.
const BURST: usize = 200;
/// So many inputs of the attacker come between two honest messages.
const PAUSE: usize = 20 * BURST;

/// What the engine said of or to others than the honest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    pub prunes: usize,
    /// Ids asked for.
    pub iwants: usize,
    /// Full messages sent, whoever they are of.
    pub messages: usize,
    pub connects: usize,
    pub forgets: usize,
    /// Messages of others that reached the application.
    pub delivered: usize,
}

/// What is held at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Burden {
    pub footprint: Footprint,
    pub bytes: usize,
}

/// What an attack did to memory.
#[derive(Clone, Copy, Debug)]
pub struct Toll {
    pub before: Burden,
    pub after: Burden,
    /// The most that was held meanwhile, beyond what was held before.
    pub peak: usize,
}

impl Toll {
    /// Bytes that are held now and were not.
    pub fn bytes(&self) -> usize {
        self.after.bytes.saturating_sub(self.before.bytes)
    }

    /// The bytes that the attacker's invalid messages and broken promises may take, and our telling others not to send
    /// its messages.
    pub fn remembered(&self) -> usize {
        let (before, after) = (self.before.footprint, self.after.footprint);
        let more = |after: usize, before: usize| after.saturating_sub(before);
        let entries = more(after.invalid, before.invalid) + more(after.promises, before.promises);
        let entries = entries + more(after.sent_idontwant, before.sent_idontwant);
        entries * ENTRY + more(after.invalid_bytes, before.invalid_bytes)
    }
}

pub struct Siege {
    pub worker: Worker<Field>,
    pub p2p: P2pOutputs<Field>,
    app: AppOutputs<Field>,
    pub clock: Arc<ManualClock>,
    pub field: Field,
    pub heard: Heard,
    /// Nobody reads the p2p stream.
    pub unread: bool,
    ticks: usize,
    /// The tick at which each honest message was sent.
    sent: Vec<usize>,
    delivered: usize,
    forwarded: usize,
}

/// Keeps other tests waiting: they would count in the bytes.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs an attack against an engine with the specification's limits, but for some changes and a short
/// queue. All that honest peers said must have come through.
pub fn besieged(change: impl FnOnce(&mut LimitsConfig<u64>), attack: impl AsyncFnOnce(&mut Siege)) {
    besieged_on(2, change, attack);
}

/// With as many threads; none: nothing is handled while the attack does not wait.
pub fn besieged_on(
    arbiters: usize,
    change: impl FnOnce(&mut LimitsConfig<u64>),
    attack: impl AsyncFnOnce(&mut Siege),
) {
    let _alone = alone();
    let mut limits = LimitsConfig::default();
    limits.bounds.max_input_items = 3 * BURST;
    change(&mut limits);
    let limits = Limits::try_from(limits).expect("valid limits");
    actix::System::new().block_on(async {
        let mut siege = Siege::lay(arbiters, limits).await;
        attack(&mut siege).await;
        siege.conclude().await;
    });
}

impl Siege {
    async fn lay(arbiters: usize, limits: Limits<u64>) -> Self {
        let (field, clock) = (Field::default(), Arc::new(ManualClock::new()));
        let builder = Worker::builder(field.clone(), limits).manual().arbiters(arbiters).seed(1);
        let Started { worker, p2p, app } =
            builder.clock(Arc::clone(&clock) as _).start([CALM, ATTACKED]).expect("inside a system");
        let (heard, unread) = (Heard::default(), false);
        let (sent, ticks, delivered, forwarded) = (Vec::new(), 0, 0, 0);
        let mut siege =
            Self { worker, p2p, app, clock, field, heard, unread, ticks, sent, delivered, forwarded };
        for peer in HONEST {
            siege.say(P2pInput::connected(peer));
            siege.say(graft(peer, CALM));
            siege.say(graft(peer, ATTACKED));
        }
        siege.say(P2pInput::connected(ATTACKER));
        siege.say(subscribe(ATTACKER, ATTACKED));
        siege.rest().await;
        siege
    }

    pub fn limits(&self) -> &Limits<u64> {
        self.worker.limits()
    }

    pub fn say(&self, input: P2pInput<Field>) {
        self.worker.p2p_input(input).expect("there is room");
    }

    /// An honest peer sends a message.
    pub fn speak(&mut self, topic: u64) -> Id {
        let number = self.sent.len() as u64;
        let id = Id::new(topic, u64::MAX - number);
        self.sent.push(self.ticks);
        self.say(said_message(number % HONEST.end, topic, id.clone(), HONEST_CONTENT.to_vec()));
        id
    }

    /// The honest messages that a map holds which remembers for so many ticks.
    fn honest(&self, ticks: usize) -> usize {
        self.sent.iter().filter(|sent| self.ticks - **sent < ticks).count()
    }

    /// Sends `count` inputs, as fast as they are handled; the honest go on talking on both topics.
    pub async fn attack(&mut self, count: usize, input: impl Fn(u64) -> P2pInput<Field>) -> Toll {
        let before = self.burden().await;
        HEAP.reset_peak_usage();
        for number in 0..count {
            self.say(input(number as u64));
            if number % PAUSE == 0 {
                self.speak(CALM);
                self.speak(ATTACKED);
            }
            if number % BURST == BURST - 1 {
                self.rest().await;
            }
        }
        self.rest().await;
        let peak = HEAP.peak_usage().saturating_sub(before.bytes);
        let toll = Toll { before, after: self.burden().await, peak };
        println!("{count} inputs: {} bytes kept, {peak} at the peak; slack {}", toll.bytes(), self.slack());
        toll
    }

    /// Waits until all is handled, and reads both streams.
    pub async fn rest(&mut self) {
        self.worker.settle().await;
        while !self.unread
            && let Some(output) = self.p2p.try_recv()
        {
            self.note(output);
        }
        while let Some(message) = self.app.try_recv() {
            if is_honest(&message.message_id) { self.delivered += 1 } else { self.heard.delivered += 1 }
        }
    }

    fn note(&mut self, output: P2pOutput<Field>) {
        let (to, message) = match output {
            P2pOutput::OutMessage { to_peer, message } => (to_peer, message),
            P2pOutput::Connect { .. } => return self.heard.connects += 1,
            P2pOutput::Forget { .. } => return self.heard.forgets += 1,
            _ => return,
        };
        let heard = &mut self.heard;
        match message {
            P2pMessage::FullMessage(full) if HONEST.contains(&to) => {
                self.forwarded += usize::from(is_honest(&full.message_id));
            }
            P2pMessage::FullMessage(_) => heard.messages += 1,
            P2pMessage::Prune { .. } => heard.prunes += 1,
            P2pMessage::IWant { message_ids } => heard.iwants += message_ids.len(),
            _ => {}
        }
    }

    /// What is held now, each map within its bound; the messages of the honest, which are remembered for a
    /// while, apart.
    pub async fn burden(&mut self) -> Burden {
        self.rest().await;
        let mut footprint = self.worker.footprint().await.expect("it runs");
        self.assert_within_bounds(&footprint);
        let cached = self.honest(self.limits().history_length);
        footprint.history -= cached;
        footprint.history_bytes -= cached * message_bytes(HONEST_CONTENT);
        footprint.seen -= self.honest(self.limits().seen_history_length);
        Burden { footprint, bytes: HEAP.current_usage() }
    }

    fn assert_within_bounds(&self, footprint: &Footprint) {
        let most = Footprint::at_most(self.limits(), footprint.connections, footprint.joined);
        for ((map, held), (_, bound)) in footprint.maps().zip(most.maps()) {
            assert!(held <= bound, "{held} in {map}, of {bound}");
        }
    }

    /// What queues and streams may keep, and the honest messages.
    pub fn slack(&self) -> usize {
        self.limits().bounds.max_input_items * INPUT + self.sent.len() * 4 * ENTRY
    }

    /// The attack left nothing behind, but what is remembered against it for a while.
    #[track_caller]
    pub fn assert_nothing_kept(&self, toll: &Toll) {
        let (before, mut after) = (toll.before.footprint, toll.after.footprint);
        (after.invalid, after.invalid_bytes) = (before.invalid, before.invalid_bytes);
        after.promises = before.promises;
        after.sent_idontwant = before.sent_idontwant;
        assert_eq!(after, before);
        let kept = self.slack() + toll.remembered();
        assert!(toll.bytes() <= kept, "{} bytes kept, {kept} may be", toll.bytes());
    }

    pub async fn view(&mut self) -> View<Field> {
        self.rest().await;
        self.worker.state().await.expect("it runs")
    }

    /// How many messages were validated that are not the honest's.
    pub fn validated_of_others(&self) -> usize {
        self.field.validated.load(Ordering::Relaxed) - self.sent.len()
    }

    pub async fn score(&mut self) -> f64 {
        self.view().await.scores[&ATTACKER].score
    }

    /// The attacker asks for a message; whether it gets it.
    pub async fn is_answered(&mut self) -> bool {
        let id = self.speak(ATTACKED);
        self.rest().await;
        let before = self.heard.messages;
        self.say(iwant(ATTACKER, vec![id]));
        self.rest().await;
        self.heard.messages > before
    }

    /// So many heartbeats pass.
    pub async fn pass(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.ticks += 1;
            self.clock.advance(self.limits().heartbeat_interval);
            self.worker.tick().await;
            self.rest().await;
        }
    }

    async fn conclude(&mut self) {
        self.speak(CALM);
        self.speak(ATTACKED);
        self.rest().await;
        let sent = self.sent.len();
        assert_eq!(self.delivered, sent, "an honest message was not delivered");
        if !self.unread {
            let others = HONEST.count() - 1;
            assert_eq!(self.forwarded, sent * others, "one was not forwarded to all honest");
        }
        self.worker.shutdown().await;
    }
}

/// Honest messages have the last ids.
fn is_honest(id: &Id) -> bool {
    <[u8; 8]>::try_from(&*id.bytes).is_ok_and(|number| u64::from_be_bytes(number) > u64::MAX / 2)
}
