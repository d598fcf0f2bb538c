//! The handle as an actix actor: its inputs as actix messages, for applications whose parts are actors.

use actix::{Actor, Context, Handler, Message};

use super::{Worker, streams::DeliveredMessage};
use crate::{
    admission::refused::Refused,
    network::{AppInput, Network, P2pInput, P2pOutput},
};

impl<N: Network> Message for P2pInput<N> {
    type Result = Result<(), Refused>;
}

impl<N: Network> Message for AppInput<N> {
    type Result = Result<(), Refused>;
}

/// Sent by [`P2pOutputs::forward`](super::streams::P2pOutputs::forward).
impl<N: Network> Message for P2pOutput<N> {
    type Result = ();
}

/// Sent by [`AppOutputs::forward`](super::streams::AppOutputs::forward).
impl<N: Network> Message for DeliveredMessage<N> {
    type Result = ();
}

/// Start a clone of the handle as an actor. Stopping the actor does not stop the engine.
impl<N: Network> Actor for Worker<N> {
    type Context = Context<Self>;
}

impl<N: Network> Handler<P2pInput<N>> for Worker<N> {
    type Result = Result<(), Refused>;

    fn handle(&mut self, input: P2pInput<N>, _: &mut Self::Context) -> Self::Result {
        self.p2p_input(input)
    }
}

impl<N: Network> Handler<AppInput<N>> for Worker<N> {
    type Result = Result<(), Refused>;

    fn handle(&mut self, input: AppInput<N>, _: &mut Self::Context) -> Self::Result {
        self.app_input(input)
    }
}
