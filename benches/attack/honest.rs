//! The honest peers: nodes of rust-libp2p's gossipsub that are connected to the node under attack only, and publish at
//! a fixed rate. The coordinator asks for what became of the messages of a window of time, and has newcomers connect:
//!
//! `ready` → (`window FROM TO` → `window JSON` | `newcomers UNTIL` | `admitted` → `admitted JSON`) … → `stop`

use std::{cell::RefCell, rc::Rc, time::Duration};

use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};
use testkit::wire::{
    clock::{nanos, now, wait_until},
    content::Content,
    latency::Latency,
    libp2p_node::{Libp2pNode, Settings},
    remote::Control,
};
use tokio::sync::mpsc;

use super::{
    attacker::{
        peer::{Identity, Peer, Reading},
        rpc,
    },
    plan::{Group, HONEST_PEERS, HonestPlan, TOPIC, address},
};

/// The time between two messages of one honest peer.
const INTERVAL: Duration = Duration::from_millis(50);
/// The size of a message in bytes, below that from which IDONTWANTs are sent.
const SIZE: usize = 512;
/// The time between two newcomers.
const NEWCOMER_INTERVAL: Duration = Duration::from_millis(500);
/// How long an honest peer waits for its mesh before it publishes.
const MESH_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a newcomer waits for the node's subscriptions.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of the messages that honest peers published within a window of time.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Window {
    pub expected: u64,
    pub delivered: u64,
    pub latency: Latency,
}

/// The newcomers that tried to connect, those that got the node's subscriptions in time, and how long that took.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Newcomers {
    pub tried: u64,
    pub admitted: u64,
    pub latency: Latency,
}

/// All messages of the honest peers.
#[derive(Default)]
struct Messages {
    /// For each publisher, the times of publication.
    published: [Vec<u64>; HONEST_PEERS],
    /// For each receiver and publisher, the latencies by number of the message.
    latencies: [[Vec<Option<u64>>; HONEST_PEERS]; HONEST_PEERS],
}

impl Messages {
    fn record(&mut self, receiver: usize, data: &[u8]) {
        let Some(Content { publisher, number, published }) = Content::decode(data) else { return };
        // The node under attack publishes too, and so do attackers.
        let Some(latencies) = self.latencies[receiver].get_mut(publisher) else { return };
        let index = usize::try_from(number).expect("a number of this process");
        if latencies.len() <= index {
            latencies.resize(index + 1, None);
        }
        latencies[index].get_or_insert(now().saturating_sub(published));
    }

    /// Whether each peer has received a message of each other one.
    fn all_connected(&self) -> bool {
        let others = |receiver: usize| (0..HONEST_PEERS).filter(move |publisher| *publisher != receiver);
        (0..HONEST_PEERS).all(|one| others(one).all(|other| !self.latencies[one][other].is_empty()))
    }

    fn window(&self, from: u64, to: u64) -> Window {
        let mut window = Window::default();
        for (publisher, published) in self.published.iter().enumerate() {
            let numbers = published.iter().enumerate().filter(|(_, time)| (from..to).contains(*time));
            for (number, _) in numbers {
                for receiver in (0..HONEST_PEERS).filter(|receiver| *receiver != publisher) {
                    window.expected += 1;
                    if let Some(Some(latency)) = self.latencies[receiver][publisher].get(number) {
                        window.delivered += 1;
                        window.latency.record(*latency);
                    }
                }
            }
        }
        window
    }
}

pub fn run_as_process() {
    let Some((first, control)) = Control::of_process() else { return };
    let plan: HonestPlan = serde_json::from_str(&first).expect("the plan of the coordinator");
    // A missing command means that the coordinator has ended.
    let _ = actix::System::new().block_on(follow(plan, control));
}

async fn follow(plan: HonestPlan, mut control: Control) -> Option<()> {
    let messages = Rc::<RefCell<Messages>>::default();
    for index in 0..HONEST_PEERS {
        start(index, &plan.victim, Rc::clone(&messages)).await;
    }
    while plan.wait && !messages.borrow().all_connected() {
        if !control.received.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (control.send)("ready".to_owned());
    let newcomers = Rc::<RefCell<Newcomers>>::default();
    loop {
        let command = control.received.recv().await?;
        let mut parts = command.split_whitespace();
        let (name, mut numbers) = (parts.next()?, parts.map(|part| part.parse::<u64>().expect("a time")));
        match name {
            "window" => {
                let window = messages.borrow().window(numbers.next()?, numbers.next()?);
                (control.send)(format!("window {}", json(&window)));
            }
            "newcomers" => {
                let until = numbers.next()?;
                actix::spawn(try_newcomers(plan.victim.clone(), until, Rc::clone(&newcomers)));
            }
            "admitted" => (control.send)(format!("admitted {}", json(&*newcomers.borrow()))),
            _ => return None,
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// Starts one honest peer, which connects and publishes until the process ends.
async fn start(index: usize, victim: &Multiaddr, messages: Rc<RefCell<Messages>>) {
    let mut settings = Settings::new(vec![TOPIC.to_owned()]);
    settings.source = Some(address(Group::Honest, index));
    settings.redial = true;
    let received = Rc::clone(&messages);
    let (node, _) = Libp2pNode::start(settings, move |data| received.borrow_mut().record(index, data)).await;
    node.dial(victim.clone());
    actix::spawn(async move {
        // A peer without a mesh publishes to nobody. The node under attack may never admit it to its own mesh.
        let deadline = now() + nanos(MESH_TIMEOUT);
        while now() < deadline && node.smallest_mesh().await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let begin = now() + nanos(INTERVAL) / HONEST_PEERS as u64 * index as u64;
        for number in 0.. {
            wait_until(begin + number * nanos(INTERVAL)).await;
            let published = now();
            messages.borrow_mut().published[index].push(published);
            node.publish(0, Content { publisher: index, number, published }.encode(SIZE));
        }
    });
}

/// Has a newcomer connect twice a second, each from an address of its own.
async fn try_newcomers(victim: Multiaddr, until: u64, newcomers: Rc<RefCell<Newcomers>>) {
    for index in 0.. {
        let begin = now();
        if begin >= until {
            return;
        }
        let (victim, results) = (victim.clone(), Rc::clone(&newcomers));
        actix::spawn(async move {
            results.borrow_mut().tried += 1;
            if let Ok(Ok(())) = tokio::time::timeout(ADMISSION_TIMEOUT, newcomer(&victim, index)).await {
                let mut results = results.borrow_mut();
                results.admitted += 1;
                results.latency.record(now() - begin);
            }
        });
        tokio::time::sleep(NEWCOMER_INTERVAL).await;
    }
}

/// Connects and waits until the node has sent its subscriptions.
async fn newcomer(victim: &Multiaddr, index: usize) -> std::io::Result<()> {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let identity = Identity::new(Group::Newcomer, index);
    let _peer = Peer::connect(victim, &identity, Reading::Frames(sender)).await?;
    while let Some(frame) = frames.recv().await {
        if rpc::subscribes_to(&frame, TOPIC) {
            return Ok(());
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
