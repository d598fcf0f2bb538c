//! The threads of a blocking validator.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::sync::oneshot;

use super::{
    Libp2pNetwork,
    fair_permits::{FairPermits, Permit},
    validator::SyncValidator,
};
use crate::network::{BoxFuture, Delivery, Validity, hooks::drop_panic};

/// Threads that validate messages, and their queue. The threads end when this and the futures of all validations are dropped.
pub(super) struct BlockingPool {
    validate: Arc<SyncValidator>,
    /// One for each message that is validated or queued. The futures without one wait, and their senders take turns.
    permits: Arc<FairPermits>,
    jobs: mpsc::Sender<Job>,
}

/// A message for the threads.
struct Job {
    delivery: Delivery<Libp2pNetwork>,
    /// The verdict, or the panic of the validator.
    verdict: oneshot::Sender<thread::Result<Validity>>,
    _permit: Permit,
}

impl BlockingPool {
    pub(super) fn start(threads: usize, queue: usize, validate: Arc<SyncValidator>) -> io::Result<Self> {
        let threads = threads.max(1);
        let (jobs, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let (receiver, validate) = (Arc::clone(&receiver), Arc::clone(&validate));
            let thread = thread::Builder::new().name(format!("gossipsub-validator-{number}"));
            // If one cannot be started, the others end with the sender.
            thread.spawn(move || run(&receiver, &*validate))?;
        }
        let permits = FairPermits::new(threads.saturating_add(queue));
        Ok(Self { validate, permits: Arc::new(permits), jobs })
    }

    /// Validates a message on one of the threads. A panic of the validator is one of the future.
    pub(super) fn validate(&self, delivery: Delivery<Libp2pNetwork>) -> BoxFuture<Validity> {
        let (permits, jobs) = (Arc::clone(&self.permits), self.jobs.clone());
        Box::pin(async move {
            let permit = permits.acquire(delivery.sender).await;
            let (sender, verdict) = oneshot::channel();
            let job = Job { delivery, verdict: sender, _permit: permit };
            // The threads run as long as there is a sender.
            if jobs.send(job).is_err() {
                return Validity::Unknown;
            }
            match verdict.await {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => Validity::Unknown,
            }
        })
    }

    /// Validates a message on the caller's thread.
    pub(super) fn validate_here(&self, delivery: &Delivery<Libp2pNetwork>) -> Validity {
        (self.validate)(delivery)
    }
}

/// Validates messages until no sender is left.
fn run(jobs: &Mutex<mpsc::Receiver<Job>>, validate: &SyncValidator) {
    // The lock is released before the job runs.
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { delivery, verdict, _permit }) = next() {
        // Otherwise the engine has given the message up.
        if !verdict.is_closed() {
            // The validator gets a shared reference of the message only.
            let result = catch_unwind(AssertUnwindSafe(|| validate(&delivery)));
            // The send fails if the engine has given the message up meanwhile. A panic must not end the thread.
            if let Err(Err(panic)) = verdict.send(result) {
                drop_panic(panic);
            }
        }
    }
}
