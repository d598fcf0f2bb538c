//! This module is the HTTP client of all tests. It sends HTTP/1.1 requests to servers on this machine and reads bodies
//! as text.

use std::{io::Cursor, thread, time::Duration};

pub use http::{HeaderMap, StatusCode};
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// The timeout of a request; every response takes less time.
const LIMIT: Duration = Duration::from_secs(30);

/// A response with its complete body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The text of a header, if the response has it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header is text"))
    }

    /// The body of a response with status 200; otherwise an error with the status and the body.
    pub fn ok(self) -> Result<String, String> {
        if self.status == StatusCode::OK {
            Ok(self.text)
        } else {
            Err(format!("{}: {}", self.status, self.text))
        }
    }
}

/// The connector of this client, for libraries that need one.
pub fn connector() -> HttpConnector {
    HttpConnector::new()
}

/// Sends a request with these headers, and with a JSON body if there is one.
///
/// # Errors
///
/// A text that names the URL, if no complete response arrives within 30 s.
pub async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Answer, String> {
    let json = [headers, &[(CONTENT_TYPE.as_str(), "application/json")]].concat();
    match body {
        Some(body) => send_bytes(method, url, &json, body.to_string().into_bytes()).await,
        None => send_bytes(method, url, headers, Vec::new()).await,
    }
}

/// Sends a request with these headers and this body.
///
/// # Errors
///
/// As of [`send`].
pub async fn send_bytes(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Answer, String> {
    let request = Request::builder().method(method).uri(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(Cursor::new(body)));
    let exchange = async {
        let client = Client::builder(TokioExecutor::new()).build(connector());
        let answer = client.request(request.map_err(|error| error.to_string())?).await;
        let (head, body) = answer.map_err(|error| format!("{error:?}"))?.into_parts();
        let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let text = String::from_utf8(bytes.into()).map_err(|error| error.to_string())?;
        Ok(Answer { status: head.status, headers: head.headers, text })
    };
    let answer = tokio::time::timeout(LIMIT, exchange).await;
    answer
        .unwrap_or_else(|_| Err(format!("no response within {LIMIT:?}")))
        .map_err(|error: String| format!("{url}: {error}"))
}

/// As [`send`], for code that is not async. It may be called inside a runtime too.
///
/// # Errors
///
/// As of [`send`].
pub fn send_blocking(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Answer, String> {
    let exchange = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(send(method, url, headers, body))
    };
    thread::scope(|scope| scope.spawn(exchange).join()).expect("the client does not panic")
}
