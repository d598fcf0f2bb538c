//! The mesh of a topic in numbers, which the topic publishes at each heartbeat and every thread reads: lists of all topics
//! are made of them, so that no topic is asked.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use enum_map::EnumMap;

use crate::{
    limits::Degrees,
    protocol::inspect::stats::{TopicCounts, TopicProblem},
};

/// The last published numbers of a topic. A reader may find some of before and some of after a heartbeat.
#[derive(Debug, Default)]
pub(crate) struct PublishedTopic {
    joined: AtomicU8,
    /// The problems, one bit each.
    problems: AtomicU8,
    mesh: AtomicU32,
    outbound_mesh: AtomicU32,
    subscribers: AtomicU32,
    degree_low: AtomicU32,
    degree_high: AtomicU32,
}

impl PublishedTopic {
    pub(crate) fn publish(
        &self,
        counts: TopicCounts,
        problems: &EnumMap<TopicProblem, bool>,
        degrees: &Degrees,
    ) {
        let store = |to: &AtomicU32, count| {
            to.store(u32::try_from(count).unwrap_or(u32::MAX), Ordering::Relaxed);
        };
        store(&self.mesh, counts.mesh);
        store(&self.outbound_mesh, counts.outbound_mesh);
        store(&self.subscribers, counts.subscribers);
        store(&self.degree_low, degrees.degree_low);
        store(&self.degree_high, degrees.degree_high);
        let set = problems.iter().filter(|(_, has)| **has);
        self.problems.store(set.fold(0, |bits, (problem, _)| bits | bit(problem)), Ordering::Relaxed);
        self.joined.store(u8::from(counts.joined > 0), Ordering::Release);
    }

    /// The topic has ended.
    pub(crate) fn clear(&self) {
        self.joined.store(0, Ordering::Release);
    }

    /// The numbers and the problem that needs attention first; `None` if this node is not in the topic's mesh.
    pub(crate) fn read(&self) -> Option<TopicStatus> {
        if self.joined.load(Ordering::Acquire) == 0 {
            return None;
        }
        let load = |from: &AtomicU32| from.load(Ordering::Relaxed) as usize;
        let problems = self.problems.load(Ordering::Relaxed);
        Some(TopicStatus {
            problem: TopicProblem::ALL.into_iter().find(|problem| problems & bit(*problem) != 0),
            mesh: load(&self.mesh),
            outbound_mesh: load(&self.outbound_mesh),
            subscribers: load(&self.subscribers),
            degree_low: load(&self.degree_low),
            degree_high: load(&self.degree_high),
        })
    }
}

fn bit(problem: TopicProblem) -> u8 {
    1 << problem as u8
}

/// A topic that this node is in the mesh of, as of the topic's last heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    /// What needs attention first; `None` if nothing does.
    pub problem: Option<TopicProblem>,
    /// The number of peers in the mesh.
    pub mesh: usize,
    /// The number of those that this node dialled.
    pub outbound_mesh: usize,
    /// The number of connected subscribers.
    pub subscribers: usize,
    /// D_low of the topic.
    pub degree_low: usize,
    /// D_high of the topic.
    pub degree_high: usize,
}
