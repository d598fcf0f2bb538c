//! These tests run a network without losses. The number of delivered messages must equal published messages times
//! subscribers, and all other identities must be true.

use std::collections::BTreeMap;

use super::{
    cluster::{Cluster, ValidationTiming},
    identities,
    limits::limits,
};

const MEMBERS: usize = 7;

/// The expected numbers of published and delivered messages by topic.
#[derive(Default)]
struct Expected {
    joined: BTreeMap<&'static str, Vec<usize>>,
    published: BTreeMap<&'static str, usize>,
    delivered: BTreeMap<&'static str, usize>,
}

impl Expected {
    async fn join(&mut self, cluster: &mut Cluster, member: usize, topic: &'static str) {
        self.joined.entry(topic).or_default().push(member);
        cluster.join(member, topic).await;
    }

    async fn leave(&mut self, cluster: &mut Cluster, member: usize, topic: &'static str) {
        self.joined.entry(topic).or_default().retain(|joined| *joined != member);
        cluster.leave(member, topic).await;
    }

    /// Publishes a message that is or becomes valid, so that all subscribers deliver it.
    fn publish(&mut self, cluster: &mut Cluster, member: usize, topic: &'static str, content: &str) {
        let others = self.joined[topic].iter().filter(|joined| **joined != member).count();
        *self.published.entry(topic).or_default() += 1;
        *self.delivered.entry(topic).or_default() += others;
        cluster.publish(member, topic, content);
    }

    /// Publishes a message that no subscriber delivers.
    fn publish_undelivered(
        &mut self,
        cluster: &mut Cluster,
        member: usize,
        topic: &'static str,
        content: &str,
    ) {
        *self.published.entry(topic).or_default() += 1;
        cluster.publish(member, topic, content);
    }

    /// Asserts published x subscribers = delivered, for the metrics and for the messages that the applications received.
    fn check(&self, cluster: &Cluster) {
        let scrapes = cluster.scrapes();
        for (topic, published) in &self.published {
            let sum = |name| scrapes.iter().map(|scrape| labelled(scrape, name, topic)).sum::<f64>();
            assert_eq!(sum("gossipsub_messages_published_total"), *published as f64, "{topic}");
            let delivered = self.delivered.get(topic).copied().unwrap_or_default();
            assert_eq!(sum("gossipsub_messages_delivered_total"), delivered as f64, "{topic}");
            let received =
                cluster.members.iter().filter_map(|member| member.delivered.get(*topic)).sum::<usize>();
            assert_eq!(received, delivered, "{topic}");
        }
    }
}

/// The value of a metric for a topic; zero if the topic has no label on this engine.
fn labelled(scrape: &super::scrape::Scrape, name: &str, topic: &str) -> f64 {
    let known = scrape.values(name, "topic").contains(topic);
    if known { scrape.sum(name, &[("topic", topic)]) } else { 0.0 }
}

/// The members join, publish valid and invalid messages, leave and join again.
async fn run_network(timing: ValidationTiming) {
    let mut cluster = Cluster::new(MEMBERS, &limits(), timing);
    let mut expected = Expected::default();
    cluster.connect_all().await;
    for member in 0..MEMBERS {
        expected.join(&mut cluster, member, "a").await;
        expected.join(&mut cluster, member, "b").await;
    }
    for member in 0..3 {
        expected.join(&mut cluster, member, "c").await;
    }
    cluster.heartbeats(3).await;
    for round in 0..10 {
        for member in 0..MEMBERS {
            expected.publish(&mut cluster, member, "a", "valid");
            if round % 3 == 0 {
                expected.publish(&mut cluster, member, "b", "unknown");
            }
        }
        cluster.pump().await;
    }
    // The member has not joined the topic, so it publishes through a fanout.
    expected.publish(&mut cluster, 5, "c", "valid");
    expected.publish_undelivered(&mut cluster, 1, "b", "invalid");
    expected.publish_undelivered(&mut cluster, 2, "b", "outdated");
    cluster.heartbeats(2).await;
    cluster.decide_unknown();
    cluster.heartbeats(4).await;
    expected.check(&cluster);

    expected.leave(&mut cluster, 0, "a").await;
    expected.leave(&mut cluster, 6, "b").await;
    cluster.heartbeats(2).await;
    for member in [0, 3, 4] {
        expected.publish(&mut cluster, member, "a", "valid");
    }
    cluster.heartbeats(6).await;
    expected.join(&mut cluster, 0, "a").await;
    cluster.heartbeats(2).await;
    expected.publish(&mut cluster, 0, "a", "valid");
    cluster.heartbeats(6).await;
    expected.check(&cluster);
    cluster.stabilize().await;
    let scrapes = cluster.scrapes();
    let meshes: f64 = scrapes.iter().map(|scrape| scrape.sum("gossipsub_mesh_peers", &[])).sum();
    assert!(meshes > 0.0, "the meshes are not empty");
    identities::wire(&scrapes, true);
    identities::contents(&scrapes);
    for (member, scrape) in cluster.members.iter().zip(&scrapes) {
        identities::engine(&member.worker, scrape).await;
        identities::inputs(scrape);
    }
    cluster.shutdown().await;
}

#[test]
fn all_identities_are_true_with_synchronous_validation() {
    actix::System::new().block_on(run_network(ValidationTiming::Synchronous));
}

#[test]
fn all_identities_are_true_with_asynchronous_validation() {
    actix::System::new().block_on(run_network(ValidationTiming::Asynchronous));
}

#[test]
fn all_identities_are_true_with_batch_validation() {
    actix::System::new().block_on(run_network(ValidationTiming::Batched));
}
