//! The chat of the examples, which is one program for two gossipsubs: they chat with each other.

#![allow(clippy::duplicate_mod, reason = "the program is compiled with each of the two gossipsubs")]

mod ours;
mod theirs;

use std::time::Duration;

use libp2p::identity::Keypair;
use tokio::sync::mpsc;

/// The time limit of every wait.
const DEADLINE: Duration = Duration::from_secs(30);

/// The two ends of a running chat.
struct Terminal {
    lines: mpsc::Sender<String>,
    output: mpsc::Receiver<String>,
}

impl Terminal {
    async fn wait_for(&mut self, what: &str) -> String {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(DEADLINE, async {
            loop {
                let line = self.output.recv().await.expect("the chat runs");
                if line.contains(what) {
                    return line;
                }
                seen.push(line);
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {what:?} within {DEADLINE:?}, only {seen:?}"))
    }
}

/// Sends a line once. It arrives although there may be no mesh yet.
async fn send(line: &str, from: &Terminal, to: &mut Terminal) {
    from.lines.send(line.to_owned()).await.unwrap();
    to.wait_for(&format!(": {line}")).await;
}

/// Starts a chat of one of the two modules.
macro_rules! start {
    ($chat:ident, $dial:expr) => {{
        let (lines, receiver) = mpsc::channel(16);
        let (sender, output) = mpsc::channel(16);
        let swarm = $chat::chat::swarm(Keypair::generate_ed25519()).unwrap();
        tokio::spawn($chat::chat::chat(swarm, $dial, receiver, sender));
        Terminal { lines, output }
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_chat_runs_with_both_gossipsubs_and_they_chat_with_each_other() {
    let mut theirs = start!(theirs, Vec::new());
    let listening = theirs.wait_for("listening on ").await;
    let address = listening.trim_start_matches("listening on ").parse().unwrap();
    let mut ours = start!(ours, vec![address]);
    ours.wait_for("is here").await;
    theirs.wait_for("is here").await;
    send("hello from here", &ours, &mut theirs).await;
    send("hello from there", &theirs, &mut ours).await;
}
