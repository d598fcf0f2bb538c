//! What all answers have in common: the query read, the engine given two seconds, a list with its next page.
//! Knows no question.

use std::time::{Duration, SystemTime};

use actix_web::{HttpRequest, HttpResponse, web::Query};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{names, problem::Problem};
use crate::{EngineStopped, Page, PageOf, network::Key, protocol::Timestamp};

/// How long the engine may take.
const PATIENCE: Duration = Duration::from_secs(2);
const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;
const MAX_ENTRIES: usize = 200_000;

/// The engine's answer, if it comes in time.
pub(super) async fn within<T>(answer: impl Future<Output = Result<T, EngineStopped>>) -> Result<T, Problem> {
    Ok(timeout(PATIENCE, answer).await.map_err(|_| Problem::unanswered())??)
}

/// A query, of which every word is known.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    let query = Query::<T>::from_query(request.query_string());
    query.map(Query::into_inner).map_err(|error| Problem::bad(format!("the query is wrong: {error}")))
}

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    pub(super) limit: Option<usize>,
    pub(super) after: Option<String>,
    pub(super) all: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) topics: Option<bool>,
}

impl ListQuery {
    /// Reads a list's query, whose words beside `limit` and `after` are `others`.
    pub(super) fn read(request: &HttpRequest, others: &[&str]) -> Result<Self, Problem> {
        let read: Self = query(request)?;
        let Self { all, topic, topics, .. } = &read;
        let given = [("all", all.is_some()), ("topic", topic.is_some()), ("topics", topics.is_some())];
        match given.into_iter().find(|(word, given)| *given && !others.contains(word)) {
            Some((word, _)) => Err(Problem::bad(format!("the query is wrong: unknown field `{word}`"))),
            None => Ok(read),
        }
    }

    /// `?all`, `?all=true` and the like.
    pub(super) fn all(&self) -> Result<bool, Problem> {
        match self.all.as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(Problem::bad(format!("`all` is true or false, not {other:?}"))),
        }
    }

    pub(super) fn page<K: Key + DeserializeOwned>(&self, what: &str) -> Result<Page<K>, Problem> {
        let limit = limit(self.limit)?;
        let after = self.after.as_deref().map(|text| names::read(what, text)).transpose()?;
        Ok(Page { after, limit, max_entries: MAX_ENTRIES })
    }
}

/// How many are wanted.
pub(super) fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(Problem::bad(format!("`limit` is 1 to {MAX_LIMIT}"))),
    }
}

/// A list as it is sent: `name` names an item, for the next page's `after`.
pub(super) fn list<T, A: Serialize>(
    request: &HttpRequest,
    listing: PageOf<T>,
    name: impl Fn(&T) -> names::Name,
    show: impl Fn(T) -> A,
) -> HttpResponse {
    let PageOf { items, more } = listing;
    let mut answer = HttpResponse::Ok();
    if let Some(last) = items.last().filter(|_| more) {
        answer.insert_header(names::next_page(&kept_query(request), &name(last).text()));
    }
    answer.json(items.into_iter().map(show).collect::<Vec<_>>())
}

/// The query without its `after`.
pub(super) fn kept_query(request: &HttpRequest) -> String {
    let parts = request.query_string().split('&');
    let kept = parts.filter(|part| !part.is_empty() && !part.starts_with("after="));
    kept.collect::<Vec<_>>().join("&")
}

/// The engine's time on the wall's clock.
#[derive(Clone, Copy)]
pub(super) struct WallClock {
    wall: SystemTime,
    engine: Timestamp,
}

impl WallClock {
    pub(super) fn now(engine: Timestamp) -> Self {
        Self { wall: SystemTime::now(), engine }
    }

    /// RFC 3339, to the millisecond.
    pub(super) fn show(self, time: Timestamp) -> String {
        let ahead = self.wall.checked_add(time.saturating_since(self.engine));
        let shown = ahead.and_then(|wall| wall.checked_sub(self.engine.saturating_since(time)));
        // A time that no calendar has: as far away as one can be written.
        let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let shown = shown.filter(|shown| *shown <= last).unwrap_or(last);
        humantime::format_rfc3339_millis(shown.max(SystemTime::UNIX_EPOCH)).to_string()
    }
}
