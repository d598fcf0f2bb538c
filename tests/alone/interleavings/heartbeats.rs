//! Heartbeats of a settled engine: what each of them sends is known, and checked.

use actix_gossipsub::{P2pInput, P2pMessage};

use super::{checks::Checks, network::Id, schedule::Schedule, steps::Step};

/// The peers that the preparation of a heartbeat connects: one is pruned, the other grafted.
const PREPARED: [u64; 2] = [3, 4];
/// The number of a message that is invalid.
const INVALID: u64 = 3;
/// This number of copies of it outweighs what the peer has delivered before.
const COPIES: usize = 4;

/// The heartbeats whose outputs were checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heartbeats {
    pub checked: usize,
    /// Those that sent GRAFT and PRUNE.
    pub with_both: usize,
}

impl Schedule {
    /// Runs a heartbeat of an engine that is settled, and checks what it sends.
    pub async fn settled_heartbeat(&mut self) {
        if self.plan.peers >= PREPARED[1] && self.random.one_in(6) {
            self.prepare_graft_and_prune().await;
        }
        self.settle().await;
        self.compare_state().await;
        // What is read from now on is of this heartbeat.
        self.read_streams();
        self.run_ready().await;
        self.checks.borrow_mut().heartbeat = Some(Vec::new());
        self.run_step(Step::Tick).await;
        self.settle().await;
        self.checks.borrow_mut().check_heartbeat();
    }

    /// A peer of a mesh sends invalid messages, and then another one subscribes to the topic: a heartbeat prunes the one and
    /// grafts the other.
    async fn prepare_graft_and_prune(&mut self) {
        let [pruned, grafted] = PREPARED;
        for peer in PREPARED {
            if !self.is_connected(peer) {
                self.settle_if_compared().await;
                self.connect(peer);
            }
        }
        let topic = || "a".to_owned();
        self.input(P2pInput::message(pruned, P2pMessage::Graft { topic: topic() }));
        self.settle().await;
        let invalid = Id { number: INVALID, topic: topic() };
        self.copy_of(pruned, &invalid);
        self.settle().await;
        if self.plan.validation.in_batches() {
            self.process_batch();
            self.settle().await;
        }
        (1..COPIES).for_each(|_| self.copy_of(pruned, &invalid));
        self.settle().await;
        if let Some(reference) = &mut self.reference {
            reference.take_penalty();
        }
        self.input(P2pInput::message(grafted, P2pMessage::subscribe(topic())));
    }
}

impl Checks {
    /// The ping, the grafts, then the prunes.
    pub fn check_heartbeat(&mut self) {
        let Some(sent) = self.heartbeat.take() else { return };
        let both = ["GRAFT", "PRUNE"].iter().all(|kind| sent.contains(kind));
        self.heartbeats.checked += 1;
        self.heartbeats.with_both += usize::from(both);
        let is_kept =
            sent.is_sorted_by_key(|kind| ["PING", "GRAFT", "PRUNE"].iter().position(|known| known == kind));
        self.rule(is_kept, || format!("a heartbeat sends {sent:?}"));
    }
}
