//! `/assets`: style, script and icon of pages.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::{PageError, PageResult};
use crate::error::Error;
use crate::routes::{conditional, extract};
use crate::views::assets;

pub(crate) async fn serve_asset(
    path: Result<extract::Path<(String, String)>, Error>,
    headers: axum::http::HeaderMap,
) -> PageResult {
    let extract::Path((hash, name)) = path?;
    let asset = assets::find(&name).ok_or_else(|| PageError::from(unknown_asset(&name)))?;
    let tag = format!("\"{}\"", asset.hash);
    // A page of another version of the program gets the current file, but must not cache it.
    let cache = if hash == asset.hash {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let tag = HeaderValue::from_str(&tag).map_err(|error| Error::Internal(error.into()))?;
    let known = conditional::has_tag(&headers, &tag);
    let caching = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    let response: Response = if known {
        (StatusCode::NOT_MODIFIED, caching).into_response()
    } else {
        let media_type = [(header::CONTENT_TYPE, asset.media_type)];
        (caching, media_type, asset.content).into_response()
    };
    Ok(response)
}

fn unknown_asset(name: &str) -> Error {
    Error::not_found(format!("asset `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn refusal_matches_snapshot() {
        let text = testing::refusals([("unknown asset", unknown_asset("other.css"))]);
        insta::assert_snapshot!(text);
    }
}
