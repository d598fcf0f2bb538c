//! The live page: three files that are part of the program. It asks the paths beside it, and nobody else:
//! its policy lets it do nothing more.

use actix_web::{HttpRequest, HttpResponse, http::header};

/// Scripts, styles and answers of this origin only; nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Below a path of the application's own it is found at that path with a slash: its files are beside it.
pub(super) async fn page(request: HttpRequest) -> HttpResponse {
    if request.path().ends_with('/') {
        return file("text/html; charset=utf-8", include_str!("page/index.html"));
    }
    let last = request.path().rsplit('/').next().unwrap_or_default();
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, format!("{last}/"))).finish()
}

pub(super) async fn script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

pub(super) async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("page/page.css"))
}

fn file(kind: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(content)
}
