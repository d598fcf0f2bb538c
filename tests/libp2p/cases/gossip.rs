//! IHAVE and IWANT.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::cases::{
    OTHER, TOPIC, cases,
    peer::{Habit, Options, Peer},
    target::{GOSSIP_THRESHOLD, Kind, Setup},
    trial::{Trial, trial},
    wire::{Id, Rpc, idontwant, ihave, iwant, message},
};

cases! {
    "I1" a_message_is_sent_again_as_often_as_the_limit_allows Agrees;
    "I2" ihave_spam_gets_a_bounded_answer_and_a_penalty Agrees;
    "I3" the_ids_that_are_requested_in_a_heartbeat_are_bounded Agrees;
    "I4" nothing_is_requested_that_is_known_or_on_another_topic Agrees;
    "I5" broken_promises_are_penalised Agrees;
    "I6" kept_promises_cost_nothing Agrees;
    "I7" another_peer_may_keep_the_promise Agrees;
    "I8" unknown_ids_get_no_answer Agrees;
    "I9" all_messages_are_offered_to_a_subscriber_outside_the_mesh Agrees;
    "I10" all_requested_messages_come_in_frames_within_the_limit Agrees;
    "I11" a_mesh_peer_is_not_offered_what_it_was_sent Agrees;
    "I12" a_peer_below_the_gossip_threshold_gets_no_gossip Agrees;
    "IWANT" a_message_is_requested_from_one_peer_at_a_time Agrees;
    "I13" a_declined_message_is_not_sent_on_request Agrees;
    "I14" ids_of_any_length_do_no_harm Agrees;
}

fn ids(range: std::ops::Range<usize>) -> impl Iterator<Item = Id> {
    range.map(|n| format!("some id {n:08}").into_bytes())
}

/// The heartbeats that may have passed since `start`, and one more: the phase is not known.
fn heartbeats_since(start: Instant, heartbeat: Duration) -> usize {
    (start.elapsed().as_secs_f64() / heartbeat.as_secs_f64()) as usize + 2
}

/// Also case 1.
async fn a_message_is_sent_again_as_often_as_the_limit_allows(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let id = match trial.target.publish(TOPIC, vec![7; 100]).await {
            Some(id) => id,
            None => trial.publish(1 << 20, 1, 100)[0].id(),
        };
        trial.wait("the message arrives", async || attacker.copies(&id) == 1).await;
        (0..1_000).for_each(|_| attacker.send(iwant([id.clone()])));
        trial.handled(&attacker).await;
        trial.wait("it comes three times more", async || attacker.copies(&id) == 4).await;
        attacker.send(iwant([id.clone()]));
        trial.handled(&attacker).await;
        trial.heartbeats(1).await;
        assert_eq!(attacker.copies(&id), 4);
    })
    .await;
}

/// Also case 2.
async fn ihave_spam_gets_a_bounded_answer_and_a_penalty(kind: Kind) {
    let setup = Setup { iwant_followup: Duration::from_secs(2), ..Setup::default() };
    let (heartbeat, followup) = (setup.heartbeat, setup.iwant_followup);
    trial(kind, setup, async |trial| {
        let attacker = trial.in_mesh().await;
        let start = Instant::now();
        ids(0..500).for_each(|id| attacker.send(ihave(TOPIC, [id])));
        trial.handled(&attacker).await;
        let score = trial.score(&attacker).await;
        if start.elapsed() < followup {
            assert!(score >= 0.0, "{score}");
        }
        let wanted = attacker.wanted().len();
        assert!((1..=10 * heartbeats_since(start, heartbeat)).contains(&wanted), "{wanted} ids requested");
        trial.heartbeats(2).await;
        let before = attacker.wanted().len();
        ids(500..600).for_each(|id| attacker.send(ihave(TOPIC, [id])));
        trial.wait("more are requested later", async || attacker.wanted().len() > before).await;
        trial.wait_for_score(&attacker, "negative", |score| score < 0.0).await;
    })
    .await;
}

async fn the_ids_that_are_requested_in_a_heartbeat_are_bounded(kind: Kind) {
    let heartbeat = Duration::from_secs(2) * crate::cases::factor();
    trial(kind, Setup { heartbeat, ..Setup::default() }, async |trial| {
        let attacker = trial.lazy().await;
        let start = Instant::now();
        // Nine IHAVEs, within the limit of a heartbeat, and of RPCs of 16 KiB.
        for part in 0..9 {
            let first = part * 1_300;
            attacker.send(ihave(TOPIC, (first..first + 1_300).map(|n| (n as u64).to_be_bytes().to_vec())));
        }
        trial.handled(&attacker).await;
        trial.wait("ids are requested", async || attacker.wanted().len() >= 5_000).await;
        let wanted = attacker.wanted().len();
        assert!(wanted <= 5_000 * heartbeats_since(start, heartbeat), "{wanted} ids requested");
    })
    .await;
}

