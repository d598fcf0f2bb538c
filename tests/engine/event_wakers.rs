//! The readers of events are woken when the engine has no lock: a waker may be code of the application.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use actix_gossipsub::{Worker, plain::PlainNetwork};
use futures::Stream;

use crate::support::*;

/// Reads the event log when it is woken.
struct ReadsLog {
    worker: Worker<PlainNetwork>,
    read: AtomicUsize,
}

impl Wake for ReadsLog {
    fn wake(self: Arc<Self>) {
        let records = self.worker.events(0, usize::MAX).records.len();
        self.read.fetch_max(records, Ordering::Relaxed);
    }
}

/// The thread of the topic would wait for itself.
#[test]
fn a_waker_that_reads_the_event_log_does_not_block_the_engine() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()).message_events(10), &["a"]);
        let worker = engine.worker.clone();
        worker.p2p_input(connect(1)).expect("the input is accepted");
        worker.settle().await;
        let reads = Arc::new(ReadsLog { worker: worker.clone(), read: AtomicUsize::new(0) });
        let waker = Waker::from(Arc::clone(&reads));
        let mut before = 0;
        for input in [graft(1, "a"), message(1, "a", 1)] {
            let mut events = worker.subscribe_events(10);
            assert!(Pin::new(&mut events).poll_next(&mut Context::from_waker(&waker)).is_pending());
            worker.p2p_input(input).expect("the input is accepted");
            let settled = tokio::time::timeout(Duration::from_secs(30), worker.settle()).await;
            settled.expect("the topic goes on");
            let read = reads.read.load(Ordering::Relaxed);
            assert!(read > before, "the record is there when the reader is woken");
            before = read;
        }
        worker.shutdown().await;
    });
}
