//! The live page: three files compiled into the program. Its content security policy permits requests to the
//! same origin only.

use actix_web::{HttpRequest, HttpResponse, http::header};

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

/// The page's script
#[utoipa::path(
    get,
    path = "/page.js",
    responses((status = 200, description = "The script", content_type = "text/javascript", body = String))
)]
pub(super) async fn script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("../page/page.js"))
}

/// The page's stylesheet
#[utoipa::path(
    get,
    path = "/page.css",
    responses((status = 200, description = "The stylesheet", content_type = "text/css", body = String))
)]
pub(super) async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("../page/page.css"))
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