async fn nothing_is_requested_that_is_known_or_on_another_topic(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        let known = attacker.message(1, 100);
        attacker.send(message(&known));
        trial.wait_for_delivery(&known).await;
        let unknown: Id = ids(0..1).next().unwrap();
        attacker.send(ihave(OTHER, ids(1..2)));
        attacker.send(ihave(TOPIC, [known.id()]));
        attacker.send(ihave(TOPIC, [unknown.clone()]));
        attacker.until("IWANT", |rpc| !rpc.iwant.is_empty()).await;
        trial.heartbeats(1).await;
        assert_eq!(attacker.wanted(), [unknown]);
    })
    .await;
}

async fn broken_promises_are_penalised(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        for round in 0..5 {
            attacker.send(ihave(TOPIC, ids(round * 5..round * 5 + 5)));
            trial.heartbeats(1).await;
        }
        trial.wait_for_score(&attacker, "negative", |score| score < 0.0).await;
    })
    .await;
}

/// Waits until promises that were not kept would have been penalised.
async fn pass_followup_time(trial: &Trial) {
    tokio::time::sleep(Setup::default().iwant_followup).await;
    trial.heartbeats(3).await;
}

async fn kept_promises_cost_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        for round in 0..5 {
            let sent: Vec<_> = (0..5).map(|n| attacker.message(round * 5 + n, 100)).collect();
            attacker.send(ihave(TOPIC, sent.iter().map(|one| one.id())));
            let asked: BTreeSet<_> = sent.iter().map(|one| one.id()).collect();
            trial
                .wait("all are requested", async || {
                    let wanted = attacker.wanted();
                    asked.iter().all(|id| wanted.contains(id))
                })
                .await;
            for one in &sent {
                attacker.send(message(one));
                trial.wait_for_delivery(one).await;
            }
        }
        pass_followup_time(trial).await;
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

/// Specification: the message may come from any peer. Also case 35, without the validation at the deadline.
async fn another_peer_may_keep_the_promise(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let (attacker, other) = (trial.lazy().await, trial.in_mesh().await);
        let author = Peer::start(Options::default()).await;
        let sent = author.message(1, 100);
        attacker.send(ihave(TOPIC, [sent.id()]));
        attacker.until("IWANT", |rpc| !rpc.iwant.is_empty()).await;
        other.send(message(&sent));
        trial.wait_for_delivery(&sent).await;
        pass_followup_time(trial).await;
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

async fn unknown_ids_get_no_answer(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        (0..20).for_each(|part| attacker.send(iwant(ids(part * 500..part * 500 + 500))));
        trial.handled(&attacker).await;
        trial.heartbeats(1).await;
        // It may have been sent messages of the honest peers before it refused the first GRAFT.
        let answers = attacker.received().into_iter().flat_map(|rpc| rpc.messages);
        let authors: BTreeSet<_> = answers.filter_map(|one| one.source()).collect();
        assert!(authors.is_subset(&[0, 1].map(|index| trial.honest(index).id).into()), "{authors:?}");
    })
    .await;
}

async fn all_messages_are_offered_to_a_subscriber_outside_the_mesh(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        attacker.until("IHAVE", |rpc| !rpc.ihave.is_empty()).await;
        let mut sent = Vec::new();
        for burst in 0..4 {
            sent.extend(trial.publish(1 << 20 | burst << 8, 5, 100));
            trial.heartbeats(1).await;
        }
        let offers = |id: &Id| attacker.offered().iter().filter(|offered| *offered == id).count();
        trial.wait("all are offered", async || sent.iter().all(|one| offers(&one.id()) > 0)).await;
        trial.heartbeats(4).await;
        for one in &sent {
            // mcache_gossip is 3 heartbeats.
            assert!((1..=4).contains(&offers(&one.id())), "offered {} times", offers(&one.id()));
            assert_eq!(attacker.copies(&one.id()), 0, "sent without a request");
        }
    })
    .await;
}

