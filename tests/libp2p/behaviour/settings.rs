//! Validation by the application, explicit peers, subscription filters and the names of topics.

use std::time::Duration;

use actix_gossipsub::{
    P2pInput, P2pMessage,
    libp2p::{BehaviourConfig, fuzz, gossipsub::*},
    protocol::Penalty,
};
use futures::StreamExt;
use libp2p::{PeerId, gossipsub as official, identity::Keypair};

use super::{Composed, ComposedEvent, Ours, behaviour, config, ours_with, swarms::Node, theirs, topic};
use crate::transport::support;

impl Ours {
    async fn report(&self, id: &MessageId, source: PeerId, acceptance: MessageAcceptance) -> bool {
        let id = id.clone();
        self.call(move |behaviours| {
            behaviours.gossipsub.report_message_validation_result(&id, &source, acceptance)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_application_accepts_is_forwarded() {
    let node = Node::start(|key| Composed::new(key, behaviour(key, config().validate_messages()))).await;
    node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap();
    let (source, sink) = (theirs().await, theirs().await);
    for peer in [&source, &sink] {
        node.dial(&peer.address).await;
        node.meshed_with(peer.peer).await;
        peer.meshed(node.peer).await;
    }
    for (content, acceptance) in [
        ("rejected", MessageAcceptance::Reject),
        ("ignored", MessageAcceptance::Ignore),
        ("accepted", MessageAcceptance::Accept),
    ] {
        source.send(content).await;
        let (id, propagation_source, _) = node.message(content).await;
        assert_eq!(propagation_source, source.peer);
        assert!(node.report(&id, propagation_source, acceptance).await, "{content}");
        assert!(!node.report(&id, propagation_source, acceptance).await, "{content} has a verdict");
    }
    let (_, relay) = sink.message_from("accepted").await;
    assert_eq!(relay, node.peer);
    let forwarded: Vec<_> = sink
        .events()
        .iter()
        .filter_map(|event| match event {
            official::Event::Message { message, .. } => Some(message.data.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(forwarded, [b"accepted"]);
    let penalties = node
        .events()
        .iter()
        .filter(|event| {
            matches!(event, ComposedEvent::Gossipsub(Event::Penalty { penalty: Penalty::InvalidMessage, .. }))
        })
        .count();
    assert_eq!(penalties, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explicit_peer_is_in_no_mesh_gets_all_messages_and_is_dialled_again() {
    let node =
        Node::start(|key| Composed::new(key, behaviour(key, config().check_explicit_peers_ticks(1)))).await;
    node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap();
    let theirs = theirs().await;
    let (us, them) = (node.peer, theirs.peer);
    node.dial(&theirs.address).await;
    node.meshed_with(them).await;
    node.call(move |behaviours| behaviours.gossipsub.add_explicit_peer(&them)).await.unwrap();
    node.gossipsub_event("the prune", |event| {
        matches!(event, Event::Prune { peer_id, .. } if *peer_id == them).then_some(())
    })
    .await;
    let id = node.publish("to an explicit peer").await.unwrap();
    theirs.message_from("to an explicit peer").await;
    assert_eq!(node.published(&id).await, Ok(1));

    node.events().clear();
    theirs.with(move |swarm| swarm.disconnect_peer_id(us)).await.unwrap();
    node.gossipsub_event("the next connection", |event| {
        let Event::Transport(TransportEvent::Established { peer, .. }) = event else { return None };
        (*peer == them).then_some(())
    })
    .await;
    node.call(move |behaviours| behaviours.gossipsub.remove_explicit_peer(&them)).await.unwrap();
    assert!(node.is_connected(them).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_filter_bounds_our_topics_and_those_of_peers() {
    let node = Node::start(|key| {
        let filter =
            SubscriptionFilter::new().topics(["news"]).matching(|topic| topic.as_str().starts_with("news/"));
        let signed = MessageAuthenticity::Signed(key.clone());
        let config = config().build().unwrap();
        Composed::new(key, Behaviour::new_with_subscription_filter(signed, config, filter).unwrap())
    })
    .await;
    let refused = node.call(|behaviours| behaviours.gossipsub.subscribe(&IdentTopic::new("other"))).await;
    assert!(matches!(refused, Err(SubscriptionError::NotAllowed)), "{refused:?}");
    for allowed in ["news", "news/local"] {
        let topic = IdentTopic::new(allowed);
        assert!(node.call(move |behaviours| behaviours.gossipsub.subscribe(&topic)).await.unwrap());
    }
    let theirs = theirs().await;
    for name in ["other", "news/local"] {
        theirs.call(move |it| it.subscribe(&official::IdentTopic::new(name))).await.unwrap();
    }
    node.dial(&theirs.address).await;
    let them = theirs.peer;
    node.until("both subscriptions are known", |swarm| {
        let mut peers = swarm.behaviour().gossipsub.all_peers();
        peers.next().is_some_and(|(_, topics)| topics.len() == 2)
    })
    .await;
    let known = node.call(move |behaviours| {
        let mut peers = behaviours.gossipsub.all_peers();
        let (_, topics) = peers.find(|(peer, _)| **peer == them).unwrap();
        topics.into_iter().map(ToString::to_string).collect::<Vec<_>>()
    });
    assert_eq!(known.await, ["news", "news/local"]);
}

/// What is subscribed to stays. A peer that was refused is known when it grafts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_filter_is_replaced_while_the_engine_runs() {
    let node = Node::start(|key| {
        let filter = SubscriptionFilter::new().topics(["old"]);
        let signed = MessageAuthenticity::Signed(key.clone());
        let config = config().build().unwrap();
        Composed::new(key, Behaviour::new_with_subscription_filter(signed, config, filter).unwrap())
    })
    .await;
    let subscribe = async |name: &str| {
        let topic = IdentTopic::new(name);
        node.call(move |behaviours| behaviours.gossipsub.subscribe(&topic)).await
    };
    let replace = async |filter: Option<SubscriptionFilter>| {
        node.call(move |behaviours| behaviours.gossipsub.set_subscription_filter(filter)).await;
    };
    let until_known = async |what: &str, names: &'static [&str]| {
        node.until(what, move |swarm| {
            let mut peers = swarm.behaviour().gossipsub.all_peers();
            peers.next().is_some_and(|(_, topics)| {
                topics.iter().map(|topic| topic.as_str()).eq(names.iter().copied())
            })
        })
        .await;
    };
    assert!(subscribe("old").await.unwrap());
    assert!(matches!(subscribe("new").await, Err(SubscriptionError::NotAllowed)));
    let theirs = theirs().await;
    for name in ["old", "new"] {
        theirs.call(move |it| it.subscribe(&official::IdentTopic::new(name))).await.unwrap();
    }
    node.dial(&theirs.address).await;
    until_known("one subscription is known", &["old"]).await;

    replace(Some(SubscriptionFilter::new().topics(["new"]))).await;
    assert!(matches!(subscribe("old").await, Err(SubscriptionError::NotAllowed)));
    assert!(subscribe("new").await.unwrap());
    until_known("both subscriptions are known", &["new", "old"]).await;
    let topics = node.call(|it| it.gossipsub.topics().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(topics.await, ["new", "old"]);

    assert!(matches!(subscribe("any").await, Err(SubscriptionError::NotAllowed)));
    replace(None).await;
    assert!(subscribe("any").await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn score_parameters_of_a_topic_change_while_the_engine_runs() {
    let node = Node::start(|key| {
        let mut gossipsub = behaviour(key, &config());
        gossipsub.with_peer_score(PeerScoreParams::default(), PeerScoreThresholds::default()).unwrap();
        Composed::new(key, gossipsub)
    })
    .await;
    node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap();
    let theirs = theirs().await;
    let them = theirs.peer;
    node.dial(&theirs.address).await;
    node.meshed_with(them).await;
    let score = move |node: &mut libp2p::Swarm<Composed>| node.behaviour().gossipsub.peer_score(&them);
    assert_eq!(node.with(score).await, Some(0.0));
    let wrong = TopicScoreParams { topic_weight: -1.0, ..TopicScoreParams::default() };
    let refused = node.call(|it| it.gossipsub.set_topic_params(topic(), wrong)).await.unwrap_err();
    assert!(refused.to_string().contains("weight"), "{refused}");
    // P1 counts the milliseconds in the mesh.
    let right = TopicScoreParams { topic_weight: 1.0, ..TopicScoreParams::default() };
    node.call(|it| it.gossipsub.set_topic_params(topic(), right)).await.unwrap();
    node.until("the peer has a score", move |swarm| score(swarm).is_some_and(|score| score > 0.0)).await;
}

#[test]
fn hashed_topics_are_those_of_the_official_gossipsub() {
    let theirs = official::Sha256Topic::new("news").hash();
    assert_eq!(Sha256Topic::new("news").hash().as_str(), theirs.as_str());
    assert_eq!(TopicHash::from(IdentTopic::new("news")), TopicHash::from_raw("news"));
}

#[test]
fn parameters_of_a_topic_are_set_by_name() {
    let topic = TopicHash::from_raw("news");
    let config = config()
        .mesh_n_for_topic(8, topic.clone())
        .mesh_n_high_for_topic(16, topic.clone())
        .max_transmit_size_for_topic(1 << 20, topic.clone())
        .build()
        .unwrap();
    let entry = &config.limits().topics.named[&topic];
    assert_eq!((entry.degree_optimal, entry.degree_high), (Some(8), Some(16)));
    assert_eq!((entry.degree_low, entry.max_message_size), (None, Some(1 << 20)));
    let key = Keypair::generate_ed25519();
    let unsigned = MessageAuthenticity::Author(key.public().to_peer_id());
    assert!(Behaviour::new(unsigned.clone(), config).is_err());
    let permissive = ConfigBuilder::default().validation_mode(ValidationMode::Permissive).build().unwrap();
    assert!(Behaviour::new(unsigned, permissive).is_ok());
    assert!(ConfigBuilder::default().protocol_id_prefix("no-slash").build().is_err());
}

/// A PRUNE of v1.0 names no backoff. It had 60 s, whatever was configured.
#[test]
fn a_prune_without_backoff_has_the_configured_one() {
    let backoff = Duration::from_secs(7);
    let behaviour = behaviour(&Keypair::generate_ed25519(), config().prune_backoff(backoff));
    let frame = [&[0x1a, 8, 0x22, 6, 0x0a, 4], &b"news"[..]].concat();
    let (messages, _) = fuzz::read(&frame, behaviour.network()).unwrap();
    let prune = P2pMessage::Prune { topic: "news".into(), px: Vec::new(), backoff };
    assert_eq!(messages, [prune]);
}

/// The next inputs of an engine that there is not.
async fn next_inputs(swarm: &mut support::Ours) -> Vec<support::Input> {
    let next = tokio::time::timeout(Duration::from_secs(30), swarm.select_next_some()).await;
    support::gossipsub_event(next.expect("the node goes on")).map(support::inputs).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idontwant_precedes_a_publication_if_that_is_on() {
    for enabled in [false, true] {
        let mut config = config();
        config.idontwant_message_size_threshold(1_000).idontwant_on_publish(enabled);
        let node = ours_with(&config).await;
        let (mut peer, _) = support::ours(BehaviourConfig::default());
        peer.dial(node.address.clone()).unwrap();
        let (mut id, mut unwanted, mut arrived) = (None, Vec::new(), false);
        while !arrived {
            for input in next_inputs(&mut peer).await {
                match input {
                    P2pInput::NewConnection { .. } => {
                        support::send_message(&mut peer, node.peer, P2pMessage::subscribe(topic().hash()));
                    }
                    P2pInput::InMessage { message: P2pMessage::Graft { .. }, .. } => {
                        id = Some(node.publish(&"x".repeat(2_000)).await.unwrap());
                    }
                    P2pInput::InMessage { message: P2pMessage::IDontWant { message_ids }, .. } => {
                        unwanted.extend(message_ids);
                    }
                    P2pInput::InMessage { message: P2pMessage::FullMessage(_), .. } => arrived = true,
                    _ => {}
                }
            }
        }
        assert_eq!(unwanted, id.filter(|_| enabled).into_iter().collect::<Vec<_>>());
    }
}
