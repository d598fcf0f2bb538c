//! A program with the command line of the interoperability peers, such as one on go-libp2p-pubsub. It prints a JSON object in
//! each line.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    panic::panic_any,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use libp2p::{Multiaddr, PeerId};
use serde_json::Value;

use super::{Delivered, Setup};
use crate::cases::{poll_until, trial::NoMeans};

/// The program and its first arguments, separated by spaces.
pub const PROGRAM: &str = "GOSSIPSUB_CASES_TARGET";

#[derive(Default)]
struct Printed {
    address: Option<String>,
    delivered: Vec<Delivered>,
    scores: Option<BTreeMap<String, f64>>,
}

pub struct Program {
    pub peer: PeerId,
    pub address: Multiaddr,
    printed: Arc<Mutex<Printed>>,
    child: Child,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub async fn start(setup: &Setup) -> Self {
        if let Some(missing) = missing(setup) {
            panic_any(NoMeans(missing));
        }
        let line = std::env::var(PROGRAM).unwrap_or_else(|_| panic!("{PROGRAM} names a program"));
        let mut parts = line.split_whitespace();
        let mut command = Command::new(parts.next().expect("a program"));
        command.args(parts).args(["--listen", "/ip4/127.0.0.1/tcp/0", "--seconds", "120"]);
        command.args(["--signing", if setup.anonymous { "none" } else { "strict" }]);
        command.args(["--heartbeat-ms", &setup.heartbeat.as_millis().to_string()]);
        for topic in &setup.topics {
            command.args(["--topic", topic]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let (printed, stdout) = (Arc::<Mutex<Printed>>::default(), child.stdout.take().unwrap());
        let record = printed.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line) {
                    record.lock().unwrap().add(&event);
                }
            }
        });
        let address = poll_until(async || printed.lock().unwrap().address.clone()).await;
        let address: Multiaddr = address.expect("the program listens").parse().expect("an address");
        let peer = address.iter().last().and_then(|part| match part {
            libp2p::multiaddr::Protocol::P2p(peer) => Some(peer),
            _ => None,
        });
        Self { peer: peer.expect("an address with a peer id"), address, printed, child }
    }

    pub fn delivered(&self) -> Vec<Delivered> {
        self.printed.lock().unwrap().delivered.clone()
    }

    pub fn score(&self, peer: PeerId) -> Option<f64> {
        let printed = self.printed.lock().unwrap();
        printed.scores.as_ref().map(|scores| scores.get(&peer.to_string()).copied().unwrap_or_default())
    }
}

/// The first parameter of a case that the command line does not have.
fn missing(setup: &Setup) -> Option<&'static str> {
    let usual = Setup::default();
    let parameters = [
        (setup.validates, "to validate messages"),
        (setup.colocation.is_some(), "to set P6"),
        (setup.graylist != usual.graylist, "to set the graylist threshold"),
        (setup.flood_publish || setup.idontwant_on_publish || setup.px, "to let it publish or prune"),
        (!setup.direct.is_empty(), "to name direct peers"),
    ];
    parameters.into_iter().find(|(needed, _)| *needed).map(|(_, means)| means)
}

impl Printed {
    fn add(&mut self, event: &Value) {
        let text = |field: &str| event[field].as_str().map(ToOwned::to_owned);
        match event["event"].as_str() {
            Some("listening") => self.address = self.address.take().or(text("addr")),
            Some("message") => {
                let id = hex::decode(text("id").expect("an id")).expect("hexadecimal");
                let source = text("from").and_then(|from| from.parse().ok());
                self.delivered.push(Delivered { id, source });
            }
            Some("scores") => {
                let scores = event["scores"].as_object();
                let scores = scores.into_iter().flatten().filter_map(|(peer, score)| {
                    score.as_f64().or(score["score"].as_f64()).map(|score| (peer.clone(), score))
                });
                self.scores = Some(scores.collect());
            }
            _ => {}
        }
    }
}
