//! Batches of the running engine: when they are judged, and by whom.

use std::sync::{Arc, Mutex};

use actix_gossipsub::{Delivery, FullMessage, Later, Network, Validity, Worker, plain::PlainId};

use crate::support::{limits, run};

/// Judges batches by a function.
struct Judging {
    judge: Box<dyn Fn(usize) -> Vec<Validity> + Send + Sync>,
    later: bool,
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl Network for Judging {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = u64;

    fn topic_of(&self, id: &PlainId) -> Option<String> {
        Some(id.topic.clone())
    }

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        self.sizes.lock().expect("not poisoned").push(batch.len());
        (self.judge)(batch.len())
    }

    fn validate_batch_later(&self, batch: &[Delivery<Self>]) -> Option<Later<Vec<Validity>>> {
        let verdicts = self.later.then(|| self.validate_batch(batch))?;
        Some(Box::pin(async move {
            tokio::task::yield_now().await;
            verdicts
        }))
    }
}

fn message(number: u64) -> actix_gossipsub::P2pInput<Judging> {
    let message_id = PlainId { number, topic: "a".to_owned() };
    let full = FullMessage { topic: "a".to_owned(), message_id, message: "content".to_owned() };
    actix_gossipsub::P2pInput::said(1, actix_gossipsub::P2pMessage::FullMessage(full.into()))
}

/// Sends three messages, which form a batch, and answers how many are delivered.
async fn delivered(
    judge: impl Fn(usize) -> Vec<Validity> + Send + Sync + 'static,
    later: bool,
) -> (usize, Vec<usize>) {
    let sizes = Arc::default();
    let network = Judging { judge: Box::new(judge), later, sizes: Arc::clone(&sizes) };
    let builder = Worker::builder(network, limits()).manual().arbiters(2);
    let interval = std::time::Duration::from_secs(3600);
    let mut engine = builder.batching(interval).start(["a".to_owned()]).expect("inside a system");
    for number in 0..3 {
        engine.worker.p2p_input(message(number)).expect("taken");
    }
    engine.worker.settle().await;
    assert!(engine.worker.batch_deadline().await.is_some());
    engine.worker.process_batch().await;
    let count = std::iter::from_fn(|| engine.app.try_recv()).count();
    engine.worker.shutdown().await;
    (count, std::mem::take(&mut *sizes.lock().expect("not poisoned")))
}

#[test]
fn a_batch_is_judged_as_a_whole_now_or_later() {
    run(async {
        for later in [false, true] {
            assert_eq!(delivered(|count| vec![Validity::Valid; count], later).await, (3, vec![3]));
        }
    });
}

#[test]
fn verdicts_of_another_number_are_none() {
    run(async {
        for later in [false, true] {
            assert_eq!(delivered(|_| vec![Validity::Valid], later).await, (0, vec![3]));
        }
    });
}

#[test]
fn a_judge_that_panics_gives_no_verdict_and_the_engine_goes_on() {
    run(async {
        assert_eq!(delivered(|_| panic!("a fault that a test injects"), false).await, (0, vec![3]));
    });
}
