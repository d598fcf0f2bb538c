//! Whether an engine that shut down leaves threads behind. Alone in its process: it counts them all.

use actix_gossipsub::{Limits, LimitsConfig, P2pInput, P2pMessage, Worker, plain::PlainNetwork};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

#[test]
fn shutdown_joins_every_thread() {
    actix::System::new().block_on(async {
        let before = threads();
        for _ in 0..3 {
            let limits = Limits::try_from(LimitsConfig::default()).expect("valid");
            let topics = (0..50).map(|number| format!("t{number}"));
            let engine =
                Worker::builder(PlainNetwork::new(), limits).arbiters(4).start(topics).expect("a system");
            assert!(threads() >= before + 4);
            for number in 0..500 {
                let message = PlainNetwork::message(&format!("t{}", number % 50), number, "content");
                let input = P2pInput::said(1, P2pMessage::FullMessage(message.into()));
                engine.worker.p2p_input(input).expect("taken");
            }
            engine.worker.shutdown().await;
            // The thread that joined the others may still be on its last instruction.
            for _ in 0..1000 {
                if threads() == before {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            assert_eq!(threads(), before);
        }
    });
}
