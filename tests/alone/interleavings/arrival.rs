//! The time at which a full message arrived, if it waits for the confirmation of a join.

use std::{cell::Cell, rc::Rc, time::Duration};

use actix_gossipsub::{AppInput, Clock, Mailbox, P2pInput, P2pMessage, protocol::Timestamp};

use super::{
    network::{Id, Validation, message},
    stepped::SteppedEngine,
};

const JOINED_LATER: &str = "b";

fn id(number: u64) -> Id {
    Id { number, topic: JOINED_LATER.to_owned() }
}

impl SteppedEngine {
    /// A message arrives, and its topic receives it.
    async fn message_arrives(&self, number: u64) -> Timestamp {
        self.clock.advance(Duration::from_millis(200));
        self.input(P2pInput::message(1, P2pMessage::FullMessage(message(&id(number)).into())));
        self.grant(Mailbox::Arbiter(0), 1).await;
        self.clock.now()
    }

    /// When the engine first saw these messages.
    async fn first_seen(&self, numbers: [u64; 2]) -> [Option<Timestamp>; 2] {
        let (worker, state) = (self.started.worker.clone(), Rc::new(Cell::new(None)));
        let view = Rc::clone(&state);
        actix::spawn(async move { view.set(worker.state().await.ok()) });
        self.drain().await;
        let seen = state.take().expect("the engine runs").seen;
        numbers.map(|number| seen.iter().find(|seen| seen.id == id(number)).map(|seen| seen.first_seen))
    }
}

#[test]
fn a_message_that_waits_for_a_join_keeps_the_time_at_which_it_arrived() {
    let _alone = crate::lock_process();
    actix::System::new().block_on(async {
        tokio::time::pause();
        let engine = SteppedEngine::start(Validation::Immediate).await;
        engine.started.worker.app_input(AppInput::Join(JOINED_LATER.to_owned())).expect("the engine runs");
        engine.grant(Mailbox::Supervisor, 1).await;
        engine.grant(Mailbox::Arbiter(0), 2).await;
        assert_eq!(engine.queued(Mailbox::Supervisor), 1, "the topic waits for the supervisor");
        // It waits too, and has no message before it.
        engine.input(P2pInput::message(1, P2pMessage::Graft { topic: JOINED_LATER.to_owned() }));
        engine.grant(Mailbox::Arbiter(0), 1).await;
        let first = engine.message_arrives(1).await;
        let second = engine.message_arrives(2).await;
        engine.drain().await;
        assert_eq!(engine.first_seen([1, 2]).await, [Some(first), Some(second)]);
    });
}

#[test]
fn a_message_that_waits_for_the_actor_of_its_topic_keeps_the_time_at_which_it_arrived() {
    let _alone = crate::lock_process();
    actix::System::new().block_on(async {
        tokio::time::pause();
        let engine = SteppedEngine::start(Validation::Immediate).await;
        engine.started.worker.app_input(AppInput::Join(JOINED_LATER.to_owned())).expect("the engine runs");
        engine.grant(Mailbox::Arbiter(0), 1).await;
        assert_eq!(engine.queued(Mailbox::Supervisor), 1, "the supervisor has not started the topic");
        let first = engine.message_arrives(1).await;
        let second = engine.message_arrives(2).await;
        engine.clock.advance(Duration::from_millis(200));
        engine.drain().await;
        assert_eq!(engine.first_seen([1, 2]).await, [Some(first), Some(second)]);
    });
}
