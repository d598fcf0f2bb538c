//! A scenario is one workload with a number of topics and peers. Each engine is set up once and runs all variants. The
//! baseline runs in turn with it, step by step, so that both meet the same noise.

use std::{
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use actix::SystemRunner;

use super::{
    baseline::Baseline,
    counts::Counts,
    cpu,
    engine::{
        EngineTarget,
        Placement::{Colocated, Separate},
    },
    heap,
    matrix::{Engine, Selection, Variant, Workload, name},
    networks::ValidationTime,
    node::NodeTarget,
    report::Line,
    target::Target,
    topology::{DEGREE, Topology, limits},
    traffic::Traffic,
};

/// Messages of a step.
const STEP: usize = 2048;
/// Steps of a run. The first one is a warm-up.
const STEPS: usize = 10;
/// Measured heartbeats (W).
const HEARTBEATS: u32 = 2;
/// Heartbeats until messages leave the history: the measured number for R, as in the measurements of the reference.
const HISTORY: u32 = 5;
const VALIDATION: Duration = Duration::from_micros(5);
/// The size of a body of [`Variant::Payload`], in bytes.
pub const LONG_PAYLOAD: usize = 2048;

/// A workload with a number of topics and peers.
pub struct Scenario<'a, N: Traffic> {
    system: &'a Rc<SystemRunner>,
    topology: Topology<N>,
    validation: ValidationTime,
    /// The times of the baseline by variant, in nanoseconds an input.
    baseline_times: Vec<(Variant, Vec<f64>)>,
}

/// An engine and the baseline that runs in turn with it. Each has messages of its own.
struct Pair<N: Traffic> {
    target: Box<dyn Target<N>>,
    baseline: Baseline<N>,
}

/// The steps of a run.
#[derive(Default)]
struct Times {
    target: Vec<Step>,
    baseline: Vec<Step>,
}

/// Nanoseconds an input: wall time, and CPU time of all threads.
#[derive(Clone, Copy)]
struct Step {
    wall: f64,
    cpu: f64,
}

impl<'a, N: Traffic> Scenario<'a, N> {
    pub fn new(system: &'a Rc<SystemRunner>, topics: usize, peers: usize) -> Self {
        let topology = N::topology(topics, peers);
        Self { system, topology, validation: ValidationTime::default(), baseline_times: Vec::new() }
    }

    /// Measures the selected cells, those of the baseline last.
    pub fn measure(&mut self, selection: &Selection, mut report: impl FnMut(Line)) {
        for engine in selection.engines.iter().copied().filter(|engine| *engine != Engine::Baseline) {
            self.measure_engine(engine, &selection.variants, &mut report);
        }
        if selection.engines == [Engine::Baseline] {
            self.measure_baseline(&selection.variants);
        }
        if selection.engines.contains(&Engine::Baseline) {
            for (variant, times) in std::mem::take(&mut self.baseline_times) {
                report(self.line(Engine::Baseline, variant, median(times), 1.0));
            }
        }
    }

    fn measure_engine(&mut self, engine: Engine, variants: &[Variant], report: &mut impl FnMut(Line)) {
        let Topology { topics, peers, .. } = &self.topology;
        eprintln!("{} {} topics={} peers={}", name(N::NAME), name(engine), topics.len(), peers.len());
        let (target, memory) = self.set_up(engine);
        let mut pair = Pair { target, baseline: self.new_baseline() };
        for variant in variants {
            let times = self.run(&mut pair, *variant);
            let mut line = self.line(engine, *variant, times.nanos(engine), times.ratio(engine));
            line.cpu_ns_per_input = Some(median(times.target.iter().map(|step| step.cpu).collect()));
            self.add_baseline_times(*variant, &times.baseline);
            if *variant == Variant::Plain {
                [line.bytes_per_topic, line.bytes_per_topic_peer] = memory.map(Some);
                line.heartbeat_cpu_ms = Some(millis(self.heartbeat_cpu(&mut pair)));
                line.heartbeat_max_delay_ms = Some(millis(self.heartbeat_delay(&mut pair)));
            }
            self.clear_history(&mut pair);
            report(line);
        }
    }

    /// An engine with all peers in place, its bytes a topic, and its bytes a (topic, peer).
    fn set_up(&self, engine: Engine) -> (Box<dyn Target<N>>, [f64; 2]) {
        let (topology, topics) = (&self.topology, self.topology.topics.len());
        let mut target = new_target(self.system, topics, engine, self.validation.clone());
        let ((), joined) = heap::growth(|| target.join(topology));
        let ((), connected) = heap::growth(|| target.connect(topology));
        target.graft(topology);
        let pairs = topics * topology.peers.len();
        (target, [joined as f64 / topics as f64, connected as f64 / pairs as f64])
    }

    fn new_baseline(&self) -> Baseline<N> {
        let mut baseline = Baseline::new(self.validation.clone());
        baseline.graft(&self.topology);
        baseline
    }

    fn run(&self, pair: &mut Pair<N>, variant: Variant) -> Times {
        self.validation.set(validation(variant));
        let mut times = Times::default();
        for step in 0..STEPS {
            let baseline = self.step(&mut pair.baseline, variant);
            let target = self.step(&mut *pair.target, variant);
            if step > 0 {
                times.baseline.push(baseline);
                times.target.push(target);
            }
        }
        self.validation.set(Duration::ZERO);
        times
    }

