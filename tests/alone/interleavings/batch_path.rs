//! In batch mode the supervisor is not on the path of the copies of a message: the first one enters the batch by it, all
//! others stay with their topic.

use actix_gossipsub::{Mailbox, P2pInput, P2pMessage};

use super::{
    network::{Id, Validation, message},
    random::Random,
    stepped::{PEERS, SteppedEngine, TOPIC},
};

impl SteppedEngine {
    /// The topic handles the copies of all peers one by one. Returns what is queued for the supervisor afterwards.
    async fn copies_of_all_peers(&self, id: &Id) -> usize {
        for peer in 1..=PEERS {
            self.input(P2pInput::message(peer, P2pMessage::FullMessage(message(id).into())));
        }
        assert_eq!(self.queued(Mailbox::Arbiter(0)), PEERS as usize);
        for _ in 0..PEERS {
            self.grant(Mailbox::Arbiter(0), 1).await;
        }
        assert_eq!(self.queued(Mailbox::Arbiter(0)), 0, "all copies are handled");
        self.queued(Mailbox::Supervisor)
    }
}

#[test]
fn copies_of_a_message_in_a_batch_do_not_reach_the_supervisor() {
    let _alone = crate::lock_process();
    actix::System::new().block_on(async {
        tokio::time::pause();
        let mut engine = SteppedEngine::start(Validation::AwaitedBatches).await;
        let id = Id { number: 1, topic: TOPIC.to_owned() };
        assert_eq!(engine.copies_of_all_peers(&id).await, 1, "the first copy enters the batch");
        engine.drain().await;
        let worker = engine.started.worker.clone();
        let batch = actix::spawn(async move { worker.process_batch().await });
        engine.drain().await;
        assert_eq!(engine.hooks.awaited(), 1, "the batch is validated");
        assert_eq!(engine.copies_of_all_peers(&id).await, 0, "copies wait for the verdict in the topic");
        let verdict = engine.hooks.take_awaited(&mut Random::new(0)).expect("the batch is validated");
        engine.hooks.resolve(verdict);
        engine.drain().await;
        batch.await.expect("the batch ends");
        let delivered = engine.started.app.recv().await.expect("the engine runs");
        assert_eq!(delivered.message_id, id);
        assert!(engine.started.app.try_recv().is_none(), "it is delivered once");
        assert_eq!(engine.copies_of_all_peers(&id).await, 0, "duplicates stay in the topic");
    });
}
