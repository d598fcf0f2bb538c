//! [`Endpoint`] serves a handler at the path and method of its `#[utoipa::path]` attribute. Route and OpenAPI
//! entry therefore come from one place.

use actix_web::{
    FromRequest, Handler, HttpResponse, Responder,
    body::BoxBody,
    dev::{AppService, HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::{Method, header},
    middleware::{Next, from_fn},
    web::{Data, method, resource, to},
};
use tokio::{sync::Semaphore, time::timeout};
use utoipa::openapi::{HttpMethod, Paths, RefOr, Schema};
use utoipa_actix_web::OpenApiFactory;

use super::{
    handlers::QUERY_TIMEOUT,
    problem::{Problem, ProblemKind},
};

/// A handler and the documentation that `#[utoipa::path]` generated for it.
pub(super) struct Endpoint<D, H, A> {
    documentation: D,
    handler: H,
    /// Its response is a long list.
    is_list: bool,
    arguments: std::marker::PhantomData<fn() -> A>,
}

/// `documentation` is the unit struct that `#[utoipa::path]` generates beside a handler: `__path_health` for
/// `health`.
pub(super) fn endpoint<D, H, A>(documentation: D, handler: H) -> Endpoint<D, H, A> {
    Endpoint { documentation, handler, is_list: false, arguments: std::marker::PhantomData }
}

/// As [`endpoint`], for a handler whose response may be a long list: it waits for one of the permits in [`Lists`].
pub(super) fn list<D, H, A>(documentation: D, handler: H) -> Endpoint<D, H, A> {
    Endpoint { is_list: true, ..endpoint(documentation, handler) }
}

/// The permits for long lists, so that only a few of them are made and in memory at the same time.
pub(super) struct Lists(pub(super) std::sync::Arc<Semaphore>);

impl<D, H, A> HttpServiceFactory for Endpoint<D, H, A>
where
    D: utoipa::Path,
    H: Handler<A>,
    A: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    /// HEAD is served as GET; actix-web leaves out the body. OPTIONS gets the methods of the path, and any other method
    /// 405.
    fn register(self, config: &mut AppService) {
        let path = D::path();
        // A scope mounted at `/x` also serves its root at `/x`, without the slash.
        let resource = if path == "/" { resource(["", "/"]) } else { resource(path) };
        let mut methods: Vec<_> = D::methods().into_iter().map(actix_method).collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        let names: Vec<_> = methods.iter().map(Method::as_str).chain(["OPTIONS"]).collect();
        let allow = names.join(", ");
        let (handler, is_list) = (self.handler, self.is_list);
        methods
            .into_iter()
            .fold(resource, |resource, verb| resource.route(method(verb).to(handler.clone())))
            .default_service(to(move |verb: Method| std::future::ready(other_method(&verb, &allow))))
            .wrap(from_fn(move |request, next| with_permit(is_list, request, next)))
            .register(config);
    }
}

impl<D: OpenApiFactory, H, A> OpenApiFactory for Endpoint<D, H, A> {
    fn paths(&self) -> Paths {
        self.documentation.paths()
    }

    fn schemas(&self, schemas: &mut Vec<(String, RefOr<Schema>)>) {
        self.documentation.schemas(schemas);
    }
}

fn actix_method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}

fn other_method(method: &Method, allow: &str) -> Result<HttpResponse, Problem> {
    if method == Method::OPTIONS {
        Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish())
    } else {
        Err(Problem::method_not_allowed(allow))
    }
}

/// Calls the handler of a long list when it has a permit.
async fn with_permit(
    is_list: bool,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let permits = request.app_data::<Data<Lists>>().filter(|_| is_list).cloned();
    let permit = match &permits {
        None => None,
        Some(permits) => match timeout(QUERY_TIMEOUT, permits.0.acquire()).await {
            // The semaphore is never closed.
            Ok(permit) => permit.ok(),
            Err(_) => {
                let busy = Problem::new(ProblemKind::Busy, "too many lists are requested at the same time");
                return Ok(request.error_response(busy));
            }
        },
    };
    let response = next.call(request).await;
    drop(permit);
    response
}
