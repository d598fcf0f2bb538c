//! One peer: its score taken apart, and what was decided about it. Asks and shows; decides nothing.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};

use super::{
    Shown,
    answers::{ExplainedScore, ThresholdState, TopicScore},
    ask::{ListQuery, WallClock, kept_query, within},
    lists::connection,
    names::{self, Name, next_page},
    problem::Problem,
};
use crate::{
    Worker,
    protocol::{Threshold, TopicBreakdown},
};

pub(super) async fn score<N: Shown>(
    request: HttpRequest,
    path: Path<String>,
    worker: Data<Worker<N>>,
) -> Result<HttpResponse, Problem> {
    let peer: N::Peer = names::read("peer", &path)?;
    let page = ListQuery::read(&request, &[])?.page("topic")?;
    let found = within(worker.score_of(&peer, page)).await?;
    let found =
        found.ok_or_else(|| Problem::unknown("this peer is not connected, and no score is kept of it"))?;
    let connected = within(worker.connection_of(&peer)).await?;
    let clock = WallClock::now(worker.now());
    let mut answer = HttpResponse::Ok();
    if let Some((last, _)) = found.topics.last_key_value().filter(|_| found.more_topics) {
        answer.insert_header(next_page(&kept_query(&request), &Name::of(last).text()));
    }
    let threshold = |threshold: Threshold| ThresholdState {
        name: threshold.name(),
        value: threshold.value(worker.limits()),
        refused: found.below.contains(&threshold),
        refusal: threshold.refusal(),
    };
    Ok(answer.json(ExplainedScore {
        peer: Name::of(&peer),
        score: found.score,
        connection: connected.map(|view| connection(&view, false)),
        remembered_until: found.expires.map(|at| clock.show(at)),
        topics_sum: found.topics_sum,
        topics: found.topics.iter().map(|(topic, part)| topic_score(Name::of(topic), part)).collect(),
        p5: found.p5,
        p6: found.p6,
        p7: found.p7,
        application_score: found.application_score,
        behaviour_penalty: found.behaviour_penalty,
        thresholds: Threshold::ALL.map(threshold).into(),
    }))
}

fn topic_score(topic: Name, part: &TopicBreakdown) -> TopicScore {
    let TopicBreakdown { weight, p1, p2, p3, p3b, p4, total, ref counters } = *part;
    TopicScore {
        topic,
        weight,
        total,
        p1,
        p2,
        p3,
        p3b,
        p4,
        time_in_mesh: counters.mesh.map_or(0.0, |(_, during)| during.as_secs_f64()),
        first_message_deliveries: counters.first,
        mesh_message_deliveries: counters.delivered,
        mesh_message_deliveries_active: counters.active,
        mesh_failure_penalty: counters.failure,
        invalid_message_deliveries: counters.invalid,
    }
}
