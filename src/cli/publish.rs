//! Publishing a message with retries while the engine is overloaded.

use std::time::Duration;

use actix_gossipsub::{AppInput, FullMessage, Refused, Worker, libp2p::Libp2pNetwork};
use tokio::time::sleep;

/// The pause before a refused message is published again.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// Publishes a message, and tries again as long as the engine refuses it because of its load.
///
/// # Errors
/// [`Refused::Stopped`]: the engine has stopped.
///
/// # Cancellation safety
/// A future that is dropped before it resolves has not published the message.
pub async fn publish(
    worker: &Worker<Libp2pNetwork>,
    message: &FullMessage<Libp2pNetwork>,
) -> Result<(), Refused> {
    loop {
        match worker.app_input(AppInput::Publish(message.clone())) {
            Err(Refused::Stopped) => return Err(Refused::Stopped),
            Err(_) => sleep(RETRY_DELAY).await,
            Ok(_) => return Ok(()),
        }
    }
}