async fn all_requested_messages_come_in_frames_within_the_limit(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        attacker.until("IHAVE", |rpc| !rpc.ihave.is_empty()).await;
        let (mut sent, mut requested) = (Vec::new(), BTreeSet::new());
        for burst in 0..20 {
            sent.extend(trial.publish(1 << 20 | burst << 8, 5, 20_000));
            let before = attacker.offered().len();
            trial.wait("an offer", async || attacker.offered().len() > before).await;
            let offered: Vec<_> =
                attacker.offered().into_iter().filter(|id| !requested.contains(id)).collect();
            requested.extend(offered.clone());
            attacker.send(iwant(offered));
        }
        attacker.set_habit(Habit::Honest);
        trial.wait("all arrive", async || sent.iter().all(|one| attacker.copies(&one.id()) > 0)).await;
        // The limits of the two nodes of this process, and of other implementations.
        let limit = if kind == Kind::Program { 1 << 20 } else { 65_536 };
        let longest = attacker.received().iter().map(|rpc| rpc.length).max();
        assert!(longest <= Some(limit), "{longest:?}");
    })
    .await;
}

async fn a_mesh_peer_is_not_offered_what_it_was_sent(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        let sent = trial.publish(1 << 20, 20, 100);
        for one in &sent {
            attacker.wait_for_message(one).await;
        }
        trial.heartbeats(5).await;
        let offered = attacker.offered();
        assert!(sent.iter().all(|one| !offered.contains(&one.id())));
    })
    .await;
}

async fn a_peer_below_the_gossip_threshold_gets_no_gossip(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        trial.misbehave(&attacker, 3).await;
        trial.wait_for_score(&attacker, "below the threshold", |score| score < GOSSIP_THRESHOLD).await;
        trial.heartbeats(1).await;
        attacker.clear();
        let sent = trial.publish(1 << 20, 5, 100);
        for one in &sent {
            trial.wait_for_delivery(one).await;
        }
        attacker.send(ihave(TOPIC, ids(0..5)));
        attacker.send(iwant(sent.iter().map(|one| one.id())));
        trial.handled(&attacker).await;
        trial.heartbeats(3).await;
        let all = attacker.received().into_iter().fold(Rpc::default(), Rpc::and);
        assert!((all.ihave.is_empty() && all.iwant.is_empty() && all.messages.is_empty()), "{all}");
    })
    .await;
}

/// Also case 15.
async fn a_declined_message_is_not_sent_on_request(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        attacker.until("IHAVE", |rpc| !rpc.ihave.is_empty()).await;
        let sent = trial.publish(1 << 20, 2, 2_048);
        for one in &sent {
            let id = one.id();
            attacker.until("an offer", |rpc| rpc.ihave.iter().any(|(_, ids)| ids.contains(&id))).await;
        }
        attacker.send(idontwant([sent[0].id()]));
        trial.handled(&attacker).await;
        attacker.send(iwant(sent.iter().map(|one| one.id())));
        attacker.wait_for_message(&sent[1]).await;
        trial.heartbeats(1).await;
        assert_eq!(attacker.copies(&sent[0].id()), 0);
    })
    .await;
}

async fn ids_of_any_length_do_no_harm(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.lazy().await;
        for length in [0, 1, 1_024] {
            attacker.send(ihave(TOPIC, [vec![1; length]]).and(iwant([vec![2; length]])));
            attacker.send(idontwant([vec![3; length]]));
        }
        trial.handled(&attacker).await;
        for length in [1_025, 60 << 10] {
            attacker.send(ihave(TOPIC, [vec![1; length]]).and(iwant([vec![2; length]])));
        }
        // The stream may be reset.
        trial.heartbeats(2).await;
    })
    .await;
}

/// Another peer that offers it is asked when the first has not sent it in time.
async fn a_message_is_requested_from_one_peer_at_a_time(kind: Kind) {
    let setup = Setup { iwant_followup: Duration::from_secs(2) * crate::cases::factor(), ..Setup::default() };
    trial(kind, setup, async |trial| {
        let (first, second) = (trial.lazy().await, trial.lazy().await);
        let id = ids(0..1).next().unwrap();
        first.send(ihave(TOPIC, [id.clone()]));
        first.until("IWANT", |rpc| !rpc.iwant.is_empty()).await;
        second.send(ihave(TOPIC, [id.clone()]));
        trial.handled(&second).await;
        trial.heartbeats(1).await;
        assert_eq!(first.wanted().len() + second.wanted().len(), 1);
        let asked = crate::cases::poll_until(async || {
            second.send(ihave(TOPIC, [id.clone()]));
            trial.heartbeats(1).await;
            (!second.wanted().is_empty()).then_some(())
        });
        assert!(asked.await.is_some(), "the second peer is asked");
    })
    .await;
}
