//! Which requests a scope answers, by their headers `Host`, `Origin` and `Sec-Fetch-Site`. Without this check a web page could read and
//! use the API: under a host name of its own that resolves to this address (DNS rebinding), or from its own origin (cross-site
//! request forgery).

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    Scope,
    body::BoxBody,
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        Uri,
        header::{HOST, HeaderMap, HeaderName, ORIGIN},
        uri::Authority,
    },
    middleware::{Next, from_fn},
    web::{Data, scope},
};

use super::problem::{Problem, ProblemKind};

/// The host names to which a scope answers. IP addresses and `localhost` are always among them: nobody can let these
/// resolve to another address. The default has no other name.
///
/// Whatever the names are, a request from a web page must come from a page of the same host: with a header `Origin` of
/// another host it is answered with 403, and so it is if the browser says by `Sec-Fetch-Site` that a page of another origin
/// includes the answer, such as an image, and does not open it. Browsers send that header to loopback and over TLS only.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: Arc<[String]>,
    any: bool,
}

impl Hosts {
    /// IP addresses, `localhost`, and these names. Write them without a port.
    pub fn named(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(|name| name.into().to_ascii_lowercase()).collect();
        Self { names, any: false }
    }

    /// Any name, for a server that a proxy protects, or that everyone may read.
    pub fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    fn answers(&self, authority: &str) -> bool {
        let name = name_of(authority);
        self.any
            || name.eq_ignore_ascii_case("localhost")
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || self.names.iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// Checks the headers of a request. HTTP/2 has the host in the URI.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let authority = || uri.authority().map(Authority::as_str);
        let host = text(headers, &HOST).or_else(authority).unwrap_or_default();
        if !self.answers(host) {
            let message = format!("this server does not answer to the host name {:?}", name_of(host));
            return Err(Problem::new(ProblemKind::UnknownHost, message));
        }
        if is_foreign(host, headers) {
            return Err(Problem::new(
                ProblemKind::ForeignOrigin,
                "a page of another origin sent this request",
            ));
        }
        Ok(())
    }
}

/// Whether a page of another origin than this host sent the request, as far as its browser says so.
fn is_foreign(host: &str, headers: &HeaderMap) -> bool {
    if let Some(origin) = headers.get(ORIGIN) {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        return !authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    }
    // A GET for an image, a script or a style has no `Origin`. A link may lead here from anywhere.
    let fetch = |name| text(headers, &HeaderName::from_static(name));
    matches!(fetch("sec-fetch-site"), Some("cross-site" | "same-site"))
        && fetch("sec-fetch-mode") != Some("navigate")
}

/// Adds to a scope of this module the names to which it answers: `answer_to(scope(worker, render),
/// Hosts::named(["gossip.example.org"]))`.
pub fn answer_to(scope: Scope, hosts: Hosts) -> Scope {
    scope.app_data(Data::new(hosts))
}

/// A scope below `prefix` that serves `endpoints` to the requests that its [`Hosts`] permit.
pub(super) fn checked(prefix: &str, endpoints: impl HttpServiceFactory + 'static) -> Scope {
    scope(prefix).service(scope("").wrap(from_fn(check)).service(endpoints))
}

async fn check(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let default = Hosts::default();
    let hosts = request.app_data::<Data<Hosts>>().map_or(&default, |hosts| hosts);
    match hosts.check(request.uri(), request.headers()) {
        Ok(()) => next.call(request).await,
        Err(problem) => Ok(request.error_response(problem)),
    }
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The host of `host:port`; that of an IPv6 address has its brackets.
fn name_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn status(hosts: &Hosts, host: &str, origin: Option<&str>) -> Option<ProblemKind> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        hosts.check(&Uri::from_static("/"), &headers).err().map(|problem| problem.error)
    }

    #[test]
    fn names_that_anyone_can_let_resolve_to_us_are_refused() {
        let default = Hosts::default();
        for host in ["localhost", "LOCALHOST:9898", "127.0.0.1", "192.0.2.7:80", "[::1]", "[::1]:9898"] {
            assert_eq!(status(&default, host, None), None, "{host}");
        }
        for host in [
            "example.org",
            "example.org:9898",
            "localhost.example.org",
            "",
            "[::1].example.org",
            "127.0.0.1.nip.io",
        ] {
            assert_eq!(status(&default, host, None), Some(ProblemKind::UnknownHost), "{host}");
        }
        let named = Hosts::named(["Gossip.example.org"]);
        assert_eq!(status(&named, "gossip.Example.org:443", None), None);
        assert_eq!(status(&named, "localhost", None), None);
        assert_eq!(status(&named, "example.org", None), Some(ProblemKind::UnknownHost));
        assert_eq!(status(&Hosts::any(), "example.org", None), None);
    }

    #[test]
    fn what_a_foreign_page_includes_is_refused_and_what_it_links_to_is_not() {
        let status = |site, mode| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", "localhost"), ("sec-fetch-site", site), ("sec-fetch-mode", mode)] {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            Hosts::default().check(&Uri::from_static("/"), &headers).err().map(|problem| problem.error)
        };
        for site in ["cross-site", "same-site"] {
            for mode in ["no-cors", "cors", "websocket", ""] {
                assert_eq!(status(site, mode), Some(ProblemKind::ForeignOrigin), "{site} {mode}");
            }
            assert_eq!(status(site, "navigate"), None, "{site}");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(status(site, "no-cors"), None, "{site}");
        }
    }

    #[test]
    fn requests_of_foreign_pages_are_refused() {
        for hosts in [Hosts::default(), Hosts::any()] {
            assert_eq!(status(&hosts, "localhost:9898", Some("http://localhost:9898")), None);
            for origin in ["http://localhost:9899", "https://example.org", "null", "localhost:9898", ""] {
                let found = status(&hosts, "localhost:9898", Some(origin));
                assert_eq!(found, Some(ProblemKind::ForeignOrigin), "{origin}");
            }
        }
    }
}
