//! How an engine ends, and how an engine without timers is driven.

use std::sync::{PoisonError, atomic::Ordering};

use actix::{Actor, Context, Handler, Message};
use tokio::sync::oneshot;

use super::{Worker, input};
use crate::{
    actors::{
        fault::{EngineError, EngineStopped},
        supervisor::{
            actor::SupervisorActor,
            messages::{Stop, SupervisorItem},
        },
    },
    network::Network,
    protocol::peers::Peers,
    timestamp::Timestamp,
};

// === End ===

impl<N: Network> Worker<N> {
    /// Whether the engine has ended or is shutting down.
    pub fn is_ended(&self) -> bool {
        self.shared.is_closing()
    }

    /// Stops the engine: refuses further inputs, leaves all topics (PRUNE and UNSUBSCRIBE to the peers), handles what
    /// is queued, ends both output streams and joins the engine's own threads. After `bounds.shutdown_deadline` it
    /// stops without handling the rest. Further calls wait for the first.
    ///
    /// Not cancellation safe: if the future is dropped, the engine accepts no more inputs but keeps its actors, its
    /// threads and its output streams until its actix system ends. Spawn it if the caller may be cancelled.
    pub async fn shutdown(&self) {
        if self.shared.closing.swap(true, Ordering::AcqRel) {
            // A failure is the business of those who call `wait_for_end`.
            let _ = self.wait_for_end().await;
            return;
        }
        input::leave_all(&self.shared);
        let deadline = self.shared.limits.bounds.shutdown_deadline;
        let drain = async {
            self.settle().await;
            let (reply, stopped) = oneshot::channel();
            // An error means that the supervisor has stopped already.
            let _ = self.shared.supervisor.push(SupervisorItem::message(Stop { reply }));
            let _ = stopped.await;
            self.settle().await;
        };
        // The streams end after the deadline too.
        let _ = tokio::time::timeout(deadline, drain).await;
        self.shared.finish(Ok(()));
        self.join_arbiters().await;
    }

    /// Waits until the engine has ended. Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine ended because one of its actors failed.
    pub async fn wait_for_end(&self) -> Result<(), EngineError> {
        let mut end = self.shared.end.subscribe();
        // Waiting cannot fail: `shared` owns the sender and outlives this handle.
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(Ok(()))
    }

    async fn join_arbiters(&self) {
        let arbiters = std::mem::take(&mut *self.arbiters.lock().unwrap_or_else(PoisonError::into_inner));
        if arbiters.is_empty() {
            return;
        }
        let (done, joined) = oneshot::channel();
        std::thread::spawn(move || {
            for arbiter in arbiters {
                arbiter.stop();
                // If the thread panicked, its actors have reported that.
                let _ = arbiter.join();
            }
            // Fails if the caller was cancelled.
            let _ = done.send(());
        });
        let _ = joined.await;
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
