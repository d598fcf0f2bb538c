//! The health check: one status per check, and the worst of them as the status of the engine.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web::Data};

use super::with_timeout;
use crate::{
    HeartbeatStatus, Page, Worker,
    http::{
        Displayable,
        identifier::Identifier,
        problem::Problem,
        responses::{Check, CheckStatus, Health, Status},
    },
    protocol::TopicProblem,
};

/// A heartbeat is late after this many intervals without one. After [`DOWN_FACTOR`] times as many, it is
/// down.
const LATE_HEARTBEATS: u32 = 3;
const DOWN_FACTOR: u32 = 10;
/// A heartbeat is late only after at least this time, however short the interval.
const MIN_LATE: Duration = Duration::from_secs(2);
/// The `inputs` check fails for this time after a full queue refused or dropped an item.
const OVERLOAD_WINDOW: Duration = Duration::from_secs(60);
/// The most topics or peers that a message names.
const NAMES: usize = 3;
/// A name in a message is shortened to this number of characters.
const MAX_NAME: usize = 48;

/// The health of the engine
///
/// A degraded engine still works and answers with 200.
#[utoipa::path(
    get,
    path = "/health",
    responses(
        (status = 200, description = "The engine is up or degraded", body = Health),
        (status = 503, description = "The engine is down", body = Health),
    )
)]
pub(super) async fn health<N: Displayable>(worker: Data<Worker<N>>) -> HttpResponse {
    let start = Instant::now();
    let answer = with_timeout(worker.connections(Page::first(1))).await;
    let response_seconds = answer.is_ok().then(|| start.elapsed().as_secs_f64());
    let [p2p, app] = ["p2p_stream", "app_stream"].map(|name| stream(&worker, name));
    let checks =
        vec![engine(&answer), heartbeat(&worker), p2p, app, inputs(&worker), topics(&worker), peers(&worker)];
    let any = |status| checks.iter().any(|check| check.status == status);
    let status = match () {
        () if any(CheckStatus::Down) => Status::Down,
        () if any(CheckStatus::Ko) => Status::Degraded,
        () => Status::Up,
    };
    let response = if status == Status::Down { HttpResponse::ServiceUnavailable } else { HttpResponse::Ok };
    response().json(Health { status, checks, response_seconds })
}

/// `answer`: that of the supervisor to a query.
pub(super) fn engine<T>(answer: &Result<T, Problem>) -> Check {
    match answer {
        Ok(_) => check("engine", CheckStatus::Ok, "the supervisor answers"),
        Err(problem) => check("engine", CheckStatus::Down, &problem.message),
    }
}

pub(super) fn heartbeat<N: Displayable>(worker: &Worker<N>) -> Check {
    let HeartbeatStatus { tick, started_at, manual, .. } = worker.last_heartbeat();
    let since = worker.now().saturating_since(started_at);
    let limits = worker.limits();
    let delay = if tick == 0 { limits.extensions.heartbeat_initial_delay } else { Duration::ZERO };
    let late = limits.heartbeat_interval.saturating_mul(LATE_HEARTBEATS).max(MIN_LATE).saturating_add(delay);
    let status = match since {
        _ if manual => CheckStatus::Ok,
        since if since <= late => CheckStatus::Ok,
        since if since <= late.saturating_mul(DOWN_FACTOR) => CheckStatus::Ko,
        _ => CheckStatus::Down,
    };
    check("heartbeat", status, &format!("heartbeat {tick} started {:.1} s ago", since.as_secs_f64()))
}

/// A full stream means that its reader is absent or too slow.
fn stream<N: Displayable>(worker: &Worker<N>, name: &'static str) -> Check {
    let queue = if name == "p2p_stream" { "p2p_output" } else { "app_output" };
    let queue = worker.queues().into_iter().find(|status| status.name == queue);
    let (depth, capacity) = queue.map_or((0, 0), |queue| (queue.depth, queue.capacity));
    let status = if depth >= capacity { CheckStatus::Ko } else { CheckStatus::Ok };
    queue_check(name, status, &format!("{depth} of at most {capacity} items are queued"))
}

