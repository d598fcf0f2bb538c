//! These tests check the limits in bytes of what all topics together remember, and how topics share them.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    ConnectionInfo, Limits, LimitsConfig, Validity,
    limits::Bounds,
    plain::PlainNetwork,
    protocol::{
        Footprint, IWantAnswer, IWantOutcome, Node, NodeOptions, SubscribeOutcome, Timestamp, ValidationMode,
    },
};

const KIB: usize = 1024;
/// What a topic may have whatever others have.
const FLOOR: usize = 16 * KIB;
const TOPICS: usize = 4;

struct Fixture {
    node: Node<PlainNetwork>,
    limits: Limits<String>,
    now: Timestamp,
    next: u64,
}

impl Fixture {
    fn new(validity: Validity, change: impl FnOnce(&mut Bounds)) -> Self {
        let config = LimitsConfig::default().with(|config| {
            // Refused GRAFTs of unknown topics are remembered.
            config.extensions.ignore_unknown_grafts = false;
            // What peers with a low score send is handled.
            (config.extensions.graylist_threshold, config.extensions.disconnect_threshold) = (None, None);
            change(&mut config.bounds);
        });
        let limits: Limits<String> = Limits::try_from(config).expect("valid limits");
        let network = Arc::new(PlainNetwork::with_validator(move |_| validity));
        let mut node = Node::new(network, limits.clone(), NodeOptions::default());
        let now = Timestamp::default();
        for topic in 0..TOPICS {
            node.join(&topic.to_string(), now);
        }
        for peer in 0..100 {
            node.add_peer(&peer, &ConnectionInfo::default(), now);
        }
        Self { node, limits, now, next: 0 }
    }

    /// Receives this number of messages of `size` bytes on a topic.
    fn receive(&mut self, topic: usize, messages: usize, size: usize) {
        for _ in 0..messages {
            self.next += 1;
            let message = PlainNetwork::message(&topic.to_string(), self.next, &"x".repeat(size));
            self.node.receive_message(
                &(self.next % 100),
                Arc::new(message),
                ValidationMode::Sequential,
                self.now,
            );
            self.node.drain();
        }
    }

    fn bytes(&self, of: impl Fn(&Footprint) -> usize) -> usize {
        let footprint = self.node.footprint();
        let bound = Footprint::at_most(&self.limits, footprint.connections, TOPICS);
        assert!(of(&footprint) <= of(&bound), "{footprint:?} is above {bound:?}");
        of(&footprint)
    }

    fn heartbeats(&mut self, count: usize) {
        for _ in 0..count {
            self.now = self.now.after(Duration::from_secs(1));
            self.node.heartbeat(self.now);
            self.node.drain();
        }
    }
}

#[test]
fn all_histories_together_are_bounded_and_each_topic_has_its_share() {
    let mut fixture = Fixture::new(Validity::Valid, |bounds| bounds.max_history_bytes = 1024 * KIB);
    let history = |fixture: &Fixture| fixture.bytes(|footprint| footprint.history_bytes);
    // The first topic may use half of the limit, and not more once another has messages.
    fixture.receive(0, 2000, KIB);
    let first = history(&fixture);
    assert!((320 * KIB..=1024 * KIB).contains(&first), "{first}");
    for topic in 1..TOPICS {
        let before = history(&fixture);
        fixture.receive(topic, 2000, KIB);
        let added = history(&fixture) - before;
        // A share is a half of the limit divided by the number of topics that have messages. What earlier topics took while
        // they were fewer is theirs until it expires.
        assert!(added >= 48 * KIB, "{added} of topic {topic}");
    }
    // When the messages of the first topic have expired, others may use the room.
    fixture.heartbeats(6);
    assert_eq!(history(&fixture), 0);
    fixture.receive(3, 2000, KIB);
    assert!(history(&fixture) >= 320 * KIB);
}

#[test]
fn a_full_history_still_answers_requests() {
    let mut fixture = Fixture::new(Validity::Valid, |bounds| bounds.max_history_bytes = 256 * KIB);
    for topic in 0..TOPICS {
        fixture.receive(topic, 1000, KIB);
    }
    let latest: Vec<_> =
        (0..20).map(|age| PlainNetwork::message("3", fixture.next - age, "").message_id).collect();
    for peer in 0..20 {
        let outcome = fixture.node.iwant(&peer, latest.clone(), fixture.now);
        let IWantOutcome::Answered { ids } = outcome else { panic!("{outcome:?}") };
        let answered = ids.values().filter(|answer| matches!(answer, IWantAnswer::Message(_))).count();
        assert!(answered >= 10, "{answered} of 20 requests of peer {peer}");
        fixture.bytes(|footprint| footprint.history_bytes);
    }
}

