//! Frames and streams: what breaks a stream, what does not, and which stream counts.

use actix_gossipsub::libp2p::ConnectionLimits;

use crate::cases::{
    TOPIC, cases,
    peer::{FLOODSUB, Options, Peer, V1_0, V1_1, V1_2, V1_3},
    target::{Kind, Setup},
    trial::trial,
    wire::{Rpc, field, fields, graft, idontwant, ihave, iwant, message, subscribe, varint},
};

cases! {
    "R1" a_frame_may_arrive_byte_by_byte Agrees;
    "R2" a_frame_that_is_too_long_breaks_its_stream_only Agrees;
    "R3" an_endless_length_breaks_its_stream_only Agrees;
    "R4" empty_frames_are_ignored Agrees;
    "R5" garbage_breaks_its_stream_and_a_new_one_works Agrees;
    "R6" unknown_fields_are_ignored Agrees;
    "R7" the_latest_stream_counts Agrees;
    "R8" a_peer_that_resets_our_stream_leaves_nothing Agrees;
    "R9" the_best_common_protocol_is_opened Agrees;
    "P9" a_peer_of_floodsub_gets_every_message_once Agrees;
    #[ignore = "rust-libp2p ends a stream at 16 KiB of control, and counts no entries"]
    "8" entries_beyond_the_limits_are_ignored Agrees;
    "R10" a_mesh_peer_that_never_reads_delays_no_other Agrees;
    "R11" many_connections_without_streams_do_no_harm Agrees;
}

async fn a_frame_may_arrive_byte_by_byte(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let sent = attacker.message(1, 500);
        message(&sent).frame().into_iter().for_each(|byte| attacker.write(vec![byte]));
        trial.wait_for_delivery(&sent).await;
        trial.handled(&attacker).await;
        assert_eq!(trial.deliveries(&sent), 1);
    })
    .await;
}

/// Breaks the stream by these bytes, and goes on with another one on the same connection.
async fn break_stream(kind: Kind, bytes: Vec<u8>) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        attacker.write(bytes);
        attacker.wait_for_resets(1).await;
        attacker.open().await;
        attacker.send(subscribe(TOPIC, true));
        trial.handled(&attacker).await;
    })
    .await;
}

/// 4 MiB and a byte are more than any implementation reads.
async fn a_frame_that_is_too_long_breaks_its_stream_only(kind: Kind) {
    break_stream(kind, [varint((4 << 20) + 1), vec![0; 1 << 16]].concat()).await;
}

async fn an_endless_length_breaks_its_stream_only(kind: Kind) {
    break_stream(kind, vec![0xff; 20]).await;
}

async fn empty_frames_are_ignored(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        attacker.write(vec![0; 10]);
        trial.handled(&attacker).await;
    })
    .await;
}

async fn garbage_breaks_its_stream_and_a_new_one_works(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        // Rust-libp2p accepts four streams of a connection.
        for round in 1..=3 {
            attacker.write([vec![100], vec![0xff; 100]].concat());
            attacker.wait_for_resets(round).await;
            attacker.open().await;
        }
        attacker.send(subscribe(TOPIC, true));
        trial.handled(&attacker).await;
        attacker.disconnect().await;
        attacker.connect(trial.target.address()).await;
        trial.handled(&attacker).await;
    })
    .await;
}

async fn unknown_fields_are_ignored(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let mut sent = attacker.message(1, 100);
        sent.rest = field(50, b"later");
        let mut unknown = [field(99, b"bytes"), field(6_492_434, b"")].concat();
        if kind == Kind::Ours {
            // Garbage in the place of a partial message, which others decode.
            unknown.extend(field(10, &[0xff; 20]));
        }
        attacker.send(subscribe(TOPIC, true).and(message(&sent)).and(fields(unknown)));
        trial.wait_for_delivery(&sent).await;
        if let Some(score) = trial.target.score(attacker.id).await {
            assert!(score >= 0.0, "{score}");
        }
    })
    .await;
}

async fn the_latest_stream_counts(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.hello().await;
        attacker.open().await;
        attacker.open().await;
        let sent = attacker.message(1, 100);
        attacker.send(subscribe(TOPIC, true).and(graft(TOPIC)));
        attacker.send(message(&sent));
        trial.wait_for_delivery(&sent).await;
    })
    .await;
}

