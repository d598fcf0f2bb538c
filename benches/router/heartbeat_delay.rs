//! Measures by how much a heartbeat delays a message: one message a millisecond is fed while the heartbeat runs, and
//! the longest time from input to application is compared with the median without a heartbeat.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use actix_gossipsub::{P2pInput, P2pMessage};
use tokio::time::MissedTickBehavior;

use super::{engine::Driver, topology::Topology, traffic::Traffic};

const INTERVAL: Duration = Duration::from_millis(1);
/// The time in which the median without a heartbeat is measured.
const QUIET: Duration = Duration::from_millis(60);
/// Messages made in advance. No more are fed once a heartbeat takes longer than this number of intervals.
const MESSAGES: usize = 4096;
/// Outputs read at once, few enough that no message waits for the reader.
const READ_AT_ONCE: usize = 64;

/// First copies of messages, with their ids.
type Probes<N> = std::vec::IntoIter<(<N as actix_gossipsub::Network>::MessageId, P2pInput<N>)>;

/// Runs one heartbeat. Returns the longest time of a message during it, less the median without one.
pub async fn measure<N: Traffic>(
    driver: &mut Driver<N>,
    source: &mut N::Source,
    topology: &Topology<N>,
) -> Duration {
    let mut probes = probes(source, topology);
    let worker = driver.worker.clone();
    let mut quiet = times(driver, &mut probes, tokio::time::sleep(QUIET)).await;
    quiet.sort_unstable();
    let median = quiet[quiet.len() / 2];
    let times = times(driver, &mut probes, worker.tick()).await;
    times.into_iter().max().unwrap_or_default().saturating_sub(median)
}

/// The times from input to output of the messages fed until `done` completes.
async fn times<N: Traffic>(
    driver: &mut Driver<N>,
    probes: &mut Probes<N>,
    done: impl Future<Output = ()>,
) -> Vec<Duration> {
    tokio::pin!(done);
    let mut is_done = false;
    let mut clock = tokio::time::interval(INTERVAL);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut sent, mut times, mut outputs) = (HashMap::new(), Vec::new(), Vec::new());
    while !is_done || !sent.is_empty() {
        tokio::select! {
            biased;
            Some(message) = driver.streams.app.recv() => {
                times.extend(sent.remove(&message.message_id).map(|start: Instant| start.elapsed()));
            }
            _ = clock.tick(), if !is_done => {
                if let Some((id, input)) = probes.next() {
                    sent.insert(id, Instant::now());
                    driver.worker.p2p_input(input).expect("the queues are short");
                }
            }
            () = &mut done, if !is_done => is_done = true,
            _ = driver.streams.p2p.recv_many(&mut outputs, READ_AT_ONCE) => outputs.clear(),
        }
    }
    times
}

fn probes<N: Traffic>(source: &mut N::Source, topology: &Topology<N>) -> Probes<N> {
    let mut known = HashSet::new();
    let rounds = N::rounds(source, topology, MESSAGES, N::PAYLOAD);
    let inputs = rounds.into_iter().flatten().map(|copy| (id::<N>(&copy.input), copy.input));
    let first: Vec<_> = inputs.filter(|(id, _)| known.insert(id.clone())).collect();
    first.into_iter()
}

fn id<N: Traffic>(input: &P2pInput<N>) -> N::MessageId {
    match input {
        P2pInput::InMessage { message: P2pMessage::FullMessage(full), .. } => full.message_id.clone(),
        _ => unreachable!("a round has full messages only"),
    }
}
