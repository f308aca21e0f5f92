//! `/api/`: Swagger UI with the OpenAPI document. Its files are compiled into the program, load nothing from other
//! servers and contain nothing inline, so that the security policy of pages applies.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use super::images;
use crate::error::Error;
use crate::routes::pages::CONTENT_SECURITY_POLICY;
use crate::routes::{conditional, extract};
use crate::state::AppState;
use crate::views::assets;

const INDEX: &str = "index.html";

/// Returns the routes of the page.
pub(crate) fn page_router() -> Router<AppState> {
    Router::new()
        .route("/api", get(add_slash))
        .route("/api/", get(serve_page))
        .route("/api/{file}", get(serve_file))
}

/// Redirects to the page, to which the addresses of its files are relative.
async fn add_slash() -> Redirect {
    // Relative, so that it holds below the path of `--url`.
    Redirect::permanent("api/")
}

async fn serve_page(headers: HeaderMap) -> Result<Response, Error> {
    respond(INDEX, &headers)
}

async fn serve_file(
    extract::Path(file): extract::Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    respond(&file, &headers)
}

/// A file of the page.
struct PageFile {
    media_type: HeaderValue,
    content: Bytes,
    tag: HeaderValue,
}

impl PageFile {
    fn new(media_type: &str, content: Bytes) -> anyhow::Result<Self> {
        Ok(Self {
            media_type: HeaderValue::from_str(media_type)?,
            tag: conditional::tag_of(&content)?,
            content,
        })
    }
}

static FILES: LazyLock<anyhow::Result<HashMap<String, PageFile>>> = LazyLock::new(page_files);

/// Returns all files of the page by name.
fn page_files() -> anyhow::Result<HashMap<String, PageFile>> {
    let style = swagger_ui("swagger-ui.css")?;
    let (style, images) = images::separate(std::str::from_utf8(&style)?)?;
    let icon = &*assets::ICON;
    let mut files = HashMap::new();
    for (name, media_type, content) in [
        (INDEX, "text/html; charset=utf-8", OWN_INDEX.into()),
        ("page.css", "text/css; charset=utf-8", OWN_STYLE.into()),
        (
            "page.js",
            "text/javascript; charset=utf-8",
            OWN_SCRIPT.into(),
        ),
        (icon.name, icon.media_type, icon.content.into()),
        ("swagger-ui.css", "text/css; charset=utf-8", style.into()),
        (
            "swagger-ui-bundle.js",
            "text/javascript; charset=utf-8",
            swagger_ui("swagger-ui-bundle.js")?,
        ),
    ] {
        files.insert(name.to_owned(), PageFile::new(media_type, content)?);
    }
    for image in images {
        let file = PageFile::new(image.media_type, image.content.into())?;
        files.insert(image.name, file);
    }
    Ok(files)
}

const OWN_INDEX: &[u8] = include_bytes!("../../../assets/api/index.html");
const OWN_STYLE: &[u8] = include_bytes!("../../../assets/api/page.css");
const OWN_SCRIPT: &[u8] = include_bytes!("../../../assets/api/page.js");

/// Returns a file of Swagger UI.
fn swagger_ui(name: &str) -> anyhow::Result<Bytes> {
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default()))
        .map_err(|error| anyhow::anyhow!("cannot read {name} of Swagger UI: {error}"))?;
    let file = file.with_context(|| format!("Swagger UI has no {name}"))?;
    Ok(match file.bytes {
        Cow::Borrowed(bytes) => bytes.into(),
        Cow::Owned(bytes) => bytes.into(),
    })
}

fn respond(name: &str, request: &HeaderMap) -> Result<Response, Error> {
    let files = FILES
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let file = files
        .get(name)
        .ok_or_else(|| Error::not_found(format!("`/api/{name}`")))?;
    let caching = [
        (header::ETAG, file.tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if conditional::has_tag(request, &file.tag) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, file.media_type.clone()),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
    ];
    Ok((caching, headers, file.content.clone()).into_response())
}
