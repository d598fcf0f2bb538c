//! The live page: files compiled into the program, without a build step. Its content security policy permits requests to the
//! same origin only.

use actix_web::{
    Error, HttpRequest, HttpResponse,
    dev::{ServiceFactory, ServiceRequest},
    http::header,
};
use utoipa_actix_web::scope::Scope;

use crate::http::endpoint::endpoint;

/// Scripts, styles and requests of this origin only; no inline code, no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A live page that displays all of this
///
/// A request without the trailing slash is redirected, because the page refers to its files by relative
/// paths.
#[utoipa::path(
    get,
    path = "/",
    responses((status = 200, description = "The page", content_type = "text/html", body = String))
)]
pub(super) async fn page(request: HttpRequest) -> HttpResponse {
    if request.path().ends_with('/') {
        return file("text/html; charset=utf-8", include_str!("../page/index.html"));
    }
    let last = request.path().rsplit('/').next().unwrap_or_default();
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, format!("{last}/"))).finish()
}

/// Defines a handler for each of these files, and `add_files`, which adds them to a scope.
macro_rules! files {
    ($($name:ident $documentation:ident: $path:literal, $kind:literal;)*) => {
        $(
            /// A file of the page
            #[utoipa::path(
                get,
                path = $path,
                responses((status = 200, description = "The file", content_type = $kind, body = String))
            )]
            async fn $name() -> HttpResponse {
                file(concat!($kind, "; charset=utf-8"), include_str!(concat!("..", $path)))
            }
        )*

        /// Adds the files of the page to a scope.
        pub(super) fn add_files<T>(scope: Scope<T>) -> Scope<T>
        where
            T: ServiceFactory<ServiceRequest, Config = (), Error = Error, InitError = ()>,
        {
            scope$(.service(endpoint($documentation, $name)))*
        }
    };
}

files! {
    page_style __path_page_style: "/page/page.css", "text/css";
    page_script __path_page_script: "/page/page.js", "text/javascript";
    page_api __path_page_api: "/page/api.js", "text/javascript";
    page_details __path_page_details: "/page/details.js", "text/javascript";
    page_events __path_page_events: "/page/events.js", "text/javascript";
    page_graph __path_page_graph: "/page/graph.js", "text/javascript";
    page_lists __path_page_lists: "/page/lists.js", "text/javascript";
    page_rates __path_page_rates: "/page/rates.js", "text/javascript";
    page_text __path_page_text: "/page/text.js", "text/javascript";
    page_verdict __path_page_verdict: "/page/verdict.js", "text/javascript";
}

fn file(content_type: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(content)
}
