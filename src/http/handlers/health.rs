//! The health check: one status per check, and the worst of them as the status of the engine.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web::Data};

use super::with_timeout;
use crate::{
    HeartbeatStatus, Page, Worker,
    http::{
        Displayable,
        problem::Problem,
        responses::{Check, CheckStatus, Health, Status},
    },
};

/// A heartbeat is late after this many intervals without one. After [`DOWN_FACTOR`] times as many, it is
/// down.
const LATE_HEARTBEATS: u32 = 3;
const DOWN_FACTOR: u32 = 10;
/// A heartbeat is late only after at least this time, however short the interval.
const MIN_LATE: Duration = Duration::from_secs(2);
/// The `inputs` check fails for this time after a full queue refused or dropped an item.
const OVERLOAD_WINDOW: Duration = Duration::from_secs(60);

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
    let checks = vec![
        engine(&answer),
        heartbeat(&worker),
        p2p,
        app,
        inputs(&worker),
        topics(&worker.last_heartbeat()),
    ];
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
    check(name, status, &format!("{depth} of at most {capacity} items are queued"))
}

fn inputs<N: Displayable>(worker: &Worker<N>) -> Check {
    let since = worker.last_overload().map(|last| worker.now().saturating_since(last));
    match since.filter(|since| *since < OVERLOAD_WINDOW) {
        None => check("inputs", CheckStatus::Ok, "no queue was full in the last 60 s"),
        Some(since) => {
            let message = format!("a full queue refused or dropped an item {:.1} s ago", since.as_secs_f64());
            check("inputs", CheckStatus::Ko, &message)
        }
    }
}

fn topics(heartbeat: &HeartbeatStatus) -> Check {
    let without_peers = heartbeat.topics_without_peers;
    let (status, peers) = match heartbeat.topics_below_degree_low {
        0 => (CheckStatus::Ok, "every joined topic has a mesh of at least D_low peers".to_owned()),
        below if below == without_peers => (CheckStatus::Ko, format!("{below} joined topics have no peers")),
        below => {
            let meshes = format!("{below} joined topics have fewer than D_low peers in the mesh");
            (CheckStatus::Ko, format!("{meshes}, {without_peers} of them have no peers"))
        }
    };
    // The engine works without them: it is a mistake in the configuration, or intended.
    let scores = match heartbeat.topics_without_scores {
        0 => String::new(),
        count => format!("; {count} have no score parameters of their own, while others have some"),
    };
    check("topics", status, &(peers + &scores))
}

fn check(name: &'static str, status: CheckStatus, message: &str) -> Check {
    Check { name, status, message: message.to_owned() }
}