#[test]
fn backoffs_of_topics_that_nobody_joined_do_not_displace_those_of_joined_topics() {
    let mut fixture = Fixture::new(Validity::Valid, |bounds| bounds.max_backoff_bytes = 64 * KIB);
    for peer in 0..50 {
        fixture.node.prune(&peer, &"0".to_owned(), Vec::new(), Duration::from_secs(60), fixture.now);
    }
    for number in 0..2000 {
        for peer in 50..55 {
            fixture.node.graft(&peer, &format!("junk-{number}"), fixture.now);
            fixture.node.drain();
        }
    }
    fixture.bytes(|footprint| footprint.backoffs_bytes);
    for peer in 50..100 {
        fixture.node.prune(&peer, &"0".to_owned(), Vec::new(), Duration::from_secs(60), fixture.now);
    }
    assert_eq!(fixture.node.view(fixture.now).backoff["0"].len(), 100);
}

#[test]
fn all_seen_ids_together_are_bounded_and_a_topic_without_share_still_recognises_duplicates() {
    let mut fixture = Fixture::new(Validity::Valid, |bounds| bounds.max_seen_bytes = 256 * KIB);
    let seen = |fixture: &Fixture| fixture.bytes(|footprint| footprint.seen_bytes);
    for topic in 0..TOPICS {
        fixture.receive(topic, 3000, 1);
    }
    assert!(seen(&fixture) >= 128 * KIB, "{}", seen(&fixture));
    for topic in 0..TOPICS {
        let topic = topic.to_string();
        let message = Arc::new(PlainNetwork::message(&topic, u64::MAX, "x"));
        for _ in 0..3 {
            fixture.node.receive_message(&1, Arc::clone(&message), ValidationMode::Sequential, fixture.now);
        }
        assert_eq!(fixture.node.drain().app, [message], "delivered once");
    }
    fixture.heartbeats(121);
    assert_eq!(seen(&fixture), 0);
}

#[test]
fn all_invalid_messages_together_are_bounded() {
    let mut fixture = Fixture::new(Validity::Invalid, |bounds| bounds.max_invalid_bytes = 256 * KIB);
    let invalid = |fixture: &Fixture| fixture.bytes(|footprint| footprint.invalid_bytes);
    for topic in 0..TOPICS {
        fixture.receive(topic, 500, KIB);
    }
    assert!((128 * KIB..=256 * KIB + TOPICS * FLOOR).contains(&invalid(&fixture)), "{}", invalid(&fixture));
    fixture.heartbeats(11);
    assert_eq!(invalid(&fixture), 0);
}

#[test]
fn all_ids_that_are_stored_for_peers_together_are_bounded() {
    let mut fixture = Fixture::new(Validity::Valid, |bounds| bounds.max_peer_id_bytes = 256 * KIB);
    let ids = |fixture: &Fixture| fixture.bytes(|footprint| footprint.peer_ids_bytes);
    let id = |number: u64| PlainNetwork::message("0", number, "").message_id;
    for peer in 0..100 {
        let (declined, missed): (Vec<_>, Vec<_>) =
            (0..200).map(|number| (id(number), id(1000 + number))).unzip();
        fixture.node.idontwant(&peer, declined, fixture.now);
        // Repeated ids count each time.
        fixture.node.idontwant(&peer, vec![id(0); 1000], fixture.now);
        let dropped = fixture.node.report_missed(&peer, &"0".to_owned(), &missed);
        assert!(dropped > 0 || ids(&fixture) <= 256 * KIB, "what does not fit is counted");
    }
    assert!((128 * KIB..=256 * KIB).contains(&ids(&fixture)), "{}", ids(&fixture));
    for peer in 0..100 {
        fixture.node.remove_peer(&peer, fixture.now);
    }
    assert_eq!(ids(&fixture), 0);
}

#[test]
fn the_names_of_topics_that_peers_subscribe_to_are_bounded_together() {
    let mut fixture = Fixture::new(Validity::Valid, |bounds| bounds.max_topic_name_bytes = 64 * KIB);
    let names = |fixture: &Fixture| fixture.bytes(|footprint| footprint.subscriptions_bytes);
    let name = |number: usize| format!("{}{number}", "n".repeat(1000));
    let subscribe = |fixture: &mut Fixture, peer: u64, count: usize| {
        let subscribed = |outcome: &SubscribeOutcome| *outcome == SubscribeOutcome::Subscribed;
        (0..count)
            .map(|number| fixture.node.subscribe(&peer, &name(number), fixture.now))
            .filter(subscribed)
            .count()
    };
    // The first peer may use half of the limit.
    let first = subscribe(&mut fixture, 0, 1000);
    assert!((20..=32).contains(&first), "{first}");
    for peer in 1..4 {
        let others = subscribe(&mut fixture, peer, 1000);
        assert!((4..=16).contains(&others), "{others} of peer {peer}");
    }
    assert!(names(&fixture) <= 64 * KIB);
    // Topics that we have joined are not refused.
    assert_eq!(fixture.node.subscribe(&0, &"1".to_owned(), fixture.now), SubscribeOutcome::Grafted);
    for number in 0..1000 {
        fixture.node.unsubscribe(&0, &name(number), fixture.now);
    }
    assert!(subscribe(&mut fixture, 99, 1000) >= 4, "the room is given back");
    for peer in 0..100 {
        fixture.node.remove_peer(&peer, fixture.now);
    }
    assert_eq!(names(&fixture), 0);
}