/// The trial checks that the peer itself is forgotten.
async fn a_peer_that_resets_our_stream_leaves_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.hello().await;
        attacker.reset_inbound();
        trial.heartbeats(2).await;
        attacker.send(subscribe("leak", true));
        trial.heartbeats(2).await;
        attacker.disconnect().await;
        trial.heartbeats(3).await;
        if let Some(ours) = trial.target.ours() {
            trial
                .wait("nothing is stored of the topic", async || {
                    let footprint = ours.footprint().await;
                    (footprint.topics, footprint.subscriptions) == (1, 2)
                })
                .await;
        }
    })
    .await;
}

async fn the_best_common_protocol_is_opened(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let peer = async |protocols: &[&'static str]| {
            trial.peer(Options { protocols: protocols.to_vec(), ..Options::default() }).await
        };
        for protocol in [V1_0, V1_1, V1_2] {
            let peer = peer(&[protocol]).await;
            peer.hello().await;
            assert_eq!(peer.protocols(), [protocol]);
        }
        let all = peer(&[V1_2, V1_3, V1_1, V1_0]).await;
        all.hello().await;
        assert!([V1_2, V1_3].contains(&all.protocols()[0].as_str()), "{:?}", all.protocols());
        // The target may not offer this protocol, so that the peer can't open a stream.
        let floodsub = Peer::start(Options { protocols: vec![FLOODSUB], ..Options::default() }).await;
        floodsub.dial(trial.target.address()).await;
        trial.heartbeats(3).await;
        assert!(floodsub.protocols().iter().all(|id| id == FLOODSUB), "{:?}", floodsub.protocols());
    })
    .await;
}

/// 2 MB are more than the windows of yamux and of the sockets have room for. The memory of the send queues has tests of its
/// own, in a process without other tests.
async fn a_mesh_peer_that_never_reads_delays_no_other(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.peer(Options { reads: false, ..Options::default() }).await;
        attacker.send(subscribe(TOPIC, true).and(graft(TOPIC)));
        trial.handled(&attacker).await;
        for burst in 0..10 {
            let sent = trial.publish(1 << 20 | burst << 8, 10, 20_000);
            for message in &sent {
                trial.honest(1).wait_for_message(message).await;
            }
        }
    })
    .await;
}

async fn many_connections_without_streams_do_no_harm(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let often = Peer::start(Options::default()).await;
        often.dial_often(trial.target.address(), 40);
        let mut others = Vec::new();
        for _ in 0..60 {
            let other = Peer::start(Options::default()).await;
            other.dial_often(trial.target.address(), 1);
            others.push(other);
        }
        trial.wait("all others are connected", async || others.iter().all(Peer::is_connected)).await;
        trial.wait("the one is connected", async || often.is_connected()).await;
        trial.heartbeats(3).await;
        if trial.target.ours().is_some() {
            let most = ConnectionLimits::default().peer.connections as usize;
            trial.wait("the limit of a peer applies", async || often.connections() <= most).await;
        }
    })
    .await;
}

async fn a_peer_of_floodsub_gets_every_message_once(kind: Kind) {
    trial(kind, Setup { floodsub: true, ..Setup::default() }, async |trial| {
        let peer = Peer::start(Options { protocols: vec![FLOODSUB], ..Options::default() }).await;
        peer.dial(trial.target.address()).await;
        trial.wait("a stream of floodsub", async || peer.protocols() == [FLOODSUB]).await;
        peer.open().await;
        peer.hello().await;
        trial.handled(&peer).await;
        let sent = trial.publish(1 << 20, 10, 100);
        for one in &sent {
            peer.wait_for_message(one).await;
        }
        trial.heartbeats(2).await;
        assert!(sent.iter().all(|one| peer.copies(&one.id()) == 1));
        assert!(peer.received().iter().all(|rpc| rpc.graft.is_empty() && rpc.ihave.is_empty()));
    })
    .await;
}

/// The decode limits of js. What is within the limits is still read, and the stream stays open.
async fn entries_beyond_the_limits_are_ignored(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let ids = || (0..20_001_u32).map(|n| n.to_be_bytes().to_vec());
        let topics = || (0..20_001).map(|n| n.to_string());
        let rpcs = [
            Rpc { subscriptions: topics().map(|topic| (true, topic)).collect(), ..Rpc::default() },
            Rpc { graft: topics().collect(), ..Rpc::default() },
            ihave(TOPIC, ids()),
            iwant(ids()),
            idontwant(ids()),
        ];
        for rpc in rpcs {
            attacker.send(rpc);
            trial.handled(&attacker).await;
        }
        let wanted = attacker.wanted().len();
        assert!(wanted <= 20_000, "{wanted} ids requested");
    })
    .await;
}
