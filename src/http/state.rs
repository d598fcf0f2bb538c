//! The engine as a whole: its scrape, limits, counters, queues and maps. Asks and shows; decides nothing.

use std::convert::Infallible;

use actix_web::{HttpResponse, http::header::ContentType, web::Data};

use super::{
    Render, Shown,
    answers::{MapSize, QueueState},
    ask::within,
    lists::running,
    names::Name,
    problem::Problem,
};
use crate::{Worker, protocol::Footprint};

type Answer = Result<HttpResponse, Problem>;

pub(super) async fn metrics(render: Option<Data<Render>>) -> Answer {
    let render = render.ok_or_else(|| Problem::unknown("this application shows no metrics"))?;
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    Ok(HttpResponse::Ok().content_type(plain).body(render()))
}

pub(super) async fn parameters<N: Shown>(worker: Data<Worker<N>>) -> Answer {
    let limits = worker.limits().clone();
    // Topics stand as keys there, and keys are text.
    let Ok(limits) = limits.map_topics(|topic| Ok::<_, Infallible>(Name::of(&topic).text()));
    Ok(HttpResponse::Ok().json(&*limits))
}

pub(super) async fn stats<N: Shown>(worker: Data<Worker<N>>) -> Answer {
    running(&worker)?;
    Ok(HttpResponse::Ok().json(worker.stats()))
}

pub(super) async fn queues<N: Shown>(worker: Data<Worker<N>>) -> Answer {
    running(&worker)?;
    let queues = worker.queues().map(|queue| QueueState {
        queue: queue.name,
        depth: queue.depth,
        capacity: queue.capacity,
    });
    Ok(HttpResponse::Ok().json(queues))
}

pub(super) async fn footprint<N: Shown>(worker: Data<Worker<N>>) -> Answer {
    let held = within(worker.footprint()).await?;
    let most = Footprint::at_most(worker.limits(), held.connections, held.topics);
    let size = |((map, held), (_, most)): ((&'static str, usize), (_, usize))| MapSize {
        map,
        held,
        at_most: Some(most).filter(|most| *most < usize::MAX),
    };
    let sizes: Vec<_> = held.maps().zip(most.maps()).map(size).collect();
    Ok(HttpResponse::Ok().insert_header(ContentType::json()).json(sizes))
}
