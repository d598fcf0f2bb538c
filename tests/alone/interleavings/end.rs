//! The end of a schedule: the engine settles, forgets everything, and ends.

use std::{
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::{AppInput, P2pInput};

use super::{
    checks::is_repaired,
    network::disarm_clone,
    perils::Summary,
    plan::{MIN_STEPS, Peril},
    schedule::{MAX_TICKS, Schedule, TOPICS},
};

/// The futures that wait for the transport, and those that read until the engine ends.
const WAIT_FOR_END: [&str; 3] = ["reading the p2p stream", "reading the application's stream", "completed"];

impl Schedule {
    /// Checks all rules and ends the engine.
    pub async fn finish(mut self, summary: &Mutex<Summary>) -> Result<(), String> {
        if !self.checks.borrow().shut_down {
            self.complete_plan().await;
        }
        self.hooks.arm(None);
        disarm_clone();
        self.read_streams();
        self.drain().await;
        if self.plan.validation.in_batches() {
            // A batch starts when the one before is done.
            for _ in 0..2 {
                self.process_batch();
                self.drain().await;
            }
        }
        while !self.checks.borrow().unreported.is_empty() {
            self.report();
        }
        self.run_ready().await;
        let has_lost = self.checks.borrow().has_panicked && !is_repaired("A12");
        self.check_tasks(if has_lost { &WAIT_FOR_END } else { &WAIT_FOR_END[..2] });
        if !self.has_ended.get() {
            self.checks.borrow_mut().check();
        }
        self.compare_all().await;
        self.check_tickets();
        self.check_plan(summary);
        self.violations()?;
        self.tickets.clear();
        self.abort_tasks();
        self.read_streams();
        if !self.worker.is_ended() && self.random.one_in(2) {
            self.forget().await?;
        }
        self.end().await
    }

    /// Disconnects all peers, leaves all topics, and waits until everything has expired.
    async fn forget(&mut self) -> Result<(), String> {
        for peer in 1..=self.plan.peers {
            self.input(P2pInput::Disconnection { peer });
            self.checks.borrow_mut().on_disconnect(peer);
        }
        for topic in TOPICS {
            let result = self.worker.app_input(AppInput::Leave(topic.to_owned()));
            self.accepted(result);
        }
        for _ in 0..MAX_TICKS + 2 {
            self.clock.advance(Duration::from_secs(120));
            self.tick();
            self.drain().await;
        }
        let (worker, checks) = (self.worker.clone(), Rc::clone(&self.checks));
        self.spawn("footprint", async move {
            let footprint = worker.footprint().await.expect("the engine runs");
            let left: Vec<_> = footprint.maps().filter(|(_, entries)| *entries > 0).collect();
            let mut checks = checks.borrow_mut();
            // A panic loses a leave.
            let is_known = checks.has_panicked && !is_repaired("A13");
            checks.rule(left.is_empty() || is_known, || format!("the engine keeps {left:?}"));
            let charged = worker.message_budget().used();
            checks.rule(charged == 0, || format!("{charged} bytes are still charged for messages"));
        });
        self.drain().await;
        self.check_tasks(&WAIT_FOR_END[..2]);
        self.violations()
    }

    /// Ends the engine by a shutdown, or by dropping all handles.
    async fn end(mut self) -> Result<(), String> {
        let is_dropped = self.has(Peril::Cancellation) && self.random.one_in(2);
        if !is_dropped {
            let worker = self.worker.clone();
            self.checks.borrow_mut().on_shutdown();
            self.spawn("shutdown", async move { worker.shutdown().await });
            self.drain().await;
            self.check_tasks(&[]);
            let Self { p2p, app, checks, .. } = &self;
            let (p2p, app) = (p2p.lock().await.is_none(), app.lock().await.is_none());
            let mut checks = checks.borrow_mut();
            let ended = (checks.p2p_ended || p2p) && (checks.app_ended || app);
            checks.rule(ended, || "a stream does not end".to_owned());
        }
        self.violations()?;
        let hooks = Arc::clone(&self.hooks);
        self.drop_all();
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        match Arc::strong_count(&hooks) {
            1 => Ok(()),
            owners => Err(format!("the engine is not freed: {owners} owners of its hooks")),
        }
    }

    /// At least two kinds of events have happened.
    fn check_plan(&self, summary: &Mutex<Summary>) {
        let mut checks = self.checks.borrow_mut();
        let (steps, perils) = (self.plan.steps, std::mem::take(&mut checks.seen_perils));
        let is_kept = steps >= MIN_STEPS && perils.len() >= 2;
        checks.rule(is_kept, || format!("{steps} steps with {perils:?} in place of {:?}", self.plan));
        summary.lock().expect("the lock is not poisoned").add(&self.plan, &perils, &checks);
    }

    fn violations(&self) -> Result<(), String> {
        self.checks.borrow().violations()
    }
}