    fn measure_baseline(&mut self, variants: &[Variant]) {
        let mut baseline = self.new_baseline();
        for variant in variants {
            self.validation.set(validation(*variant));
            let steps: Vec<Step> = (0..STEPS).map(|_| self.step(&mut baseline, *variant)).collect();
            self.add_baseline_times(*variant, &steps);
        }
    }

    fn step(&self, target: &mut dyn Target<N>, variant: Variant) -> Step {
        let payload = if variant == Variant::Payload { LONG_PAYLOAD } else { N::PAYLOAD };
        target.prepare(&self.topology, STEP, payload);
        timed(|| target.run())
    }

    /// The mean CPU time of a heartbeat. R: of the five heartbeats after the messages, as in the measurements of the
    /// reference: two of them gossip, the last one clears the history. W: of two, each after about one message a topic.
    fn heartbeat_cpu(&self, pair: &mut Pair<N>) -> Duration {
        if N::NAME == Workload::R {
            return (0..HISTORY).map(|_| pair.target.heartbeat()).sum::<Duration>() / HISTORY;
        }
        self.clear_history(pair);
        let mut heartbeat = || {
            self.message_per_topic(pair);
            pair.target.heartbeat()
        };
        (0..HEARTBEATS).map(|_| heartbeat()).sum::<Duration>() / HEARTBEATS
    }

    /// The longest delay of a message by two heartbeats, each after about one message a topic.
    fn heartbeat_delay(&self, pair: &mut Pair<N>) -> Duration {
        let mut delay = || {
            self.message_per_topic(pair);
            pair.target.heartbeat_delay(&self.topology)
        };
        (0..HEARTBEATS).map(|_| delay()).max().unwrap_or_default()
    }

    fn clear_history(&self, pair: &mut Pair<N>) {
        for _ in 0..HISTORY {
            pair.target.heartbeat();
        }
    }

    fn message_per_topic(&self, pair: &mut Pair<N>) {
        let messages = self.topology.topics.len();
        pair.target.prepare(&self.topology, messages, N::PAYLOAD);
        pair.target.run();
    }

    fn add_baseline_times(&mut self, variant: Variant, steps: &[Step]) {
        let times = steps.iter().map(|step| step.cpu);
        match self.baseline_times.iter_mut().find(|(other, _)| *other == variant) {
            Some((_, all)) => all.extend(times),
            None => self.baseline_times.push((variant, times.collect())),
        }
    }

    fn line(&self, engine: Engine, variant: Variant, ns_per_input: f64, ratio: f64) -> Line {
        let inputs_per_s = 1e9 / ns_per_input;
        Line {
            workload: N::NAME,
            engine,
            topics: self.topology.topics.len(),
            peers: self.topology.peers.len(),
            variant,
            ns_per_input: Some(ns_per_input),
            inputs_per_s: Some(inputs_per_s),
            forwards_per_s: Some(inputs_per_s * (DEGREE as f64 - 1.0) / DEGREE as f64),
            ratio_to_baseline: Some(ratio),
            cpu_ns_per_input: None,
            instructions_per_input: None,
            heartbeat_cpu_ms: None,
            heartbeat_max_delay_ms: None,
            bytes_per_topic: None,
            bytes_per_topic_peer: None,
            allocator: heap::ALLOCATOR.to_owned(),
        }
    }
}

impl Times {
    /// The time of an input. For an engine with threads it is that of the fastest step, because other steps waited for the
    /// machine.
    fn nanos(&self, engine: Engine) -> f64 {
        if engine.has_threads() {
            self.target.iter().map(|step| step.wall).fold(f64::INFINITY, f64::min)
        } else {
            median(self.target.iter().map(|step| step.cpu).collect())
        }
    }

    fn ratio(&self, engine: Engine) -> f64 {
        self.nanos(engine) / median(self.baseline.iter().map(|step| step.cpu).collect())
    }
}

fn new_target<N: Traffic>(
    system: &Rc<SystemRunner>,
    topics: usize,
    engine: Engine,
    validation: ValidationTime,
) -> Box<dyn Target<N>> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let limits = limits(topics);
    let (arbiters, placement) = match engine {
        Engine::Baseline => return Box::new(Baseline::new(validation)),
        Engine::Node => return Box::new(NodeTarget::new(limits, validation)),
        Engine::Engine1 => (1, Separate),
        Engine::EngineN => (cores, Separate),
        Engine::Colocated1 => (1, Colocated),
        Engine::ColocatedN => (cores, Colocated),
    };
    Box::new(EngineTarget::new(system, limits, validation, arbiters, placement, None))
}

fn validation(variant: Variant) -> Duration {
    if variant == Variant::Validator { VALIDATION } else { Duration::ZERO }
}

/// Times a run.
///
/// # Panics
/// An output is missing.
fn timed(run: impl FnOnce() -> Counts) -> Step {
    let (start, cpu) = (Instant::now(), cpu::of_process());
    let counts = run();
    let (wall, cpu) = (start.elapsed(), cpu::of_process() - cpu);
    assert!(counts.is_complete(), "outputs are missing: {counts:?}");
    let per_input = |time: Duration| time.as_nanos() as f64 / counts.inputs as f64;
    Step { wall: per_input(wall), cpu: per_input(cpu) }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
