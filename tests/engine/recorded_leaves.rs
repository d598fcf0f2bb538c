//! The leave of a topic whose subscription is dropped is recorded exactly if it takes effect.

use std::sync::{Arc, Mutex, OnceLock};

use actix_gossipsub::{
    AppInput, InputRecorder, Limits, RecordedInput, TopicMessages, Worker,
    plain::PlainNetwork,
    protocol::{Event, NodeOptions, Timestamp},
};

use crate::support::*;

/// The recorded joins (`true`) and leaves.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<bool>>>);

impl InputRecorder<PlainNetwork> for Recorder {
    fn start(&self, _: &Arc<PlainNetwork>, _: &Limits<String>, _: &NodeOptions<PlainNetwork>) {}

    fn record(&self, _: &dyn Fn() -> Timestamp, input: RecordedInput<'_, PlainNetwork>) {
        let join = match input {
            RecordedInput::Join(_) => true,
            RecordedInput::Leave(_) => false,
            _ => return,
        };
        self.0.lock().expect("the lock is not poisoned").push(join);
    }
}

/// Another thread may subscribe at this moment. The observer is called then, and does what that thread does.
#[test]
fn a_leave_that_a_new_subscription_overtakes_is_not_recorded_after_it() {
    run(async {
        let recorder = Recorder::default();
        let handle = Arc::new(OnceLock::<Worker<PlainNetwork>>::new());
        let later = Arc::new(Mutex::new(None::<TopicMessages<PlainNetwork>>));
        let (worker, kept) = (Arc::clone(&handle), Arc::clone(&later));
        let observer = move |event: &Event<PlainNetwork>| {
            if let Event::AppInput(AppInput::Leave(topic)) = event {
                let messages = worker.get().expect("the engine has started").subscribe(topic.clone());
                *kept.lock().expect("the lock is not poisoned") = messages.ok();
            }
        };
        let builder = manual(PlainNetwork::new(), limits()).input_recorder(Arc::new(recorder.clone()));
        let engine = start(builder.observer(observer), &[]);
        handle.set(engine.worker.clone()).ok().expect("it is set once");
        drop(engine.worker.subscribe("a".to_owned()).expect("the engine runs"));
        assert!(engine.worker.is_subscribed(&"a".to_owned()));
        // A replay of these ends joined, as the engine does.
        assert_eq!(*recorder.0.lock().expect("the lock is not poisoned"), [true, false, true]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_leave_of_a_topic_that_has_no_actor_is_not_recorded() {
    run(async {
        let recorder = Recorder::default();
        let builder = manual(PlainNetwork::new(), limits()).input_recorder(Arc::new(recorder.clone()));
        let engine = start(builder, &[]);
        engine.worker.app_input(leave("a")).expect("the engine runs");
        engine.worker.settle().await;
        assert_eq!(*recorder.0.lock().expect("the lock is not poisoned"), [false; 0]);
        engine.worker.shutdown().await;
    });
}
