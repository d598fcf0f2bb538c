//! The methods and events of the behaviour.

use std::io;

use actix_gossipsub::{
    libp2p::{Multiaddr, gossipsub::*},
    protocol::{LeaveReason, Penalty},
};
use libp2p::{
    PeerId,
    core::Endpoint,
    gossipsub as official,
    identity::Keypair,
    ping,
    swarm::{ConnectionId, DialError, FromSwarm, NetworkBehaviour, NewExternalAddrOfPeer},
};

use super::{Composed, Ours, Theirs, behaviour, config, official_topic, ours, swarms::Node, theirs, topic};

/// Starts both, connects them, and waits until each is in the mesh of the other.
async fn connected() -> (Ours, Theirs) {
    let (ours, theirs) = (ours().await, theirs().await);
    ours.dial(&theirs.address).await;
    ours.meshed_with(theirs.peer).await;
    theirs.meshed(ours.peer).await;
    (ours, theirs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_talks_to_the_official_gossipsub() {
    let (ours, theirs) = connected().await;
    let (us, them) = (ours.peer, theirs.peer);
    let subscribed = |event: &Event| {
        matches!(event, Event::Subscribed { peer_id, topic: it } if *peer_id == them && *it == topic().hash())
            .then_some(())
    };
    ours.gossipsub_event("the subscription", subscribed).await;
    ours.gossipsub_event("the graft", |event| {
        matches!(event, Event::Graft { peer_id, .. } if *peer_id == them).then_some(())
    })
    .await;

    // Queries.
    let (topics, peers, in_meshes, protocols) = ours
        .call(|behaviours| {
            let gossipsub = &behaviours.gossipsub;
            let peers =
                gossipsub.all_peers().map(|(peer, topics)| (*peer, topics.into_iter().cloned().collect()));
            let protocols = gossipsub.peer_protocol().map(|(peer, kind)| (*peer, *kind));
            (
                gossipsub.topics().cloned().collect::<Vec<_>>(),
                peers.collect::<Vec<(PeerId, Vec<TopicHash>)>>(),
                gossipsub.all_mesh_peers().copied().collect::<Vec<_>>(),
                protocols.collect::<Vec<_>>(),
            )
        })
        .await;
    assert_eq!(topics, [topic().hash()]);
    assert_eq!(peers, [(them, vec![topic().hash()])]);
    assert_eq!(in_meshes, [them]);
    assert_eq!(protocols, [(them, PeerKind::Gossipsubv1_2)]);

    // Messages in both directions, with the same ids.
    let id = ours.publish("from here").await.unwrap();
    let (their_id, source) = theirs.message_from("from here").await;
    assert_eq!((id.as_bytes(), us), (&*their_id.0, source));
    assert_eq!(ours.published(&id).await, Ok(1));
    let their_id = theirs.send("from there").await;
    let (id, source, message) = ours.message("from there").await;
    assert_eq!((id.as_bytes(), source, message.source), (&*their_id.0, them, Some(them)));
    assert_eq!((message.topic, message.sequence_number.is_some()), (topic().hash(), true));

    // A second subscription has no effect, and the end of the first one is announced.
    assert!(!ours.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap());
    assert!(ours.call(|behaviours| behaviours.gossipsub.unsubscribe(&topic())).await);
    assert!(!ours.call(|behaviours| behaviours.gossipsub.unsubscribe(&topic())).await);
    assert_eq!(ours.call(|behaviours| behaviours.gossipsub.topics().count()).await, 0);
    theirs
        .event("the unsubscription", |event| {
            matches!(event, official::Event::Unsubscribed { peer_id, .. } if *peer_id == us).then_some(())
        })
        .await;
    ours.gossipsub_event("the prune", |event| {
        matches!(event, Event::Prune { peer_id, reason: LeaveReason::Leave, .. } if *peer_id == them)
            .then_some(())
    })
    .await;
    assert!(theirs.call(|gossipsub| gossipsub.unsubscribe(&official_topic())).await);
    ours.gossipsub_event("their unsubscription", |event| {
        matches!(event, Event::Unsubscribed { peer_id, .. } if *peer_id == them).then_some(())
    })
    .await;
}

/// The source of a message and the peer that delivers it differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_propagation_source_is_the_peer_that_delivered_the_message() {
    let (ours, relay) = connected().await;
    let source = theirs().await;
    source.dial(&relay.address).await;
    source.meshed(relay.peer).await;
    relay.meshed(source.peer).await;
    source.send("relayed").await;
    let (_, propagation_source, message) = ours.message("relayed").await;
    assert_eq!((propagation_source, message.source), (relay.peer, Some(source.peer)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blacklisted_peer_is_refused_and_its_messages_are_ignored() {
    let (ours, relay) = connected().await;
    let blocked = theirs().await;
    blocked.dial(&relay.address).await;
    blocked.dial(&ours.address).await;
    let peer = blocked.peer;
    ours.until("the peer is connected", move |swarm| swarm.is_connected(&peer)).await;
    ours.call(move |behaviours| behaviours.gossipsub.blacklist_peer(&peer)).await;
    ours.until("the peer is disconnected", move |swarm| !swarm.is_connected(&peer)).await;
    // This node does not dial it either.
    let address = blocked.address.clone();
    let dial = ours.with(move |swarm| {
        swarm.dial(libp2p::swarm::dial_opts::DialOpts::peer_id(peer).addresses(vec![address]).build())
    });
    assert!(matches!(dial.await, Err(DialError::Denied { .. })));

    blocked.meshed(relay.peer).await;
    relay.meshed(peer).await;
    blocked.send("of a blacklisted source").await;
    relay.message_from("of a blacklisted source").await;
    relay.send("of another source").await;
    ours.message("of another source").await;
    assert!(!ours.has_message("of a blacklisted source"));

    ours.call(move |behaviours| behaviours.gossipsub.remove_blacklisted_peer(&peer)).await;
    ours.dial(&blocked.address).await;
    ours.meshed_with(peer).await;
    blocked.meshed(ours.peer).await;
    blocked.send("of an admitted source").await;
    ours.message("of an admitted source").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_fails_at_once_or_by_its_report() {
    let mut by_content = config();
    by_content.message_id_fn(|message| MessageId::from(message.data.clone()));
    let node = Node::start(move |key| Composed::new(key, behaviour(key, &by_content))).await;
    let too_large = node.call(|behaviours| behaviours.gossipsub.publish(topic(), vec![0; 1 << 17])).await;
    assert!(matches!(too_large, Err(PublishError::MessageTooLarge)), "{too_large:?}");
    let nameless = IdentTopic::new("");
    let invalid = node.call(move |behaviours| behaviours.gossipsub.publish(nameless, "a")).await;
    assert!(matches!(invalid, Err(PublishError::InvalidTopic)), "{invalid:?}");
    let invalid = node.call(|behaviours| behaviours.gossipsub.subscribe(&IdentTopic::new(""))).await;
    assert!(matches!(invalid, Err(SubscriptionError::InvalidTopic)), "{invalid:?}");

    let first = node.publish("twice").await.unwrap();
    assert_eq!(first.as_bytes(), b"twice");
    assert_eq!(node.published(&first).await, Err(PublishError::NoPeersSubscribedToTopic.to_string()));
    node.events().clear();
    let second = node.publish("twice").await.unwrap();
    assert_eq!(node.published(&second).await, Err(PublishError::Duplicate.to_string()));
}

/// Turns the bytes around and puts a mark in front of them.
struct Reversed;

impl DataTransform for Reversed {
    fn inbound_transform(&self, raw_message: RawMessage) -> io::Result<Message> {
        let mut message = Message::from(raw_message);
        match message.data.split_first() {
            Some((b'<', rest)) => message.data = rest.iter().rev().copied().collect(),
            _ => return Err(io::Error::other("no mark")),
        }
        Ok(message)
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok([b'<'].into_iter().chain(data.into_iter().rev()).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transform_encodes_messages_and_refuses_what_it_cannot_decode() {
    let node = Node::start(|key| {
        let signed = MessageAuthenticity::Signed(key.clone());
        let behaviour = Behaviour::new_with_transform(signed, config().build().unwrap(), Reversed);
        Composed::new(key, behaviour.unwrap())
    })
    .await;
    node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap();
    let theirs = theirs().await;
    node.dial(&theirs.address).await;
    node.meshed_with(theirs.peer).await;
    theirs.meshed(node.peer).await;
    node.publish("abc").await.unwrap();
    theirs.message_from("<cba").await;
    theirs.send("not encoded").await;
    let them = theirs.peer;
    node.gossipsub_event("the penalty", |event| {
        matches!(event, Event::Penalty { peer_id, penalty: Penalty::InvalidMessage, .. } if *peer_id == them)
            .then_some(())
    })
    .await;
    theirs.send("<zyx").await;
    node.message("xyz").await;
    assert!(!node.has_message("not encoded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_score_is_off_until_it_is_turned_on() {
    let (ours, theirs) = connected().await;
    let them = theirs.peer;
    let score = ours.call(move |behaviours| {
        let gossipsub = &mut behaviours.gossipsub;
        assert!(!gossipsub.set_application_score(&them, 1.0));
        let late = gossipsub.with_peer_score(PeerScoreParams::default(), PeerScoreThresholds::default());
        assert!(matches!(late, Err(ScoreError::Running)), "{late:?}");
        gossipsub.peer_score(&them)
    });
    assert_eq!(score.await, None);

    let scored = Node::start(|key| {
        let mut gossipsub = behaviour(key, &config());
        let unset = gossipsub.set_topic_params(topic(), TopicScoreParams::default());
        assert!(matches!(unset, Err(ScoreError::NotSet)), "{unset:?}");
        let mut wrong = PeerScoreParams { behaviour_penalty_weight: 1.0, ..PeerScoreParams::default() };
        let error = gossipsub.with_peer_score(wrong.clone(), PeerScoreThresholds::default()).unwrap_err();
        assert!(error.to_string().contains("score.behaviour_penalty_weight = 1.0"), "{error}");
        wrong.behaviour_penalty_weight = -1.0;
        gossipsub.with_peer_score(wrong.clone(), PeerScoreThresholds::default()).unwrap();
        let twice = gossipsub.with_peer_score(wrong, PeerScoreThresholds::default());
        assert!(matches!(twice, Err(ScoreError::AlreadySet)), "{twice:?}");
        let params = TopicScoreParams { topic_weight: 0.25, ..TopicScoreParams::default() };
        gossipsub.set_topic_params(topic(), params.clone()).unwrap();
        assert_eq!(gossipsub.get_topic_params(&topic()), Some(&params));
        Composed::new(key, gossipsub)
    })
    .await;
    scored.dial(&theirs.address).await;
    scored
        .until("the peer has a score", move |swarm| {
            let gossipsub = &mut swarm.behaviour_mut().gossipsub;
            gossipsub.set_application_score(&them, 2.0) && gossipsub.peer_score(&them) == Some(20.0)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_without_gossipsub_is_reported() {
    let (ours, other) = (ours().await, Node::start(|_| ping::Behaviour::default()).await);
    ours.dial(&other.address).await;
    let peer = other.peer;
    ours.gossipsub_event("the report", |event| {
        matches!(event, Event::GossipsubNotSupported { peer_id } if *peer_id == peer).then_some(())
    })
    .await;
    let kinds = ours.call(|behaviours| {
        behaviours.gossipsub.peer_protocol().map(|(peer, kind)| (*peer, *kind)).collect::<Vec<_>>()
    });
    assert_eq!(kinds.await, [(peer, PeerKind::NotSupported)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnected_peer_leaves_the_picture() {
    let (ours, theirs) = connected().await;
    let them = theirs.peer;
    ours.with(move |swarm| swarm.disconnect_peer_id(them)).await.unwrap();
    ours.gossipsub_event("the prune", |event| {
        let reason = LeaveReason::Disconnected;
        matches!(event, Event::Prune { peer_id, reason: it, .. } if *peer_id == them && *it == reason)
            .then_some(())
    })
    .await;
    let left = ours.call(|behaviours| {
        let gossipsub = &behaviours.gossipsub;
        gossipsub.all_peers().count() + gossipsub.all_mesh_peers().count() + gossipsub.peer_protocol().count()
    });
    assert_eq!(left.await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_engine_is_announced_to_peers_and_reported() {
    let (ours, theirs) = connected().await;
    let worker = ours.call(|behaviours| behaviours.gossipsub.worker().unwrap().clone()).await;
    worker.shutdown().await;
    let us = ours.peer;
    theirs
        .event("the unsubscription", |event| {
            matches!(event, official::Event::Unsubscribed { peer_id, .. } if *peer_id == us).then_some(())
        })
        .await;
    ours.gossipsub_event("the end", |event| matches!(event, Event::EngineEnded { .. }).then_some(())).await;
    assert!(matches!(ours.publish("late").await, Err(PublishError::Engine(_))));
    let late = ours.call(|behaviours| behaviours.gossipsub.subscribe(&IdentTopic::new("other"))).await;
    assert!(matches!(late, Err(SubscriptionError::Engine(_))), "{late:?}");
}

#[test]
fn addresses_that_other_behaviours_report_are_used_for_dials() {
    let key = Keypair::generate_ed25519();
    let mut gossipsub = behaviour(&key, &config());
    let (peer, id) = (PeerId::random(), ConnectionId::new_unchecked(1));
    let addresses: [Multiaddr; 2] =
        ["/ip4/8.8.8.8/tcp/1", "/ip4/8.8.8.8/tcp/2"].map(|it| it.parse().unwrap());
    for addr in &addresses {
        gossipsub
            .on_swarm_event(FromSwarm::NewExternalAddrOfPeer(NewExternalAddrOfPeer { peer_id: peer, addr }));
    }
    let mut dialled =
        gossipsub.handle_pending_outbound_connection(id, Some(peer), &[], Endpoint::Dialer).unwrap();
    dialled.sort();
    assert_eq!(dialled, addresses);
}

#[test]
fn a_node_that_would_refuse_its_own_messages_is_not_made() {
    let mut anonymous = config();
    let anonymous = anonymous.validation_mode(ValidationMode::Anonymous).build().unwrap();
    let signed = || MessageAuthenticity::Signed(Keypair::generate_ed25519());
    assert!(Behaviour::new(signed(), anonymous.clone()).is_err());
    assert!(Behaviour::new(MessageAuthenticity::Anonymous, anonymous).is_ok());
    assert!(Behaviour::new(MessageAuthenticity::Anonymous, Config::default()).is_err());
    let error = config().mesh_n(1).build().unwrap_err().to_string();
    assert!(error.contains("degree_low = 5: must be at most degree_optimal (1)"), "{error}");
}
