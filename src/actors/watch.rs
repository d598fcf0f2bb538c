//! The start of the actors without which an engine cannot run. If one of them ends, the engine ends: by a panic of the
//! actor, or because its arbiter stops.

use std::sync::Arc;

use actix::{Actor, ArbiterHandle, Context};
use tracing::Instrument;

use super::{fault::EngineError, inbox::BusyGuard, shared::Shared};
use crate::network::Network;

/// Exists as long as an actor runs. The arbiter drops it if it stops before the actor does.
struct RunningActor<N: Network> {
    shared: Arc<Shared<N>>,
    _running: BusyGuard,
}

impl<N: Network> Drop for RunningActor<N> {
    fn drop(&mut self) {
        // Without effect if the engine has ended: then the actor stopped for that reason.
        self.shared.finish(Err(EngineError::ArbiterStopped));
    }
}

/// Starts an actor on `arbiter`, inside the engine's span. The engine ends with `panicked` if the actor panics.
pub(crate) fn start_watched<A, N: Network>(
    arbiter: &ArbiterHandle,
    shared: &Arc<Shared<N>>,
    panicked: EngineError,
    make: impl FnOnce(Arc<Shared<N>>) -> A + Send + 'static,
) where
    A: Actor<Context = Context<A>>,
{
    let shared = Arc::clone(shared);
    let running = RunningActor { _running: BusyGuard::new(&shared.running_actors), shared };
    // An arbiter that has stopped drops the function, and with it `running`.
    arbiter.spawn_fn(move || {
        let actor = Context::new().into_future(make(Arc::clone(&running.shared)));
        let actor = actix_rt::spawn(actor.instrument(running.shared.span.clone()));
        actix_rt::spawn(async move {
            if actor.await.is_err_and(|error| error.is_panic()) {
                running.shared.finish(Err(panicked));
            }
            drop(running);
        });
    });
}