fn inputs<N: Displayable>(worker: &Worker<N>) -> Check {
    let since = worker.last_overload().map(|last| worker.now().saturating_since(last));
    match since.filter(|since| *since < OVERLOAD_WINDOW) {
        None => queue_check("inputs", CheckStatus::Ok, "no queue was full in the last 60 s"),
        Some(since) => {
            let message = format!("a full queue refused or dropped an item {:.1} s ago", since.as_secs_f64());
            queue_check("inputs", CheckStatus::Ko, &message)
        }
    }
}

/// The names of the topics with problems are those of the first of the list.
fn topics<N: Displayable>(worker: &Worker<N>) -> Check {
    let HeartbeatStatus { topics_without_peers: without_peers, topics_below_degree_low, .. } =
        worker.last_heartbeat();
    let (status, peers) = match topics_below_degree_low {
        0 => (CheckStatus::Ok, "every joined topic has a mesh of at least D_low peers".to_owned()),
        below if below == without_peers => {
            let names = first_topics(worker, |problem| problem == TopicProblem::NoPeers, below);
            (CheckStatus::Ko, format!("{} no peers: {names}", topics_have(below)))
        }
        below => {
            let names = first_topics(worker, |problem| problem != TopicProblem::NoScores, below);
            let none =
                if without_peers > 0 { format!(", {without_peers} of them no peers") } else { String::new() };
            (
                CheckStatus::Ko,
                format!("{} fewer than D_low peers in the mesh{none}: {names}", topics_have(below)),
            )
        }
    };
    // The engine works without them: it is a mistake in the configuration, or intended.
    let scores = match worker.last_heartbeat().topics_without_scores {
        0 => String::new(),
        count => format!("; {} no score parameters of their own, while others have some", topics_have(count)),
    };
    Check {
        list: Some("p2p/gossipsub/topics/status?problems"),
        ..check("topics", status, &(peers + &scores))
    }
}

fn topics_have(count: usize) -> String {
    if count == 1 { "1 joined topic has".to_owned() } else { format!("{count} joined topics have") }
}

/// The names of the first topics of the list with such a problem, of `count`.
fn first_topics<N: Displayable>(
    worker: &Worker<N>,
    has: impl Fn(TopicProblem) -> bool,
    count: usize,
) -> String {
    let found = worker.topic_statuses(&Page::first(NAMES), |_, status| status.problem.is_some_and(&has));
    name(found.items.iter().map(|(topic, _)| Identifier::new(topic)), count)
}

/// Some names, and the number of the others.
fn name(names: impl Iterator<Item = Identifier>, count: usize) -> String {
    let names: Vec<_> = names.map(|name| shorten(&name.text())).collect();
    let others = count.saturating_sub(names.len());
    let others = if others > 0 { format!(" and {others} more") } else { String::new() };
    names.join(", ") + &others
}

/// A long name without its middle, so that names with the same beginning stay distinct.
fn shorten(name: &str) -> String {
    let characters: Vec<_> = name.chars().collect();
    if characters.len() <= MAX_NAME {
        return name.to_owned();
    }
    let half = MAX_NAME / 2;
    let text = |part: &[char]| part.iter().collect::<String>();
    format!("{}…{}", text(&characters[..half]), text(&characters[characters.len() - half..]))
}

/// Many peers with a negative score mean that this node, or its limits, may be the cause.
fn peers<N: Displayable>(worker: &Worker<N>) -> Check {
    let (mut connected, mut negative) = (0_usize, 0_usize);
    let worst = worker.peer_statuses(&Page::first(NAMES), |_, status| {
        let is_negative = status.connected && status.score < 0.0;
        connected += usize::from(status.connected);
        negative += usize::from(is_negative);
        is_negative
    });
    let many = negative * 10 > connected * 3;
    let message = match negative {
        0 => format!("none of {connected} connected peers has a negative score"),
        _ => {
            let names = name(worst.items.iter().map(|(peer, _)| Identifier::new(peer)), negative);
            format!("{negative} of {connected} connected peers have a negative score: {names}")
        }
    };
    let status = if many { CheckStatus::Ko } else { CheckStatus::Ok };
    Check { list: Some("p2p/gossipsub/peers/status"), ..check("peers", status, &message) }
}

fn check(name: &'static str, status: CheckStatus, message: &str) -> Check {
    Check { name, status, message: message.to_owned(), list: None }
}

/// A check of queues.
fn queue_check(name: &'static str, status: CheckStatus, message: &str) -> Check {
    Check { list: Some("p2p/gossipsub/queues"), ..check(name, status, message) }
}
