//! One node of a network, on a thread of its own: its conversation with whoever measures, by lines. Whose
//! node it is matters only at the beginning.
//!
//! `at ADDRESS` → `dial ADDRESS …` → `ready` → `go NANOS` → `done TALLY` → `bye`

use std::{
    future::Future,
    io::{BufRead, Write},
    pin::Pin,
    thread,
    time::{Duration, Instant},
};

use libp2p::Multiaddr;
use tokio::sync::mpsc;

use super::{
    account::Account,
    ours::Ours,
    plan::{DRAINING, NODES, Plan, QUIET, Side, WARMING},
    publisher::{self, nanos, wait_until},
    theirs::Theirs,
};

/// A future on the node's own thread.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A node of either side.
pub trait Node: Clone + 'static {
    /// Dials one that listens there.
    fn dial(&self, address: Multiaddr) -> Local<'_, ()>;
    /// The smallest mesh of all topics.
    fn mesh(&self) -> Local<'_, usize>;
    /// Publishes, and waits only if it is told to come again.
    fn publish(&self, topic: usize, data: Vec<u8>) -> Local<'_, ()>;
}

/// The lines that whoever measures says, and how to answer.
pub struct Line {
    pub heard: mpsc::UnboundedReceiver<String>,
    pub say: Box<dyn FnMut(String) + Send>,
}

impl Line {
    /// The rest of the next line, which must begin with `word`. `None`: nobody is there any more.
    async fn hear(&mut self, word: &str) -> Option<String> {
        let line = self.heard.recv().await?;
        line.strip_prefix(word).map(|rest| rest.trim().to_owned())
    }
}

/// Runs a node to its end on this thread.
pub fn run(plan: Plan, line: Line) {
    actix::System::new().block_on(async move {
        let account = Account::new();
        // What is not said any more need not be answered: the network is given up.
        let _ = match plan.side {
            Side::Ours => {
                let (node, address) = Ours::start(&plan, account.clone()).await;
                let course = course(plan, account, node.clone(), address, line).await;
                node.end().await;
                course
            }
            Side::Theirs => {
                let (node, address) = Theirs::start(&plan, account.clone()).await;
                course(plan, account, node, address, line).await
            }
        };
    });
}

async fn course(
    plan: Plan,
    account: Account,
    node: impl Node,
    address: Multiaddr,
    mut line: Line,
) -> Option<()> {
    (line.say)(format!("at {address}"));
    for address in line.hear("dial").await?.split_whitespace() {
        node.dial(address.parse().ok()?).await;
    }
    while node.mesh().await < NODES - 1 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (line.say)("ready".to_owned());
    let start = line.hear("go").await?.parse().ok()?;

    let (publisher, published) = (node.clone(), account.clone());
    let publishing = actix::spawn(async move {
        let publish = async |topic, data| publisher.publish(topic, data).await;
        publisher::run(plan, published, start, publish).await;
    });
    wait_until(start + nanos(WARMING)).await;
    let from = account.mark(true);
    wait_until(start + nanos(WARMING + plan.measured)).await;
    let to = account.mark(false);
    // It ends at the same time; if it is stuck, the numbers say so.
    let _ = tokio::time::timeout(DRAINING, publishing).await;
    drain(&account).await;
    (line.say)(format!("done {}", account.result(&from, &to).to_json()));
    line.hear("bye").await.map(|_| ())
}

/// Waits until nothing has come for a while, but not for ever.
async fn drain(account: &Account) {
    let end = Instant::now() + DRAINING;
    let mut before = None;
    while before != Some(account.deliveries()) && Instant::now() < end {
        before = Some(account.deliveries());
        tokio::time::sleep(QUIET).await;
    }
}

/// A node whose line is standard input and output; the first line is its plan.
pub fn run_as_process() {
    let mut first = String::new();
    if std::io::stdin().lock().read_line(&mut first).is_err() {
        return;
    }
    let Some(plan) = Plan::from_json(&first) else { return };
    let (sender, heard) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        // Whoever measures may be gone: its silence ends us.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    run(plan, Line { heard, say: Box::new(say) });
}
