//! The extractors of queries and bodies. What is malformed is answered with a [`Problem`] that names field, value and rule.

use std::{future::Ready, ops::Deref, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpRequest, dev,
    error::PayloadError,
    http::header::CONTENT_TYPE,
    web::{Bytes, Payload},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    mistake::{self, Mistake},
    problem::{Problem, ProblemKind},
};

/// The largest JSON body of a command, in bytes.
const MAX_BODY: usize = 16 << 10;
/// The time limit for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

impl From<Mistake> for Problem {
    fn from(mistake: Mistake) -> Self {
        Self::bad_request(mistake.to_string())
    }
}

/// The parameters of a query.
pub(super) struct Query<T>(T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: for<'de> Deserialize<'de>> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let parameters = mistake::from_query(request.query_string());
        std::future::ready(parameters.map(Self).map_err(Problem::from))
    }
}

/// A body of the content type `application/json`, of at most `MAX` bytes.
pub(super) struct Body<T, const MAX: usize = MAX_BODY>(pub(super) T);

impl<T: for<'de> Deserialize<'de>, const MAX: usize> FromRequest for Body<T, MAX> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let is_json = content_type(request) == "application/json";
        let payload = Payload::from_request(request, payload);
        Box::pin(async move {
            if !is_json {
                return Err(Problem::new(
                    ProblemKind::UnsupportedMediaType,
                    "the content type must be application/json",
                ));
            }
            let payload = payload.await.map_err(|error| Problem::bad_request(error.to_string()))?;
            parse(&read(payload, MAX).await?).map(Self)
        })
    }
}

/// The media type of the body in lower case, without parameters.
pub(super) fn content_type(request: &HttpRequest) -> String {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = header.unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

/// The bytes of a body, at most `max`.
pub(super) async fn read(payload: Payload, max: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(ProblemKind::TooLarge, format!("the body must have at most {max} bytes"));
    match timeout(BODY_TIMEOUT, payload.to_bytes_limited(max)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(error))) => match error.as_error::<PayloadError>() {
            Some(PayloadError::Overflow) => Err(too_large()),
            _ => Err(Problem::bad_request("the body is incomplete")),
        },
        Ok(Err(_)) => Err(too_large()),
        Err(_) => {
            let message = format!("the body must arrive within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(ProblemKind::SlowRequest, message))
        }
    }
}

/// The value that a body has as JSON.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::bad_request(format!(
            "the body must be JSON, which it is not at line {line}, column {column}"
        ))
    })?;
    Ok(mistake::from_json(value)?)
}
