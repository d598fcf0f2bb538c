//! Counts instructions: this program runs one cell of the matrix as a child process under callgrind, which counts only
//! inside [`measured`]. Reading and dropping the outputs and the copies is inside; set-up, warm-up and making the
//! messages come before.

use std::{
    env, io,
    process::{self, Command},
    rc::Rc,
};

use actix::System;
use serde::{Deserialize, Serialize};

use super::{
    baseline::Baseline,
    counts::Counts,
    engine::{EngineTarget, Placement},
    matrix::{Engine, Workload},
    metrics_cost,
    networks::{IdWithTopic, R, ValidationTime, W},
    node::NodeTarget,
    target::Target,
    topology::{DEGREE, Enabled, limits_with},
    traffic::Traffic,
};

/// Counted messages, and messages of the warm-up: at least one a topic each.
const MESSAGES: usize = 4096;
const WARM_UP: usize = 1024;

/// The text that callgrind prints before the count.
const COLLECTED: &str = "Collected :";

/// The cell that is counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    pub workload: Workload,
    pub engine: Engine,
    pub topics: usize,
    pub peers: usize,
    /// The size of a body in bytes, if not that of the workload.
    pub payload: Option<usize>,
    pub phase: Phase,
    /// Whether a recorder for Prometheus receives the engine's metrics.
    pub with_metrics: bool,
    pub enabled: Enabled,
}

/// The counted phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Messages: instructions an input.
    Messages,
    /// A heartbeat after about one message a topic: instructions a topic.
    Heartbeat,
}

/// The errors of a count.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    #[error("valgrind is not installed; instructions are counted with it")]
    NoValgrind,
    #[error("callgrind failed: {0}")]
    Failed(String),
    #[error("callgrind counted nothing: this program has no symbol `measured`; is it stripped?")]
    NoSymbol,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Cell {
    /// Messages of this workload, engine, number of topics and peers.
    pub fn new(workload: Workload, engine: Engine, topics: usize, peers: usize) -> Self {
        let (phase, enabled) = (Phase::Messages, Enabled::Nothing);
        Self { workload, engine, topics, peers, payload: None, phase, with_metrics: false, enabled }
    }

    /// Counts the instructions an input, or a topic, in a child process.
    ///
    /// # Errors
    /// There is no valgrind, or the child failed.
    pub fn count(&self) -> Result<f64, CountError> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--toggle-collect=*instructions::measured*"]);
        valgrind.arg("--callgrind-out-file=/dev/null").arg(env::current_exe()?).arg("counted");
        let cell = serde_json::to_string(self).expect("a cell is plain data");
        let output = valgrind.arg(cell).output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CountError::NoValgrind,
            _ => error.into(),
        })?;
        let text = String::from_utf8_lossy(&output.stderr);
        let total = text.lines().find_map(|line| line.split_once(COLLECTED)?.1.trim().parse::<u64>().ok());
        match total {
            Some(0) if output.status.success() => Err(CountError::NoSymbol),
            Some(total) if output.status.success() => Ok(total as f64 / self.divisor() as f64),
            _ => Err(CountError::Failed(text.into_owned())),
        }
    }

    /// Runs the cell. Callgrind counts this process.
    pub fn run(&self) -> ! {
        match self.workload {
            Workload::R => self.run_as::<R>(),
            Workload::W => self.run_as::<W>(),
            Workload::WNamed => self.run_as::<W<IdWithTopic>>(),
        }
        // Freeing everything would take long under callgrind.
        process::exit(0);
    }

    fn run_as<N: Traffic>(&self) {
        let topology = N::topology(self.topics, self.peers);
        let payload = self.payload.unwrap_or(N::PAYLOAD);
        let mut target = self.target::<N>();
        target.join(&topology);
        target.connect(&topology);
        target.graft(&topology);
        target.prepare(&topology, WARM_UP.max(self.topics), payload);
        target.run();
        if self.phase == Phase::Heartbeat {
            measured(&mut || {
                target.heartbeat();
            });
        } else {
            target.prepare(&topology, self.messages(), payload);
            let mut counts = Counts::default();
            measured(&mut || counts = target.run());
            assert!(counts.is_complete() && counts.inputs as usize == self.inputs(), "{counts:?}");
        }
        std::mem::forget(target);
    }

    fn target<N: Traffic>(&self) -> Box<dyn Target<N>> {
        let (limits, validation) = (limits_with(self.enabled, self.topics), ValidationTime::default());
        match self.engine {
            Engine::Baseline => Box::new(Baseline::new(validation)),
            Engine::Node => Box::new(NodeTarget::new(limits, validation)),
            // The engine runs on this thread, because the instructions of two threads depend on their scheduling.
            _ => {
                let system = Rc::new(System::new());
                let recorder = self.with_metrics.then(metrics_cost::recorder);
                Box::new(EngineTarget::new(&system, limits, validation, 0, Placement::Separate, recorder))
            }
        }
    }

    fn messages(&self) -> usize {
        MESSAGES.max(self.topics.next_multiple_of(64))
    }

    fn inputs(&self) -> usize {
        self.messages() * DEGREE
    }

    fn divisor(&self) -> usize {
        match self.phase {
            Phase::Messages => self.inputs(),
            Phase::Heartbeat => self.topics,
        }
    }
}

/// Callgrind counts from the call of this function until it returns.
#[inline(never)]
fn measured(run: &mut dyn FnMut()) {
    run();
}
