//! How an engine ends, and how an engine without timers is driven.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use actix::{Actor, ArbiterHandle, Context, Handler, Message};
use tokio::sync::{oneshot, watch};

use super::{Worker, input};
use crate::{
    actors::{
        fault::{EngineError, EngineStopped},
        pool::OwnThreads,
        shared::Shared,
        supervisor::{actor::SupervisorActor, messages::SupervisorItem},
    },
    network::Network,
    protocol::{backoff::RemainingBackoff, peers::Peers},
    timestamp::Timestamp,
};

// === End ===

impl<N: Network> Worker<N> {
    /// Whether the engine has ended or is shutting down.
    pub fn is_ended(&self) -> bool {
        self.shared.is_closing()
    }

    /// Stops the engine: refuses further inputs, leaves all topics (PRUNE and UNSUBSCRIBE to the peers), handles what is
    /// queued, ends both output streams and joins the engine's own threads. After `bounds.shutdown_deadline` it stops
    /// without handling the rest. Returns at once if the engine has ended. It may be called any number of times.
    ///
    /// Cancellation safe: if the future is dropped, the engine ends all the same. The shutdown runs on the engine's first
    /// arbiter: an engine on the arbiter of its caller needs that to run meanwhile.
    pub async fn shutdown(&self) {
        self.end(Leave::All).await;
    }

    /// Stops the engine as [`shutdown`](Self::shutdown), but leaves no topic: peers are sent nothing, and keep this node in
    /// their meshes until they notice the end of the connection. For a node that starts again soon with the same identity: the
    /// PRUNEs of a leave begin a backoff, within which each GRAFT of the new process would cost it score (P7).
    ///
    /// Cancellation safe, as [`shutdown`](Self::shutdown).
    pub async fn shutdown_for_restart(&self) {
        self.end(Leave::Nothing).await;
    }

    /// Stops the engine as [`shutdown`](Self::shutdown), and returns the backoffs that it has then, those of the leaves
    /// included: for [`initial_backoffs`](crate::WorkerBuilder::initial_backoffs) of an engine that starts again with the same
    /// identity.
    ///
    /// Cancellation safe, as [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    /// The engine had ended or was shutting down before, or did not answer within `bounds.shutdown_deadline`.
    pub async fn shutdown_with_backoffs(&self) -> Result<Vec<RemainingBackoff<N>>, EngineStopped> {
        let is_first = !self.shared.closing.swap(true, Ordering::AcqRel);
        let answer = is_first.then(|| {
            let ((reply, answer), worker) = (oneshot::channel(), self.clone());
            self.lifetime.begin_shutdown(Leave::All, async move {
                // The reply fails if the caller was cancelled.
                drop(worker.remaining_backoffs().await.map(|backoffs| reply.send(backoffs)));
            });
            answer
        });
        self.ended().await;
        answer.ok_or(EngineStopped)?.await.map_err(|_| EngineStopped)
    }

    async fn end(&self, leave: Leave) {
        if !self.shared.closing.swap(true, Ordering::AcqRel) {
            self.lifetime.begin_shutdown(leave, std::future::ready(()));
        }
        self.ended().await;
    }

    async fn ended(&self) {
        // A failure is the business of those who call `wait_for_end`.
        let _ = self.wait_for_end().await;
        self.lifetime.join().await;
    }

    /// Waits until the engine has ended. Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine ended because one of its actors failed or lost its arbiter.
    pub async fn wait_for_end(&self) -> Result<(), EngineError> {
        self.shared.wait_for_end().await
    }
}

/// The topics that an engine leaves when it is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    All,
    Nothing,
}

/// The part of an engine that all its handles and streams share. The engine ends when the last of them is dropped.
pub(super) struct Lifetime<N: Network> {
    shared: Arc<Shared<N>>,
    /// The arbiter on which the supervisor runs.
    first: ArbiterHandle,
    /// The engine's own threads, until `shutdown` joins them.
    own: Mutex<OwnThreads>,
    /// Whether the engine's own threads have ended.
    joined: watch::Sender<bool>,
}