#[test]
fn all_backoffs_together_are_bounded_and_those_that_end_first_are_removed() {
    let mut fixture = Fixture::new(Validity::Valid, |bounds| bounds.max_backoff_bytes = 4 * KIB);
    let backoffs = |fixture: &Fixture| fixture.bytes(|footprint| footprint.backoffs_bytes);
    for peer in 0..1500_u64 {
        fixture.node.add_peer(&peer, &ConnectionInfo::default(), fixture.now);
        for topic in 0..TOPICS {
            let span = Duration::from_secs(10 + peer);
            fixture.node.prune(&peer, &topic.to_string(), Vec::new(), span, fixture.now);
        }
    }
    // Each topic has what it may have in any case: as much as the limit, if that is below 16 KiB.
    assert!((8 * KIB..=20 * KIB).contains(&backoffs(&fixture)), "{}", backoffs(&fixture));
    let view = fixture.node.view(fixture.now);
    for topic in 0..TOPICS {
        assert!(view.backoff[&topic.to_string()].contains_key(&1499), "the backoff that ends last");
    }
    fixture.heartbeats(1600);
    assert_eq!(backoffs(&fixture), 0);
}

/// Fills maps under these limits. Returns what was evicted or refused by the counter of `map`, and by the difference of what
/// was added and what is there.
fn evicted(
    map: &str,
    validity: Validity,
    change: impl FnOnce(&mut Bounds),
    fill: impl FnOnce(&mut Fixture) -> usize,
    stored: impl Fn(&Footprint) -> usize,
) -> (u64, u64) {
    let mut fixture = Fixture::new(validity, change);
    let added = fill(&mut fixture);
    (fixture.node.evicted()[map], (added - stored(&fixture.node.footprint())) as u64)
}

#[test]
fn all_that_a_limit_removes_or_keeps_out_is_counted() {
    let receive = |fixture: &mut Fixture| {
        (0..TOPICS).for_each(|topic| fixture.receive(topic, 2000, KIB));
        TOPICS * 2000
    };
    let prune = |fixture: &mut Fixture| {
        for peer in 0..2000 {
            fixture.node.add_peer(&peer, &ConnectionInfo::default(), fixture.now);
            fixture.node.prune(
                &peer,
                &"0".to_owned(),
                Vec::new(),
                Duration::from_secs(60 + peer),
                fixture.now,
            );
        }
        2000
    };
    let graft_unknown = |fixture: &mut Fixture| {
        for number in 0..10_000 {
            fixture.node.graft(&(number % 100), &format!("junk-{}", number / 5), fixture.now);
            fixture.node.drain();
        }
        10_000
    };
    let decline = |fixture: &mut Fixture| {
        let id = |number| PlainNetwork::message("0", number, "").message_id;
        (0..100).for_each(|peer| _ = fixture.node.idontwant(&peer, (0..200).map(id).collect(), fixture.now));
        100 * 200
    };
    let subscribe = |fixture: &mut Fixture| {
        for number in 0..10_000_u64 {
            fixture.node.subscribe(&(number % 100), &format!("junk-{number}"), fixture.now);
        }
        10_000
    };
    let valid = Validity::Valid;
    let counts = [
        evicted("history", valid, |b| b.max_history_bytes = 1024 * KIB, receive, |it| it.history),
        evicted("history", valid, |b| b.max_history_per_topic = 100, receive, |it| it.history),
        evicted("seen", valid, |b| b.max_seen_bytes = 256 * KIB, receive, |it| it.seen),
        evicted("seen", valid, |b| b.max_seen_per_topic = 100, receive, |it| it.seen),
        evicted("invalid", Validity::Invalid, |b| b.max_invalid_bytes = 64 * KIB, receive, |it| it.invalid),
        evicted("invalid", Validity::Invalid, |b| b.max_invalid_per_topic = 100, receive, |it| it.invalid),
        evicted("backoffs", valid, |b| b.max_backoff_bytes = 4 * KIB, prune, |it| it.backoffs),
        evicted("backoffs", valid, |b| b.max_backoffs_per_topic = 100, prune, |it| it.backoffs),
        evicted(
            "passive_backoffs",
            valid,
            |b| b.max_backoff_bytes = 64 * KIB,
            graft_unknown,
            |it| it.backoffs,
        ),
        evicted("passive_backoffs", valid, |b| b.max_idle_topics = 100, graft_unknown, |it| it.backoffs),
        evicted("peer_ids", valid, |b| b.max_peer_id_bytes = 64 * KIB, decline, |it| it.peer_idontwant),
        evicted(
            "topic_names",
            valid,
            |b| b.max_topic_name_bytes = 64 * KIB,
            subscribe,
            |it| it.subscriptions,
        ),
    ];
    for (place, (counted, missing)) in counts.into_iter().enumerate() {
        assert!(
            counted == missing && missing > 0,
            "{counted} of {missing} are counted in case {place}: {counts:?}"
        );
    }
}
