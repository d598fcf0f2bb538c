//! How long a message waits because of a heartbeat: one a millisecond is sent in while the heartbeat runs, and
//! the longest time from input to the application is compared with the usual one. For engines that have
//! threads of their own.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use actix_gossipsub::{P2pInput, P2pMessage};
use tokio::time::MissedTickBehavior;

use super::{engine::Driver, population::Population, traffic::Traffic};

const EVERY: Duration = Duration::from_millis(1);
/// For so long the usual time is measured.
const CALM: Duration = Duration::from_millis(60);
/// Messages made beforehand; a heartbeat that takes longer than so many milliseconds has no more sent in.
const MESSAGES: usize = 4096;
/// Outputs read at once: the reader must not be what the message waits for.
const AT_ONCE: usize = 64;

/// First copies of messages, with their ids.
type Probes<N> = std::vec::IntoIter<(<N as actix_gossipsub::Network>::MessageId, P2pInput<N>)>;

/// The longest wait during a heartbeat, less the median without one.
pub async fn longest<N: Traffic>(
    driver: &mut Driver<N>,
    source: &mut N::Source,
    population: &Population<N>,
) -> Duration {
    let mut probes = probes(source, population);
    let worker = driver.worker.clone();
    let mut usual = times(driver, &mut probes, tokio::time::sleep(CALM)).await;
    usual.sort_unstable();
    let median = usual[usual.len() / 2];
    let waits = times(driver, &mut probes, worker.tick()).await;
    waits.into_iter().max().unwrap_or_default().saturating_sub(median)
}

/// From input to output, of the messages sent in until `done`.
async fn times<N: Traffic>(
    driver: &mut Driver<N>,
    probes: &mut Probes<N>,
    done: impl Future<Output = ()>,
) -> Vec<Duration> {
    tokio::pin!(done);
    let mut is_done = false;
    let mut clock = tokio::time::interval(EVERY);
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
                    driver.worker.p2p_input(input).expect("little else waits");
                }
            }
            () = &mut done, if !is_done => is_done = true,
            _ = driver.streams.p2p.recv_many(&mut outputs, AT_ONCE) => outputs.clear(),
        }
    }
    times
}

fn probes<N: Traffic>(source: &mut N::Source, population: &Population<N>) -> Probes<N> {
    let mut known = HashSet::new();
    let rounds = N::rounds(source, population, MESSAGES, N::PAYLOAD);
    let inputs = rounds.into_iter().flatten().map(|arrival| arrival.input);
    let named = inputs.map(|input| (id::<N>(&input), input));
    let first: Vec<_> = named.filter(|(id, _)| known.insert(id.clone())).collect();
    first.into_iter()
}

fn id<N: Traffic>(input: &P2pInput<N>) -> N::MessageId {
    match input {
        P2pInput::InMessage { message: P2pMessage::FullMessage(full), .. } => full.message_id.clone(),
        _ => unreachable!("rounds are of full messages"),
    }
}
