//! One place of the matrix: a workload with so many topics and peers. Every engine is set up once, runs all
//! variants, and shares each run with the floor, step by step, so that both see the same noise.

use std::{
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use actix::SystemRunner;

use super::{
    cpu,
    engine::{
        EngineSubject,
        Place::{Apart, Beside},
    },
    floor::Floor,
    heap,
    networks::Verdict,
    node::NodeSubject,
    population::{DEGREE, Population, limits},
    report::Line,
    selection::{Engine, Selection, Variant, Word},
    subject::Subject,
    tally::Tally,
    traffic::{Round, Traffic},
};

/// Messages of a step.
const STEP: usize = 2048;
/// Steps of a run; the first is not counted.
const STEPS: usize = 10;
/// So many heartbeats are measured.
const HEARTBEATS: u32 = 2;
/// After so many, messages are forgotten; the reference's number of heartbeats.
const HISTORY: u32 = 5;
const VERDICT: Duration = Duration::from_micros(5);
/// The bytes of a body of the variant with longer ones.
pub const LONG_PAYLOAD: usize = 2048;

/// A workload with so many topics and peers.
pub struct Place<'a, N: Traffic> {
    system: &'a Rc<SystemRunner>,
    population: Population<N>,
    verdict: Verdict,
    /// The floor's times, by variant.
    floor_times: Vec<(Variant, Vec<f64>)>,
}

/// An engine that is being measured, and the floor beside it, each with its own messages.
struct Pair<N: Traffic> {
    subject: Box<dyn Subject<N>>,
    floor: Floor<N>,
    floor_source: N::Source,
}

/// What each step of a run took.
#[derive(Default)]
struct Times {
    subject: Vec<Step>,
    floor: Vec<Step>,
}

/// Nanoseconds an input: of the clock on the wall, and of CPU time of all threads.
#[derive(Clone, Copy)]
struct Step {
    wall: f64,
    cpu: f64,
}

impl<'a, N: Traffic> Place<'a, N> {
    pub fn new(system: &'a Rc<SystemRunner>, topics: usize, peers: usize) -> Self {
        let population = N::population(topics, peers);
        Self { system, population, verdict: Verdict::default(), floor_times: Vec::new() }
    }

    /// Measures the chosen cells, the floor's last.
    pub fn measure(&mut self, selection: &Selection, mut show: impl FnMut(Line)) {
        for engine in selection.engines.iter().copied().filter(|engine| *engine != Engine::Floor) {
            self.measure_engine(engine, &selection.variants, &mut show);
        }
        if selection.engines == [Engine::Floor] {
            self.measure_floor(&selection.variants);
        }
        if selection.engines.contains(&Engine::Floor) {
            for (variant, times) in std::mem::take(&mut self.floor_times) {
                show(self.line(Engine::Floor, variant, median(times), 1.0));
            }
        }
    }

    fn measure_engine(&mut self, engine: Engine, variants: &[Variant], show: &mut impl FnMut(Line)) {
        let Population { topics, peers, .. } = &self.population;
        eprintln!("{} {} topics={} peers={}", N::NAME, engine.word(), topics.len(), peers.len());
        let (subject, memory) = self.set_up(engine);
        let floor = Floor::new(&self.population, self.verdict.clone());
        let mut pair = Pair { subject, floor, floor_source: N::source(0) };
        for variant in variants {
            let times = self.run(&mut pair, *variant);
            let mut line = self.line(engine, *variant, times.nanos(engine), times.ratio(engine));
            line.cpu_ns_per_input = Some(median(times.subject.iter().map(|step| step.cpu).collect()));
            self.note_floor(*variant, &times.floor);
            if *variant == Variant::Plain {
                [line.bytes_per_topic, line.bytes_per_topic_peer] = memory.map(Some);
                line.heartbeat_cpu_ms = Some(millis(self.heartbeat_cpu(&mut pair)));
                line.heartbeat_max_wait_ms = Some(millis(self.heartbeat_wait(&mut pair)));
            }
            self.forget(&mut pair);
            show(line);
        }
    }

    /// An engine with everybody in place, and its bytes per topic and per (topic, peer).
    fn set_up(&self, engine: Engine) -> (Box<dyn Subject<N>>, [f64; 2]) {
        let (population, topics) = (&self.population, self.population.topics.len());
        let mut subject = make(self.system, topics, engine, self.verdict.clone());
        let ((), joined) = heap::growth(|| subject.join(population));
        let ((), populated) = heap::growth(|| subject.populate(population));
        subject.graft(population);
        let pairs = topics * population.peers.len();
        (subject, [joined as f64 / topics as f64, populated as f64 / pairs as f64])
    }

    fn run(&self, pair: &mut Pair<N>, variant: Variant) -> Times {
        self.verdict.set(if variant == Variant::Validator { VERDICT } else { Duration::ZERO });
        let mut times = Times::default();
        for step in 0..STEPS {
            let rounds = self.rounds(&mut pair.floor_source, variant);
            let floor = timed(|| pair.floor.run(rounds));
            pair.subject.load(&self.population, STEP, payload::<N>(variant));
            let subject = timed(|| pair.subject.run());
            if step > 0 {
                times.floor.push(floor);
                times.subject.push(subject);
            }
        }
        self.verdict.set(Duration::ZERO);
        times
    }

