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
use crate::routes::{conditional, extract};
use crate::serve::Peer;
use crate::service::repository::build_view::{self, Client, ViewFile};
use crate::service::repository::{
    self, DatabaseFile, RepositoryFile, RequestedFile, ServedPackage,
};
use crate::state::AppState;

pub(crate) async fn serve_file(
    State(state): State<AppState>,
    extract::Path((namespace, iteration, architecture, file)): extract::Path<(
        NamespaceName,
        String,
        Architecture,
        String,
    )>,
    request: Request,
) -> Result<Response, Error> {
    let requested = RequestedFile {
        namespace,
        iteration,
        architecture,
        file,
    };
    match repository::find_file(state.repository_parts(), &requested).await? {
        RepositoryFile::Database(database) => serve_changing(&database, request).await,
        RepositoryFile::EmptyDatabase(content) => Ok(empty_database(content)),
        RepositoryFile::Package(package) => serve_package(&package, request).await,
    }
}

/// Serves the view of one build: the packages of the builds that it needs, and nothing else of its
/// iteration.
pub(crate) async fn serve_build_view(
    State(state): State<AppState>,
    extract::Path((namespace, iteration, architecture, build, file)): extract::Path<(
        NamespaceName,
        String,
        Architecture,
        BuildId,
        String,
    )>,
    request: Request,
) -> Result<Response, Error> {
    let requested = RequestedFile {
        namespace,
        iteration,
        architecture,
        file,
    };
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>();
    let client = Client {
        is_known: peer.is_none_or(|Peer(peer)| state.admission.has_authenticated(peer.ip())),
        has: &|version| etag(version).is_ok_and(|tag| conditional::has_tag(headers, &tag)),
    };
    let found = build_view::find_file(state.repository_parts(), &requested, build, &client).await?;
    match found {
        ViewFile::Database(database) => serve_changing(&database, request).await,
        ViewFile::Unchanged(version) => Ok(not_modified(etag(&version)?)),
        ViewFile::Package(package) => serve_package(&package, request).await,
    }
}

/// Returns the tag of the content with this version.
fn etag(version: &str) -> Result<HeaderValue, Error> {
    let tag = HeaderValue::from_str(&format!("\"{version}\""));
    Ok(tag.map_err(anyhow::Error::from)?)
}

fn not_modified(tag: HeaderValue) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
}

/// Serves a file whose content changes.
async fn serve_changing(database: &DatabaseFile, request: Request) -> Result<Response, Error> {
    let mut response = serve(&database.path, &database.version, request).await?;
    // Times have a resolution of one second, within which a database can change twice. Without this header
    // pacman fetches it again instead of considering it unchanged.
    response.headers_mut().remove(header::LAST_MODIFIED);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn empty_database(content: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

async fn serve_package(package: &ServedPackage, request: Request) -> Result<Response, Error> {
    let mut response = serve(&package.path, package.sha256.as_str(), request).await?;
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
async fn serve(path: &Path, version: &str, mut request: Request) -> Result<Response, Error> {
    let tag = etag(version)?;
    if conditional::has_tag(request.headers(), &tag) {
        return Ok(not_modified(tag));
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
    let status = response.status();
    if status == StatusCode::NOT_FOUND || status.is_server_error() {
        // The service is silent about the cause, and hides files that it must not read.
        return Err(repository::unreadable(path).await);
    }
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}
