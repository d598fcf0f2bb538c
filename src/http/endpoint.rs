//! [`Endpoint`] serves a handler at the path and method of its `#[utoipa::path]` attribute. Route and OpenAPI
//! entry therefore come from one place.

use actix_web::{
    FromRequest, Handler, HttpResponse, Responder,
    dev::{AppService, HttpServiceFactory},
    http::{Method, header},
    web::{method, resource, to},
};
use utoipa::openapi::{HttpMethod, Paths, RefOr, Schema};
use utoipa_actix_web::OpenApiFactory;

use super::problem::Problem;

/// A handler and the documentation that `#[utoipa::path]` generated for it.
pub(super) struct Endpoint<D, H, A> {
    documentation: D,
    handler: H,
    arguments: std::marker::PhantomData<fn() -> A>,
}

/// `documentation` is the unit struct that `#[utoipa::path]` generates beside a handler: `__path_health` for
/// `health`.
pub(super) fn endpoint<D, H, A>(documentation: D, handler: H) -> Endpoint<D, H, A> {
    Endpoint { documentation, handler, arguments: std::marker::PhantomData }
}

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
        let handler = self.handler;
        methods
            .into_iter()
            .fold(resource, |resource, verb| resource.route(method(verb).to(handler.clone())))
            .default_service(to(move |verb: Method| std::future::ready(other_method(&verb, &allow))))
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
