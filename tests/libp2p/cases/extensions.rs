//! The extensions of v1.3 and partial messages: a target uses only what both sides have announced.

use crate::cases::{
    OTHER, TOPIC, cases,
    peer::{Options, V1_2, V1_3},
    target::{Kind, Setup},
    trial::trial,
    wire::{extensions, field, fields, graft, subscribe, varint_field},
};

cases! {
    "X1" a_stream_of_1_3_begins_with_the_extensions_and_no_other_has_them_twice Agrees;
    "X3" extensions_on_a_stream_of_1_2_mean_nothing Agrees;
    "X4" unknown_extensions_are_ignored Agrees;
    "X10" partial_messages_that_were_not_announced_mean_nothing Agrees;
    "40" ten_thousand_groups_store_nothing Agrees;
}

/// The number of the test extension.
const TEST_EXTENSION: u64 = 6_492_434;

async fn a_stream_of_1_3_begins_with_the_extensions_and_no_other_has_them_twice(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.peer(Options { protocols: vec![V1_2, V1_3], ..Options::default() }).await;
        trial.enter_mesh(&attacker).await;
        trial.heartbeats(2).await;
        let received = attacker.received();
        let announced = received.iter().filter(|rpc| rpc.extensions.is_some()).count();
        assert!(announced <= 1, "announced {announced} times");
        assert_eq!(received[0].extensions.is_some(), announced == 1, "not in the first RPC");
    })
    .await;
}

async fn extensions_on_a_stream_of_1_2_mean_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        for _ in 0..2 {
            attacker.send(extensions(varint_field(TEST_EXTENSION, 1)));
        }
        trial.handled(&attacker).await;
        trial.heartbeats(1).await;
        assert!(attacker.received().iter().all(|rpc| rpc.unknown.is_empty()));
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

async fn unknown_extensions_are_ignored(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.subscribed(TOPIC).await;
        let unknown = [varint_field(11, 1), varint_field(3_000_000, 1), field(3_000_001, b"x")].concat();
        // In the first RPC, as v1.3 demands.
        attacker.send(extensions(unknown).and(subscribe(TOPIC, true)).and(graft(TOPIC)));
        trial.handled(&attacker).await;
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

/// A partial message: topic, group, body, metadata.
fn partial(topic: &str, group: &[u8], metadata: &[u8]) -> Vec<u8> {
    let parts = [field(1, topic.as_bytes()), field(2, group), field(3, b"body"), field(4, metadata)];
    field(10, &parts.concat())
}

async fn partial_messages_that_were_not_announced_mean_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        attacker.send(fields(partial(TOPIC, b"group", b"metadata")));
        attacker.send(fields(partial(OTHER, b"group", b"metadata")));
        attacker.send(fields(partial(TOPIC, b"", b"")));
        attacker.send(fields(partial(TOPIC, &[7; 50_000], b"metadata")));
        trial.handled(&attacker).await;
        assert!(attacker.received().iter().all(|rpc| rpc.unknown.is_empty()));
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

/// Also X9.
async fn ten_thousand_groups_store_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        for n in 0..10_000_u32 {
            attacker.send(fields(partial(TOPIC, &n.to_be_bytes(), b"metadata")));
        }
        trial.handled(&attacker).await;
        if let Some(ours) = trial.target.ours() {
            let footprint = ours.footprint().await;
            assert_eq!((footprint.topics, footprint.connections), (1, 3));
        }
    })
    .await;
}
