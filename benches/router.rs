//! What routing a message costs.

#[path = "router/floor.rs"]
mod floor;
#[path = "router/instructions.rs"]
mod instructions;
#[path = "router/networks.rs"]
mod networks;
#[path = "router/node.rs"]
mod node;
#[path = "router/random.rs"]
mod random;
#[path = "router/tally.rs"]
mod tally;
#[path = "router/traffic.rs"]
mod traffic;

use std::{sync::Arc, time::Instant};

use actix_gossipsub::{Limits, LimitsConfig};
use networks::{R, Verdict, W};
use traffic::Traffic;

fn limits(topics: usize) -> Limits<Arc<str>> {
    let mut config: LimitsConfig<String> =
        toml::from_str(include_str!("router/limits.toml")).expect("limits");
    config.max_topics_per_peer = topics + 1;
    let config =
        config.map_topics(|topic| Ok::<_, std::convert::Infallible>(Arc::from(topic))).expect("topics");
    Limits::try_from(config).expect("valid limits")
}

fn child<N: Traffic>(engine: &str, topics: usize, peers: usize, payload: usize, messages: usize) {
    let population = N::population(topics, peers);
    let mut source = N::source();
    let warm = N::rounds(&mut source, &population, 1024, payload);
    let mut rounds = Some(N::rounds(&mut source, &population, messages, payload));
    let mut tally = tally::Tally::default();
    let start;
    match engine {
        "node" => {
            let mut node = node::NodeSubject::<N>::new(limits(topics), Verdict::default());
            node.join(&population);
            node.populate(&population);
            node.run(warm);
            start = Instant::now();
            instructions::message_path(&mut || tally = node.run(rounds.take().expect("once")));
        }
        _ => {
            let mut floor = floor::Floor::<N>::new(&population, Verdict::default());
            floor.run(warm);
            start = Instant::now();
            instructions::message_path(&mut || tally = floor.run(rounds.take().expect("once")));
        }
    }
    let time = start.elapsed();
    assert!(tally.is_complete(), "{tally:?}");
    println!("inputs {} ns/input {:.1}", tally.inputs, time.as_nanos() as f64 / tally.inputs as f64);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [workload, engine, topics, peers, payload, messages] = &args[..] else { panic!("six arguments") };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    match workload.as_str() {
        "R" => child::<R>(engine, number(topics), number(peers), number(payload), number(messages)),
        _ => child::<W>(engine, number(topics), number(peers), number(payload), number(messages)),
    }
}
