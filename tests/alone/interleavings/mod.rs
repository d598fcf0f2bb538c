//! Random schedules: every actor of an engine runs on one thread, and a seed decides which of them handles its next items,
//! when verdicts and time arrive, which hook panics and which future is dropped.
//!
//! `GOSSIPSUB_SCHEDULES` sets the number of schedules. `GOSSIPSUB_SEED` runs one schedule only, and prints its steps with
//! `--nocapture`.

mod arrival;
mod batch_path;
mod checks;
mod end;
mod heartbeats;
mod hooks;
mod network;
mod perils;
mod plan;
mod random;
mod records;
mod reference;
mod schedule;
mod stepped;
mod steps;
mod trace;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env,
    rc::Rc,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use perils::Summary;
use schedule::Schedule;
use trace::Trace;

/// The number of schedules without `GOSSIPSUB_SCHEDULES`. `.ci/run` says how many CI runs, and why.
const SCHEDULES: u64 = 2_000;
/// In as many schedules each hook panics.
const LONG_RUN: u64 = 10_000;
/// The schedules that run twice.
const REPLAYED: u64 = 200;

/// Runs one schedule.
async fn run(seed: u64, trace: Trace, summary: &Mutex<Summary>) -> Result<(), String> {
    let mut schedule = Schedule::start(seed, trace).await;
    schedule.run_steps().await?;
    schedule.finish(summary).await
}

/// Reports the seed of a schedule that panics.
struct ReportSeed(u64);

impl Drop for ReportSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay it with GOSSIPSUB_SEED={}", self.0);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// The schedules that run, and those that broke a rule, by seed.
struct Run {
    next: AtomicU64,
    end: u64,
    is_replay: bool,
    failures: Mutex<BTreeMap<u64, String>>,
    summary: Mutex<Summary>,
}

impl Run {
    /// Runs schedules on one thread, until one fails.
    fn run_schedules(&self) {
        actix::System::new().block_on(async {
            tokio::time::pause();
            loop {
                let seed = self.next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.end || !self.failures().is_empty() {
                    return;
                }
                let _report = ReportSeed(seed);
                let trace = if self.is_replay { Trace::Print } else { Trace::Off };
                if let Err(broken) = run(seed, trace, &self.summary).await {
                    self.failures().insert(seed, broken);
                }
            }
        });
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.failures.lock().expect("the lock is not poisoned")
    }
}

#[test]
fn every_schedule_keeps_the_rules() {
    let _alone = crate::lock_process();
    let replayed = number("GOSSIPSUB_SEED");
    let is_replay = replayed.is_some();
    let (first, count) = match replayed {
        Some(seed) => (seed, 1),
        None => (0, number("GOSSIPSUB_SCHEDULES").unwrap_or(SCHEDULES)),
    };
    let run = Run {
        next: AtomicU64::new(first),
        end: first + count,
        is_replay,
        failures: Mutex::default(),
        summary: Mutex::default(),
    };
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(|| run.run_schedules())));
    });
    let elapsed = started.elapsed().max(Duration::from_millis(1));
    println!("{count} schedules in {elapsed:?}, {:.0} a second", count as f64 / elapsed.as_secs_f64());
    let summary = run.summary.lock().expect("the lock is not poisoned");
    println!("{summary}");
    if let Some((seed, broken)) = run.failures().first_key_value() {
        panic!("{broken}\nreplay it with GOSSIPSUB_SEED={seed}");
    }
    if count >= LONG_RUN {
        let never = summary.never_fired();
        assert!(never.is_empty(), "no panic was injected in {never:?}");
        assert!(summary.has_full_heartbeat(), "no heartbeat sent GRAFT and PRUNE");
    }
}

/// The lines of a schedule.
async fn lines_of(seed: u64) -> Vec<String> {
    let lines = Rc::<RefCell<Vec<_>>>::default();
    let trace = Trace::Record(Rc::clone(&lines));
    let result = run(seed, trace, &Mutex::default()).await;
    lines.borrow_mut().push(format!("{result:?}"));
    lines.take()
}

/// A seed determines all grants, inputs, outputs and deliveries.
#[test]
fn a_seed_replays_its_schedule() {
    let _alone = crate::lock_process();
    actix::System::new().block_on(async {
        tokio::time::pause();
        for seed in 0..REPLAYED {
            let (first, second) = (lines_of(seed).await, lines_of(seed).await);
            let different = first.iter().zip(&second).position(|(first, second)| first != second);
            let line_of = |lines: &[String]| lines.get(different.unwrap_or(0)).cloned();
            assert!(
                first == second,
                "schedule {seed} has {} lines and {}; line {different:?} is\n{:?}\nand\n{:?}",
                first.len(),
                second.len(),
                line_of(&first),
                line_of(&second),
            );
        }
    });
}