    fn measure_floor(&mut self, variants: &[Variant]) {
        let mut floor = Floor::new(&self.population, self.verdict.clone());
        let mut source = N::source(0);
        for variant in variants {
            self.verdict.set(if *variant == Variant::Validator { VERDICT } else { Duration::ZERO });
            let step = |_| {
                let rounds = self.rounds(&mut source, *variant);
                timed(|| floor.run(rounds))
            };
            let steps: Vec<Step> = (0..STEPS).map(step).collect();
            self.note_floor(*variant, &steps);
        }
    }

    /// A mean. R: over the five heartbeats after the messages, as the reference's: two of them have gossip,
    /// and the last forgets the messages. W: over two, each after about one message a topic, once the
    /// messages before are forgotten.
    fn heartbeat_cpu(&self, pair: &mut Pair<N>) -> Duration {
        if N::NAME == "R" {
            return (0..HISTORY).map(|_| pair.subject.heartbeat()).sum::<Duration>() / HISTORY;
        }
        self.forget(pair);
        let mut heartbeat = || {
            self.message_per_topic(pair);
            pair.subject.heartbeat()
        };
        (0..HEARTBEATS).map(|_| heartbeat()).sum::<Duration>() / HEARTBEATS
    }

    /// The longest of two heartbeats, each after about one message a topic.
    fn heartbeat_wait(&self, pair: &mut Pair<N>) -> Duration {
        let mut wait = || {
            self.message_per_topic(pair);
            pair.subject.heartbeat_wait(&self.population)
        };
        (0..HEARTBEATS).map(|_| wait()).max().unwrap_or_default()
    }

    /// After so many heartbeats the history holds nothing.
    fn forget(&self, pair: &mut Pair<N>) {
        for _ in 0..HISTORY {
            pair.subject.heartbeat();
        }
    }

    fn message_per_topic(&self, pair: &mut Pair<N>) {
        let messages = self.population.topics.len();
        pair.subject.load(&self.population, messages, N::PAYLOAD);
        pair.subject.run();
    }

    fn rounds(&self, source: &mut N::Source, variant: Variant) -> Vec<Round<N>> {
        N::rounds(source, &self.population, STEP, payload::<N>(variant))
    }

    fn note_floor(&mut self, variant: Variant, steps: &[Step]) {
        let times = steps.iter().map(|step| step.cpu);
        match self.floor_times.iter_mut().find(|(noted, _)| *noted == variant) {
            Some((_, noted)) => noted.extend(times),
            None => self.floor_times.push((variant, times.collect())),
        }
    }

    fn line(&self, engine: Engine, variant: Variant, ns_per_input: f64, ratio: f64) -> Line {
        let inputs_per_s = 1e9 / ns_per_input;
        Line {
            workload: N::NAME.to_owned(),
            engine: engine.word().to_owned(),
            topics: self.population.topics.len(),
            peers: self.population.peers.len(),
            variant: variant.word().to_owned(),
            ns_per_input: Some(ns_per_input),
            inputs_per_s: Some(inputs_per_s),
            forwards_per_s: Some(inputs_per_s * (DEGREE as f64 - 1.0) / DEGREE as f64),
            ratio_to_floor: Some(ratio),
            allocator: heap::NAME.to_owned(),
            ..Line::default()
        }
    }
}

impl Times {
    /// Of what has threads, the fastest step: the others waited for the machine too.
    fn nanos(&self, engine: Engine) -> f64 {
        if engine.has_threads() {
            self.subject.iter().map(|step| step.wall).fold(f64::INFINITY, f64::min)
        } else {
            median(self.subject.iter().map(|step| step.cpu).collect())
        }
    }

    fn ratio(&self, engine: Engine) -> f64 {
        self.nanos(engine) / median(self.floor.iter().map(|step| step.cpu).collect())
    }
}

fn make<N: Traffic>(
    system: &Rc<SystemRunner>,
    topics: usize,
    engine: Engine,
    verdict: Verdict,
) -> Box<dyn Subject<N>> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let limits = limits(topics);
    match engine {
        Engine::Floor | Engine::Node => Box::new(NodeSubject::new(limits, verdict)),
        Engine::Engine1 => Box::new(EngineSubject::new(system, limits, verdict, 1, Apart, None)),
        Engine::EngineN => Box::new(EngineSubject::new(system, limits, verdict, cores, Apart, None)),
        Engine::Beside1 => Box::new(EngineSubject::new(system, limits, verdict, 1, Beside, None)),
        Engine::BesideN => Box::new(EngineSubject::new(system, limits, verdict, cores, Beside, None)),
    }
}

/// The bytes of a body.
fn payload<N: Traffic>(variant: Variant) -> usize {
    if variant == Variant::Payload { LONG_PAYLOAD } else { N::PAYLOAD }
}

/// Runs a step. One from which a message is missing tells nothing.
fn timed(run: impl FnOnce() -> Tally) -> Step {
    let (start, cpu) = (Instant::now(), cpu::of_process());
    let tally = run();
    let (wall, cpu) = (start.elapsed(), cpu::of_process() - cpu);
    assert!(tally.is_complete(), "not every message came out: {tally:?}");
    let per_input = |time: Duration| time.as_nanos() as f64 / tally.inputs as f64;
    Step { wall: per_input(wall), cpu: per_input(cpu) }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