impl<N: Network> Lifetime<N> {
    pub(super) fn new(shared: &Arc<Shared<N>>, first: &ArbiterHandle, own: OwnThreads) -> Self {
        let joined = watch::Sender::new(own.is_empty());
        Self { shared: Arc::clone(shared), first: first.clone(), own: Mutex::new(own), joined }
    }

    /// Runs the shutdown on the first arbiter, which does not depend on the caller's future. `last` runs when all is handled,
    /// before the engine ends.
    fn begin_shutdown(&self, leave: Leave, last: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        // If the arbiter has stopped, the engine has ended already.
        self.first.spawn(async move {
            if leave == Leave::All {
                input::leave_all(&shared);
            }
            // The streams end after the deadline too.
            let deadline = shared.limits.load().bounds.shutdown_deadline;
            let _ = tokio::time::timeout(deadline, shared.settled()).await;
            let _ = tokio::time::timeout(deadline, last).await;
            shared.finish(Ok(()));
        });
    }

    /// Runs a task of the engine, whatever runtime the caller has. It is dropped if the arbiter stops.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // If the arbiter has stopped, the engine has ended.
        let _ = self.first.spawn(task);
    }

    /// Waits until the actors and the engine's own threads have stopped, after the end of the engine.
    async fn join(&self) {
        let own = self.take_own();
        if !own.is_empty() {
            let joined = self.joined.clone();
            std::thread::spawn(move || {
                own.stop().join();
                joined.send_replace(true);
            });
        }
        // Waiting cannot fail: `self` owns a sender.
        let _ = self.joined.subscribe().wait_for(|joined| *joined).await;
        self.shared.running_actors.settled().await;
    }

    fn take_own(&self) -> OwnThreads {
        std::mem::take(&mut *self.own.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<N: Network> Drop for Lifetime<N> {
    fn drop(&mut self) {
        self.shared.finish(Ok(()));
        // Without waiting: the last handle may be dropped on one of these threads.
        let _ = self.take_own().stop();
    }
}

// === Driving an engine without timers ===

impl<N: Network> Worker<N> {
    /// Waits until every input sent so far is handled, with all that follows from it, and its outputs are in the output
    /// streams. For tests and debugging: it never returns while inputs keep coming. Cancellation safe.
    pub async fn settle(&self) {
        self.shared.settled().await;
    }

    /// Runs a heartbeat and [settles](Self::settle), for engines without timers
    /// ([`WorkerBuilder::manual`](crate::WorkerBuilder::manual)). If the future is dropped, the heartbeat still runs.
    pub async fn tick(&self) {
        self.send(SupervisorItem::Tick);
        self.settle().await;
    }

    /// Retries the parked messages and [settles](Self::settle), for engines without timers. If the future is dropped,
    /// the retry still runs.
    pub async fn check_parked(&self) {
        self.send(SupervisorItem::CheckParked);
        self.settle().await;
    }

    /// When the pending batch of messages is due for validation. `None` if there is no batch, or the engine has ended.
    /// Cancellation safe.
    pub async fn batch_deadline(&self) -> Option<Timestamp> {
        self.query_peers(Peers::batch_deadline).await.ok().flatten()
    }

    /// Validates the pending batch and [settles](Self::settle), for engines without timers. If the future is dropped,
    /// the validation still runs.
    pub async fn process_batch(&self) {
        self.send(SupervisorItem::ProcessBatch);
        self.settle().await;
    }

    /// Sends the supervisor an actix message and waits for the result.
    pub(super) async fn ask<M>(&self, message: M) -> Result<M::Result, EngineStopped>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SupervisorActor<N>: Actor<Context = Context<SupervisorActor<N>>> + Handler<M>,
    {
        let (result, answer) = oneshot::channel();
        let item = SupervisorItem::request(message, result);
        self.shared.supervisor.push(item).map_err(|_| EngineStopped)?;
        answer.await.map_err(|_| EngineStopped)
    }
}
