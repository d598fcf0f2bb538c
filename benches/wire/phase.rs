//! One network from start to end, and its numbers. It only tells the nodes when.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    account::{Tally, now},
    node::{self, Line},
    plan::{Mode, NODES, Plan, Row, Side},
};

/// How long a node may take for what it is told, besides what it measures.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node as whoever measures knows it.
struct Remote {
    say: Box<dyn FnMut(&str)>,
    heard: Receiver<String>,
    end: End,
}

enum End {
    Thread(thread::JoinHandle<()>),
    Process(Child),
}

pub struct Phase;

impl Phase {
    pub fn run(row: Row, side: Side, seconds: u64) -> Result<Tally, String> {
        let measured = Duration::from_secs(seconds);
        let Row { mode, topics, size, load } = row;
        let plan = |index| Plan { side, index, topics, size, load, measured };
        let start = |index| match mode {
            Mode::Threads => Ok(Remote::thread(plan(index))),
            Mode::Processes => Remote::process(plan(index)),
        };
        let mut nodes: Vec<Remote> = (0..NODES).map(start).collect::<Result<_, _>>()?;
        let result = conduct(&mut nodes, measured, mode == Mode::Threads);
        nodes.into_iter().for_each(Remote::end);
        result
    }
}

fn conduct(nodes: &mut [Remote], measured: Duration, together: bool) -> Result<Tally, String> {
    let mut addresses = Vec::new();
    for node in nodes.iter_mut() {
        addresses.push(node.hear("at", PATIENCE)?);
    }
    // Each dials those before it.
    for (index, node) in nodes.iter_mut().enumerate() {
        (node.say)(&format!("dial {}", addresses[..index].join(" ")));
    }
    for node in nodes.iter_mut() {
        node.hear("ready", PATIENCE)?;
    }
    let go = format!("go {}", now() + 300_000_000);
    nodes.iter_mut().for_each(|node| (node.say)(&go));
    let mut all = Tally::default();
    for node in nodes.iter_mut() {
        let done = node.hear("done", PATIENCE + measured)?;
        all.join(Tally::from_json(&done).ok_or("a node said no numbers")?, together);
    }
    Ok(all)
}

impl Remote {
    fn thread(plan: Plan) -> Self {
        let (sender, heard) = channel();
        let (say, line) = mpsc::unbounded_channel();
        // Whoever does not listen any more is ending: nothing is to be said.
        let answer = move |line| drop(sender.send(line));
        let end = thread::spawn(move || node::run(plan, Line { heard: line, say: Box::new(answer) }));
        let say = move |line: &str| drop(say.send(line.to_owned()));
        Self { say: Box::new(say), heard, end: End::Thread(end) }
    }

    fn process(plan: Plan) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no process: {error}");
        let program = env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("--node").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".to_owned());
        };
        let (sender, heard) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        // A process that is gone answers nothing, which is noticed.
        let mut say = move |line: &str| drop(writeln!(input, "{line}").and_then(|()| input.flush()));
        say(&plan.to_json().to_string());
        Ok(Self { say: Box::new(say), heard, end: End::Process(child) })
    }

    /// The rest of the next line, which must begin with `word`.
    fn hear(&mut self, word: &str, patience: Duration) -> Result<String, String> {
        let line = self.heard.recv_timeout(patience).map_err(|error| format!("no {word:?}: {error}"))?;
        let rest = line.strip_prefix(word).ok_or_else(|| format!("{line:?} instead of {word:?}"))?;
        Ok(rest.trim().to_owned())
    }

    fn end(mut self) {
        (self.say)("bye");
        drop(self.say);
        match self.end {
            // It has said why, if it panicked.
            End::Thread(thread) => drop(thread.join()),
            End::Process(mut child) => drop(child.wait()),
        }
    }
}
