//! The coordinator runs one attack against one implementation.

use std::{
    thread,
    time::{Duration, Instant},
};

use testkit::wire::{
    clock::{nanos, now},
    plan::Implementation,
    remote::Remote,
};

use super::{
    attacker::Outcome,
    attacks::{Attack, Order},
    honest::{Newcomers, Window},
    measurement::{Measured, Memory},
    plan::{AttackPlan, HonestPlan, Timing},
    target::Target,
};

/// The longest wait for an answer of a process.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time for attackers to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(120);
/// The time that an attack may take longer than planned.
const OVERTIME: Duration = Duration::from_secs(60);
/// From the first delivery to the measurement: until the meshes stand.
const WARM_UP: Duration = Duration::from_millis(1_500);
/// Until the last messages before the attack have arrived.
const LATEST: Duration = Duration::from_millis(300);
/// Ten heartbeats: the time for the mesh to recover when attackers came first.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long after the attack memory is measured.
const AFTERMATH: Duration = Duration::from_secs(10);
/// The least of it, so that late messages arrive.
const LEAST_AFTERMATH: Duration = Duration::from_secs(2);
/// Bytes above the heap before the attack that do not count as left over.
const SAME: u64 = 1 << 20;

/// Runs an attack.
///
/// # Errors
/// A process does not start or does not answer, an attacker can't connect, or honest peers do not receive from each other.
pub fn run(attack: Attack, implementation: Implementation, timing: &Timing) -> Result<Measured, String> {
    match attack.order() {
        Order::HonestPeersFirst => with_victim(attack, implementation, |victim, processes| {
            honest_peers_first(attack, implementation, timing, victim, processes)
        }),
        Order::AttackersFirst => {
            // The baseline is that of another network.
            let calm = with_victim(Attack::None, implementation, |victim, processes| {
                baseline(timing, victim, processes)
            })?;
            with_victim(attack, implementation, |victim, processes| {
                attackers_first(attack, implementation, timing, victim, processes, calm)
            })
        }
    }
}

/// Starts a node, and stops it and the processes around it whatever the result is.
fn with_victim<T>(
    attack: Attack,
    implementation: Implementation,
    run: impl FnOnce(&mut Target, &mut Processes) -> Result<T, String>,
) -> Result<T, String> {
    let mut victim = Target::start(attack, implementation)?;
    let mut processes = Processes { honest: None, attackers: None };
    let result = run(&mut victim, &mut processes);
    processes.stop();
    victim.stop();
    result
}

/// The processes around the node.
struct Processes {
    honest: Option<Remote>,
    attackers: Option<Remote>,
}

impl Processes {
    fn stop(self) {
        self.honest.into_iter().chain(self.attackers).for_each(Remote::stop);
    }

    fn start_honest(&mut self, victim: &Target, wait: bool) -> Result<(), String> {
        let plan = HonestPlan { victim: victim.address.clone(), wait };
        let honest = self.honest.insert(Remote::start_process("honest", &json(&plan))?);
        honest.receive("ready", TIMEOUT).map_err(|error| format!("honest peers get no baseline: {error}"))?;
        Ok(())
    }

    /// Starts the attackers and waits until they are connected.
    fn start_attackers(
        &mut self,
        attack: Attack,
        implementation: Implementation,
        victim: &Target,
        duration: Duration,
    ) -> Result<(), String> {
        let plan = AttackPlan { attack, implementation, victim: victim.address.clone(), duration };
        let attackers = self.attackers.insert(Remote::start_process("attackers", &json(&plan))?);
        attackers.receive("attacking", CONNECT_TIMEOUT).map(drop)
    }

    fn end_attack(&mut self) {
        self.attackers.take().into_iter().for_each(Remote::stop);
    }

    fn honest(&mut self) -> &mut Remote {
        self.honest.as_mut().expect("it was started")
    }

    fn outcome(&mut self, duration: Duration) -> Result<Outcome, String> {
        let attackers = self.attackers.as_mut().expect("they were started");
        parse(&attackers.receive("done", duration + OVERTIME)?)
    }

    fn window(&mut self, from: u64, to: u64) -> Result<Window, String> {
        let honest = self.honest();
        honest.send(&format!("window {from} {to}"));
        parse(&honest.receive("window", TIMEOUT)?)
    }

    fn admit_newcomers(&mut self, duration: Duration) {
        let until = now() + nanos(duration);
        self.honest().send(&format!("newcomers {until}"));
    }

    fn newcomers(&mut self) -> Result<Newcomers, String> {
        let honest = self.honest();
        honest.send("admitted");
        parse(&honest.receive("admitted", TIMEOUT)?)
    }
}

/// What honest peers see without an attack.
fn baseline(timing: &Timing, victim: &Target, processes: &mut Processes) -> Result<Window, String> {
    processes.start_honest(victim, true)?;
    thread::sleep(WARM_UP);
    let from = now();
    thread::sleep(timing.baseline);
    let to = now();
    thread::sleep(LATEST);
    processes.window(from, to)
}

fn honest_peers_first(
    attack: Attack,
    implementation: Implementation,
    timing: &Timing,
    victim: &mut Target,
    processes: &mut Processes,
) -> Result<Measured, String> {
    let calm = baseline(timing, victim, processes)?;
    let before = victim.memory()?.live;
    processes.start_attackers(attack, implementation, victim, timing.attack)?;
    measure_attack(timing.attack, timing.attack, victim, processes, calm, before)
}

fn attackers_first(
    attack: Attack,
    implementation: Implementation,
    timing: &Timing,
    victim: &mut Target,
    processes: &mut Processes,
    calm: Window,
) -> Result<Measured, String> {
    let before = victim.memory()?.live;
    processes.start_attackers(attack, implementation, victim, RECOVERY + timing.attack)?;
    processes.start_honest(victim, false)?;
    thread::sleep(RECOVERY);
    measure_attack(timing.attack, RECOVERY + timing.attack, victim, processes, calm, before)
}

/// Measures for `duration`, until the attackers, who attack for `whole`, have ended; then what they leave behind.
fn measure_attack(
    duration: Duration,
    whole: Duration,
    victim: &mut Target,
    processes: &mut Processes,
    calm: Window,
    before: u64,
) -> Result<Measured, String> {
    let (from, cpu, begin) = (now(), victim.cpu_seconds()?, Instant::now());
    processes.admit_newcomers(duration);
    let mut outcome = processes.outcome(whole)?;
    let (to, cpu) = (now(), (victim.cpu_seconds()? - cpu) / begin.elapsed().as_secs_f64());
    let memory = aftermath(before, victim, processes)?;
    outcome.counts.extend(victim.log_counts());
    Ok(Measured {
        baseline: calm,
        attack: processes.window(from, to)?,
        memory,
        cpu,
        newcomers: processes.newcomers()?,
        outcome,
    })
}

/// Ends the attack, and waits until memory is as before, for [`AFTERMATH`] at most.
fn aftermath(before: u64, victim: &mut Target, processes: &mut Processes) -> Result<Memory, String> {
    let mut peak = victim.memory()?.peak;
    processes.end_attack();
    let begin = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(500));
        let heap = victim.memory()?;
        peak = peak.max(heap.peak);
        let back =
            heap.live.saturating_sub(heap.remembered) <= before + SAME && begin.elapsed() >= LEAST_AFTERMATH;
        if back || begin.elapsed() >= AFTERMATH {
            return Ok(Memory { before, peak, after: heap.live, remembered: heap.remembered });
        }
    }
}

pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

pub fn parse<T: serde::de::DeserializeOwned>(line: &str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| format!("{line:?}: {error}"))
}
