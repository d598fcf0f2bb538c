//! The handle as an actix actor, for applications whose parts are actors: a handler for each of its
//! [messages](super::messages). Handlers return at once; what an answer waits for runs in a task of the actor's arbiter.

use actix::{Actor, Context, Handler, Message, ResponseFuture, Supervised};

use super::{
    EngineStopped, PublishReport, SubscribeError, Worker,
    messages::{
        Explain, Explanation, Join, Leave, Mesh, Publish, Relay, Score, Shutdown, StopRelay, SubscribeEvents,
        SubscribeTopic,
    },
    queries::page::Page,
};
use crate::{
    admission::refused::Refused,
    network::{AppInput, Network, P2pInput},
};

impl<N: Network> Message for P2pInput<N> {
    type Result = Result<(), Refused>;
}

impl<N: Network> Message for AppInput<N> {
    type Result = Result<(), Refused>;
}

/// Start a clone of the handle as an actor. Stopping the actor does not stop the engine.
impl<N: Network> Actor for Worker<N> {
    type Context = Context<Self>;
}

/// The engine has the state, so there is nothing to restore after a restart.
impl<N: Network> Supervised for Worker<N> {}

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

impl<N: Network> Handler<Publish<N>> for Worker<N> {
    type Result = ResponseFuture<Result<PublishReport, Refused>>;

    /// Without waiting the message is published here, so that it keeps its order with the messages around it.
    fn handle(&mut self, publish: Publish<N>, _: &mut Self::Context) -> Self::Result {
        let Publish { message, when_room } = publish;
        if when_room {
            let published = self.publish_later(message);
            return Box::pin(async move { Ok(published?.await?.routed().await) });
        }
        let published = self.publish(message);
        Box::pin(async move { Ok(published?.routed().await) })
    }
}

impl<N: Network> Handler<Join<N>> for Worker<N> {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Join(topic): Join<N>, _: &mut Self::Context) -> Self::Result {
        self.app_input(AppInput::Join(topic))
    }
}

impl<N: Network> Handler<Leave<N>> for Worker<N> {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Leave(topic): Leave<N>, _: &mut Self::Context) -> Self::Result {
        self.app_input(AppInput::Leave(topic))
    }
}

impl<N: Network> Handler<Relay<N>> for Worker<N> {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Relay(topic): Relay<N>, _: &mut Self::Context) -> Self::Result {
        self.app_input(AppInput::Relay(topic))
    }
}

impl<N: Network> Handler<StopRelay<N>> for Worker<N> {
    type Result = Result<(), Refused>;

    fn handle(&mut self, StopRelay(topic): StopRelay<N>, _: &mut Self::Context) -> Self::Result {
        self.app_input(AppInput::StopRelay(topic))
    }
}

impl<N: Network> Handler<Mesh<N>> for Worker<N> {
    type Result = ResponseFuture<Result<Option<Vec<N::Peer>>, EngineStopped>>;

    fn handle(&mut self, Mesh(topic): Mesh<N>, _: &mut Self::Context) -> Self::Result {
        let worker = self.clone();
        Box::pin(async move { worker.mesh_of(&topic).await })
    }
}

impl<N: Network> Handler<Score<N>> for Worker<N> {
    type Result = Option<f64>;

    fn handle(&mut self, Score(peer): Score<N>, _: &mut Self::Context) -> Self::Result {
        self.score(&peer)
    }
}

impl<N: Network> Handler<Explain<N>> for Worker<N> {
    type Result = ResponseFuture<Result<Explanation<N>, EngineStopped>>;

    fn handle(&mut self, Explain(peer): Explain<N>, _: &mut Self::Context) -> Self::Result {
        let worker = self.clone();
        Box::pin(async move {
            let score = worker.score_of(&peer, Page::all()).await?;
            Ok(Explanation { score, decisions: worker.decisions_about(&peer) })
        })
    }
}

impl<N: Network> Handler<SubscribeTopic<N>> for Worker<N> {
    type Result = Result<(), SubscribeError>;

    /// The messages are sent by a task that does not end with this actor.
    fn handle(&mut self, subscribe: SubscribeTopic<N>, _: &mut Self::Context) -> Self::Result {
        let SubscribeTopic { topic, recipient, config } = subscribe;
        let messages = self.subscribe_with(topic, config)?;
        actix_rt::spawn(messages.forward(recipient));
        Ok(())
    }
}

impl<N: Network> Handler<SubscribeEvents<N>> for Worker<N> {
    type Result = ();

    /// The events are sent by a task that does not end with this actor.
    fn handle(&mut self, subscribe: SubscribeEvents<N>, _: &mut Self::Context) -> Self::Result {
        let SubscribeEvents { recipient, max_unread } = subscribe;
        actix_rt::spawn(self.subscribe_events(max_unread).forward(recipient));
    }
}

impl<N: Network> Handler<Shutdown> for Worker<N> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        let worker = self.clone();
        Box::pin(async move { worker.shutdown().await })
    }
}
