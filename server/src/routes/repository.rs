//! `/repo`: pacman repositories. `current` is the newest iteration, `latest` the newest one that is done;
//! below `builds/<number>` is the view of one build.

use std::path::Path;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Architecture, BuildId, NamespaceName};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use crate::error::Error;
use crate::repos::database::render;
use crate::routes::{conditional, extract};
use crate::serve::Peer;
use crate::service::repository::build_view::{self, ViewFile};
use crate::service::repository::{self, PackageFile, RepositoryFile};
use crate::state::AppState;

pub(crate) async fn serve_file(
    State(state): State<AppState>,
    extract::Path((name, iteration, architecture, file)): extract::Path<(
        NamespaceName,
        String,
        Architecture,
        String,
    )>,
    request: Request,
) -> Result<Response, Error> {
    match repository::find_file(&state, name, &iteration, architecture, &file).await? {
        RepositoryFile::Database(path) => serve_database(&path, request).await,
        RepositoryFile::Package(package) => serve_package(&package, request).await,
    }
}

/// Serves the view of one build: the packages of the builds that it needs, and nothing else of its
/// iteration.
pub(crate) async fn serve_build_view(
    State(state): State<AppState>,
    extract::Path((name, iteration, architecture, build, file)): extract::Path<(
        NamespaceName,
        String,
        Architecture,
        BuildId,
        String,
    )>,
    request: Request,
) -> Result<Response, Error> {
    let found = build_view::find_file(&state, name, &iteration, architecture, build, &file);
    let database = match found.await? {
        ViewFile::Database(database) => database,
        ViewFile::Package(package) => return serve_package(&package, request).await,
    };
    let tag = format!("\"{}\"", database.digest());
    let etag = HeaderValue::from_str(&tag).map_err(anyhow::Error::from)?;
    if conditional::has_tag(request.headers(), &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let peer = request.extensions().get::<Peer>();
    let is_known = peer.is_none_or(|Peer(peer)| state.admission.has_authenticated(peer.ip()));
    let path = database.render(&state, is_known).await?;
    serve_changing(&path, &tag, request).await
}

async fn serve_database(path: &Path, request: Request) -> Result<Response, Error> {
    let metadata = match fs_err::tokio::metadata(path).await {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Nothing is built yet: pacman accepts an empty database.
            return Ok(database_response(Body::from(render([])?)));
        }
        Err(error) => return Err(error.into()),
    };
    let written = metadata
        .modified()?
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    // Two versions may have the same time and size, but they are different files.
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    let tag = format!(
        "\"{:x}-{inode:x}-{:x}\"",
        written.as_nanos(),
        metadata.len()
    );
    serve_changing(path, &tag, request).await
}

/// Serves a file whose content changes.
async fn serve_changing(path: &Path, tag: &str, request: Request) -> Result<Response, Error> {
    let mut response = serve(path, tag, request).await?;
    // Times have a resolution of one second, within which a database can change twice. Without this header
    // pacman fetches it again instead of considering it unchanged.
    response.headers_mut().remove(header::LAST_MODIFIED);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn database_response(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

async fn serve_package(package: &PackageFile, request: Request) -> Result<Response, Error> {
    let tag = format!("\"{}\"", package.sha256);
    let mut response = serve(&package.path, &tag, request).await?;
    let caching = if package.may_change {
        "no-cache"
    } else {
        "public, max-age=31536000, immutable"
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

/// Serves a file with ranges and conditional requests.
async fn serve(path: &Path, tag: &str, mut request: Request) -> Result<Response, Error> {
    let tag = HeaderValue::from_str(tag).map_err(anyhow::Error::from)?;
    if conditional::has_tag(request.headers(), &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    if !conditional::range_applies(request.method(), request.headers(), Some(&tag)) {
        request.headers_mut().remove(header::RANGE);
    }
    request.headers_mut().remove(header::IF_MODIFIED_SINCE);
    request.headers_mut().remove(header::IF_UNMODIFIED_SINCE);
    let service = ServeFile::new_with_mime(
        path,
        &"application/octet-stream"
            .parse()
            .map_err(|_| Error::refused(ProblemKind::Internal, "media type"))?,
    );
    let served = service.oneshot(request).await;
    let mut response = match served {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}
