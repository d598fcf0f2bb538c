//! The attackers, all in one process and on one thread, so that they take at most one core:
//!
//! `attacking` → `done JSON` → `stop`, or `failed REASON`

mod connections;
mod flood;
mod identities;
mod memory;
mod negotiation;
mod observer;
pub mod peer;
mod processor;
pub mod rpc;
mod scores;

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};
use testkit::wire::{plan::Implementation, remote::Control};

use self::{
    peer::{Identity, Peer, Reading},
    rpc::Rpc,
};
use super::{
    attacks::Attack,
    plan::{AttackPlan, Group, TOPIC},
};

/// Connections that are opened at a time.
const CONCURRENT_DIALS: usize = 16;

/// What the attackers saw.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Numbers with their names.
    pub counts: Vec<(String, f64)>,
}

impl Outcome {
    pub fn count(mut self, name: &str, value: impl TryInto<u32>) -> Self {
        let value = value.try_into().map_or(f64::INFINITY, f64::from);
        self.counts.push((name.to_owned(), value));
        self
    }
}

/// What an attack is given.
pub struct Attackers {
    victim: Multiaddr,
    implementation: Implementation,
    duration: Duration,
    send: RefCell<Box<dyn FnMut(String) + Send>>,
    counters: Arc<Counters>,
}

/// The counters that tasks of the attack share.
#[derive(Default)]
struct Counters {
    /// Bytes of RPCs that the node's windows took.
    sent: AtomicU64,
    /// Connections that the node closed, and that attackers opened again.
    closed: AtomicU64,
    /// Connections that the node refused during the attack.
    refused: AtomicU64,
}

impl Counters {
    /// Those of connections only if they are not 0.
    fn add_to(&self, outcome: Outcome) -> Outcome {
        let sent = self.sent.load(Ordering::Relaxed) / 1_000_000;
        let connections = [("disconnected", &self.closed), ("refused", &self.refused)];
        let numbers = connections.map(|(name, counter)| (name, counter.load(Ordering::Relaxed)));
        let seen = numbers.into_iter().filter(|(_, number)| *number > 0);
        seen.fold(outcome.count("MB sent", sent), |outcome, (name, number)| outcome.count(name, number))
    }
}

impl Attackers {
    /// Reports to the coordinator that the attack begins.
    fn begin(&self) {
        (self.send.borrow_mut())("attacking".to_owned());
    }

    /// Connects peers, which each send `hello` first.
    ///
    /// # Errors
    /// The node refuses one of them.
    async fn connect(
        &self,
        identities: &[Identity],
        reading: &Reading,
        hello: &[u8],
    ) -> Result<Vec<Peer>, String> {
        let connecting = stream::iter(identities)
            .map(|identity| self.connect_one(identity, reading.clone(), hello))
            .buffered(CONCURRENT_DIALS);
        connecting.try_collect().await
    }

    /// Connects this number of attackers that read everything and are subscribed to the topic of the honest peers.
    async fn connect_subscribed(&self, count: usize) -> Result<Vec<Peer>, String> {
        let hello = Rpc::default().subscribe(TOPIC).frame();
        self.connect(&Identity::first(Group::Attacker, count), &Reading::All, &hello).await
    }

    async fn connect_one(&self, identity: &Identity, reading: Reading, hello: &[u8]) -> Result<Peer, String> {
        let failed = |error: std::io::Error| format!("an attacker can't connect: {error}");
        let mut peer = Peer::connect(&self.victim, identity, reading).await.map_err(failed)?;
        peer.write(hello).await.map_err(failed)?;
        Ok(peer)
    }

    /// Writes and counts the bytes. Whether the connection is still usable.
    async fn write(&self, peer: &mut Peer, bytes: &[u8]) -> bool {
        let written = peer.write(bytes).await.is_ok();
        if written {
            self.counters.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        written
    }
}

pub fn run_as_process() {
    let Some((first, control)) = Control::of_process() else { return };
    let plan: AttackPlan = serde_json::from_str(&first).expect("the plan of the coordinator");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(attack(plan, control));
    // Connections end at once, also those that block.
    std::process::exit(0);
}

async fn attack(plan: AttackPlan, control: Control) {
    let Control { mut received, send } = control;
    let attackers = Attackers {
        victim: plan.victim,
        implementation: plan.implementation,
        duration: plan.duration,
        send: RefCell::new(send),
        counters: Arc::default(),
    };
    let attacking = async {
        let (line, _open) = run_and_report(plan.attack, &attackers).await;
        (attackers.send.borrow_mut())(line);
        // The connections stay open until the coordinator ends the attack.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = attacking => {}
        _ = received.recv() => {}
    }
}

/// Runs an attack. Returns the line for the coordinator, and the connections that are still open.
async fn run_and_report(attack: Attack, attackers: &Attackers) -> (String, Vec<Peer>) {
    match run(attack, attackers).await {
        Ok((outcome, open)) => {
            let outcome = attackers.counters.add_to(outcome);
            (format!("done {}", serde_json::to_string(&outcome).expect("plain data")), open)
        }
        Err(reason) => (format!("failed {reason}"), Vec::new()),
    }
}

/// The result of an attack: what was seen, and connections that stay open until the coordinator ends the attack.
type Attacked = Result<(Outcome, Vec<Peer>), String>;

async fn run(attack: Attack, attackers: &Attackers) -> Attacked {
    match attack {
        Attack::None | Attack::D19 => connections::none(attackers).await,
        Attack::D1 => memory::grafts_of_slow_readers(attackers).await,
        Attack::D2 => memory::grafts_of_readers(attackers).await,
        Attack::D3 => memory::requests_without_reading(attackers).await,
        Attack::D4 => scores::messages_at_a_low_score(attackers).await,
        Attack::D5 => scores::grafts_during_backoff(attackers).await,
        Attack::D6 => connections::silent_mesh(attackers, 12).await,
        Attack::D6_40 => connections::silent_mesh(attackers, 40).await,
        Attack::D7 => connections::silent_tcp(attackers).await,
        Attack::D8 => connections::one_address(attackers).await,
        Attack::D9 => processor::inputs(attackers).await,
        Attack::D10 => processor::empty_rpcs(attackers).await,
        Attack::D11 => processor::control(attackers).await,
        Attack::D12 => processor::forged_messages(attackers).await,
        Attack::D13 | Attack::D13Unread => processor::subscriptions(attackers).await,
        Attack::D14 => identities::replayed_own_messages(attackers).await,
        Attack::D15 => identities::evicted_ids(attackers).await,
        Attack::D16 => processor::idontwants(attackers).await,
        Attack::D17 => memory::subscriptions(attackers).await,
        Attack::D18Garbage => scores::garbage(attackers).await,
        Attack::D18Disconnect => connections::mass_disconnection(attackers).await,
        Attack::D18Frames => memory::unfinished_frames(attackers).await,
        Attack::D18Promises => scores::broken_promises(attackers).await,
    }
}
