//! Whether the engine works: facts, each with a verdict, and a verdict on all. Mends nothing.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web::Data};

use super::{
    Shown,
    answers::{Check, CheckStatus, Health, Status},
    ask::within,
};
use crate::{HeartbeatStatus, Page, Worker};

/// So many heartbeats late is not well; ten times as many is down.
const LATE_HEARTBEATS: u32 = 3;
/// Whatever the interval, a heartbeat that is less late is not late.
const SLACK: Duration = Duration::from_secs(2);
/// For so long a refusal is held against the engine.
const LATELY: Duration = Duration::from_secs(60);

/// 200 unless the engine is down: a degraded one does its work.
pub(super) async fn health<N: Shown>(worker: Data<Worker<N>>) -> HttpResponse {
    let asked = Instant::now();
    let answered = within(worker.connections(Page::first(1))).await;
    let answered_in = answered.is_ok().then(|| asked.elapsed().as_secs_f64());
    let engine = match &answered {
        Ok(_) => check("engine", CheckStatus::Ok, "it answers"),
        Err(problem) => check("engine", CheckStatus::Down, &problem.message),
    };
    let [p2p, app] = ["p2p_stream", "app_stream"].map(|name| stream(&worker, name));
    let checks =
        vec![engine, heartbeat(&worker), p2p, app, inputs(&worker), topics(&worker.last_heartbeat())];
    let is = |status| checks.iter().any(|check| check.status == status);
    let status = match () {
        () if is(CheckStatus::Down) => Status::Down,
        () if is(CheckStatus::Ko) => Status::Degraded,
        () => Status::Up,
    };
    let answer = if status == Status::Down { HttpResponse::ServiceUnavailable } else { HttpResponse::Ok };
    answer().json(Health { status, checks, answered_in })
}

fn heartbeat<N: Shown>(worker: &Worker<N>) -> Check {
    let HeartbeatStatus { tick, at, manual, .. } = worker.last_heartbeat();
    let since = worker.now().saturating_since(at);
    let late = worker.limits().heartbeat_interval.saturating_mul(LATE_HEARTBEATS).max(SLACK);
    let status = match since {
        _ if manual => CheckStatus::Ok,
        since if since <= late => CheckStatus::Ok,
        since if since <= late.saturating_mul(10) => CheckStatus::Ko,
        _ => CheckStatus::Down,
    };
    check("heartbeat", status, &format!("the last one, {tick}, began {:.1} s ago", since.as_secs_f64()))
}

/// A stream that is full is not read, or too slowly.
fn stream<N: Shown>(worker: &Worker<N>, name: &'static str) -> Check {
    let of_stream = if name == "p2p_stream" { "p2p_output" } else { "app_output" };
    let queue = worker.queues().into_iter().find(|queue| queue.name == of_stream);
    let (depth, capacity) = queue.map_or((0, 0), |queue| (queue.depth, queue.capacity));
    let status = if depth >= capacity { CheckStatus::Ko } else { CheckStatus::Ok };
    check(name, status, &format!("{depth} of {capacity} wait to be read"))
}

fn inputs<N: Shown>(worker: &Worker<N>) -> Check {
    let since = worker.last_overload().map(|last| worker.now().saturating_since(last));
    match since.filter(|since| *since < LATELY) {
        None => check("inputs", CheckStatus::Ok, "none refused lately"),
        Some(since) => {
            let when = format!("something found no room {:.1} s ago", since.as_secs_f64());
            check("inputs", CheckStatus::Ko, &when)
        }
    }
}

fn topics(heartbeat: &HeartbeatStatus) -> Check {
    match heartbeat.topics_without_peers {
        0 => check("topics", CheckStatus::Ok, "each joined one has peers"),
        lonely => check("topics", CheckStatus::Ko, &format!("{lonely} joined ones have no peer")),
    }
}

fn check(name: &'static str, status: CheckStatus, message: &str) -> Check {
    Check { name, status, message: message.to_owned() }
}
