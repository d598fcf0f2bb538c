//! Paged lists: the queries `limit` and `after`, and the `Link` header that names the next page.

use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error as _};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::{
    identifier::{self, Identifier},
    problem::Problem,
};
use crate::{Page, PageOf, network::Key};

const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;
/// A page also ends when its items contain this many entries, such as the peers of its topics.
const MAX_ENTRIES: usize = 50_000;

/// Declares the query of a paged list: `limit`, `after` and the parameters of its own. Other parameters are
/// refused.
macro_rules! page_query {
    ($(#[$attribute:meta])* $name:ident { $($(#[$field_attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(in $crate::http) struct $name {
            /// The maximum number of items, 1 to 10,000. Default: 1,000.
            #[param(minimum = 1, maximum = 10_000)]
            limit: Option<usize>,
            /// The identifier of the last item of the previous page.
            after: Option<String>,
            $($(#[$field_attribute])* pub(in $crate::http) $field: $type,)*
        }

        impl $name {
            /// The page asked for; `kind` is what `after` identifies.
            pub(in $crate::http) fn page<K: $crate::network::Key + serde::de::DeserializeOwned>(
                &self,
                kind: &str,
            ) -> Result<$crate::Page<K>, $crate::http::problem::Problem> {
                $crate::http::paging::page(kind, self.limit, self.after.as_deref())
            }
        }
    };
}
pub(super) use page_query;

page_query! {
    /// The query of a paged list without parameters of its own.
    PageQuery {}
}

pub(super) fn page<K: Key + DeserializeOwned>(
    kind: &str,
    limit: Option<usize>,
    after: Option<&str>,
) -> Result<Page<K>, Problem> {
    let limit = check_limit(limit)?;
    let after = after.map(|text| identifier::parse(kind, text)).transpose()?;
    Ok(Page { after, limit, max_entries: MAX_ENTRIES })
}

/// The requested number of items, or the default.
pub(super) fn check_limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        limit => Err(Problem::bad_request(format!("limit = {limit}: must be from 1 to {MAX_LIMIT}"))),
    }
}

/// Reads a parameter that is true if it is present without a value, as in `?all`.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(D::Error::custom("must be true, false or empty")),
    }
}

/// The schema of a [`flag`].
pub(super) fn flag_schema() -> Object {
    let values = ["", "true", "false"].map(Value::from);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).build()
}

/// A page of a list as JSON. `identify` names an item for the `after` of the next page.
pub(super) fn respond<T, R: Serialize>(
    request: &HttpRequest,
    listing: PageOf<T>,
    identify: impl Fn(&T) -> Identifier,
    convert: impl Fn(T) -> R,
) -> HttpResponse {
    let PageOf { items, more } = listing;
    let mut response = HttpResponse::Ok();
    if let Some(last) = items.last().filter(|_| more) {
        response.insert_header(next_page(request, &identify(last)));
    }
    response.json(items.into_iter().map(convert).collect::<Vec<_>>())
}

/// The `Link` header of the page that follows the item `last`: the query of `request` with another `after`.
pub(super) fn next_page(request: &HttpRequest, last: &Identifier) -> (header::HeaderName, String) {
    let after = format!("after={}", identifier::percent_encode(&last.text()));
    let parameters = request.query_string().split('&');
    let parameters = parameters.filter(|one| !one.is_empty() && !one.starts_with("after="));
    let query: Vec<_> = parameters.chain([after.as_str()]).collect();
    (header::LINK, format!("<?{}>; rel=\"next\"", query.join("&")))
}
