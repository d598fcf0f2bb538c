//! Counts instructions: this program runs itself under callgrind, which counts nothing but what happens inside
//! [`message_path`]. Set-up, warm-up and the making of messages are outside of it; reading the outputs, and
//! dropping them and the copies, is inside.

use std::{
    env, fs, io,
    path::Path,
    process::{Command, Stdio},
    rc::Rc,
};

use actix::SystemRunner;

use super::{
    engine::{EngineSubject, Place},
    floor::Floor,
    networks::{NamingId, R, Verdict, W},
    node::NodeSubject,
    population::{DEGREE, limits},
    recording::recorder,
    selection::{Engine, find},
    subject::Subject,
    tally::Tally,
    traffic::Traffic,
};

/// Messages counted, and messages before them; at least one a topic each.
const MESSAGES: usize = 4096;
const WARM_UP: usize = 1024;

/// The argument that makes this program run one cell, for callgrind to look at.
pub const CHILD: &str = "--counted";

/// What is counted.
#[derive(Clone, Debug)]
pub struct Cell {
    pub workload: String,
    pub engine: String,
    pub topics: usize,
    pub peers: usize,
    pub payload: Option<usize>,
    pub counted: Counted,
}

/// What of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counted {
    /// The path of messages: instructions an input.
    Messages,
    /// A heartbeat after about one message a topic: instructions a topic.
    Heartbeat,
}

/// The argument that has a heartbeat counted.
const HEARTBEAT: &str = "heartbeat";

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum NoCount {
    #[error("valgrind is not installed: it counts the instructions (packages are called `valgrind`)")]
    NoValgrind,
    #[error("callgrind failed: {0}")]
    Failed(String),
    #[error("callgrind counted nothing: {0} has no symbol `message_path`; is it stripped?")]
    NoSymbol(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The path of the messages: callgrind's counter is on from when this is entered until it returns.
#[inline(never)]
pub fn message_path(run: &mut dyn FnMut()) {
    run();
}

// === The side that asks ===

/// Whether instructions can be counted here.
///
/// # Errors
/// They can't.
pub fn check_valgrind() -> Result<(), NoCount> {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    match version {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(NoCount::NoValgrind),
        other => other.map(drop).map_err(NoCount::Io),
    }
}

/// Instructions an input, or a topic.
///
/// # Errors
/// There is no valgrind, or it failed.
pub fn count(cell: &Cell) -> Result<f64, NoCount> {
    check_valgrind()?;
    let program = env::current_exe()?;
    let profile = env::temp_dir().join(format!("router-{}.callgrind", std::process::id()));
    let mut run = Command::new("valgrind");
    run.args(["--tool=callgrind", "--toggle-collect=*instructions::message_path*"]);
    run.arg(format!("--callgrind-out-file={}", profile.display())).arg(&program).args(cell.arguments());
    let output = run.output()?;
    if !output.status.success() {
        return Err(NoCount::Failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let total = total(&profile);
    fs::remove_file(&profile)?;
    match total? {
        0 => Err(NoCount::NoSymbol(program.display().to_string())),
        total => Ok(total as f64 / cell.parts() as f64),
    }
}

impl Cell {
    fn messages(&self) -> usize {
        MESSAGES.max(self.topics.next_multiple_of(64))
    }

    fn inputs(&self) -> usize {
        self.messages() * DEGREE
    }

    /// What the count is divided by.
    fn parts(&self) -> usize {
        match self.counted {
            Counted::Messages => self.inputs(),
            Counted::Heartbeat => self.topics,
        }
    }

    fn arguments(&self) -> Vec<String> {
        let Self { workload, engine, topics, peers, payload, counted } = self;
        let mut arguments = vec![CHILD.to_owned(), workload.clone(), engine.clone()];
        arguments.extend([topics, peers].map(ToString::to_string));
        arguments.extend(payload.map(|payload| payload.to_string()));
        arguments.extend((*counted == Counted::Heartbeat).then(|| HEARTBEAT.to_owned()));
        arguments
    }

    fn parse(arguments: &[String]) -> Option<Self> {
        let [workload, engine, topics, peers, rest @ ..] = arguments else { return None };
        let (topics, peers) = (topics.parse().ok()?, peers.parse().ok()?);
        let payload = rest.first().and_then(|payload| payload.parse().ok());
        let heartbeat = rest.last().is_some_and(|word| word == HEARTBEAT);
        let counted = if heartbeat { Counted::Heartbeat } else { Counted::Messages };
        Some(Self { workload: workload.clone(), engine: engine.clone(), topics, peers, payload, counted })
    }
}

/// The profile's `totals:` line.
fn total(profile: &Path) -> Result<u64, NoCount> {
    let text = fs::read_to_string(profile)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| NoCount::Failed("its profile has no total".to_owned()))
}

// === The side that is counted ===

/// Runs the cell that the arguments name.
pub fn run_counted(system: &Rc<SystemRunner>, arguments: &[String]) {
    let cell = Cell::parse(arguments).expect("workload, engine, topics, peers, payload");
    match cell.workload.as_str() {
        "R" => run_cell::<R>(system, &cell),
        "W" => run_cell::<W>(system, &cell),
        _ => run_cell::<W<NamingId>>(system, &cell),
    }
}

fn run_cell<N: Traffic>(system: &Rc<SystemRunner>, cell: &Cell) {
    let population = N::population(cell.topics, cell.peers);
    let payload = cell.payload.unwrap_or(N::PAYLOAD);
    let warm_up = WARM_UP.max(cell.topics);
    let tally = match find(&cell.engine) {
        Some(Engine::Floor) => {
            let (mut floor, mut source) = (Floor::new(&population, Verdict::default()), N::source(0));
            floor.run(N::rounds(&mut source, &population, warm_up, payload));
            let mut counted = Some(N::rounds(&mut source, &population, cell.messages(), payload));
            run_path(|| floor.run(counted.take().unwrap_or_default()))
        }
        engine => {
            let mut subject = make(system, engine, cell);
            subject.join(&population);
            subject.populate(&population);
            subject.graft(&population);
            subject.load(&population, warm_up, payload);
            subject.run();
            if cell.counted == Counted::Heartbeat {
                message_path(&mut || {
                    subject.heartbeat();
                });
                std::process::exit(0);
            }
            subject.load(&population, cell.messages(), payload);
            run_path(|| subject.run())
        }
    };
    assert!(tally.is_complete() && tally.inputs as usize == cell.inputs(), "{tally:?}");
    // What would be freed now is of no interest, and takes its time under callgrind.
    std::process::exit(0);
}

fn make<N: Traffic>(system: &Rc<SystemRunner>, engine: Option<Engine>, cell: &Cell) -> Box<dyn Subject<N>> {
    let (limits, verdict) = (limits(cell.topics), Verdict::default());
    match engine {
        Some(Engine::Node) => Box::new(NodeSubject::new(limits, verdict)),
        // On this thread, where callgrind can tell what belongs to the path; the same code.
        _ => Box::new(EngineSubject::new(system, limits, verdict, 0, Place::Apart, recorder(&cell.engine))),
    }
}

fn run_path(mut run: impl FnMut() -> Tally) -> Tally {
    let mut tally = Tally::default();
    message_path(&mut || tally = run());
    tally
}
