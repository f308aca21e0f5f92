//! `/repo`: pacman repositories. The newest iteration is `current`, the newest complete one
//! `latest`; below `builds/<number>` lies what one build sees of its iteration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{
    Architecture, AttemptId, BuildId, NamespaceName, PackageFileName, Sha256Digest,
};
use sha2::Digest as _;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use crate::db::iterations::{self, IterationRow};
use crate::db::packages::{self, Candidate};
use crate::db::{builds, retired_packages};
use crate::error::Error;
use crate::repos::database::{Entry, render};
use crate::repos::{Rendering, RepositoryKey, Turn};
use crate::routes::{conditional, extract};
use crate::serve::Peer;
use crate::service::publish::file_lists::{self, listed};
use crate::service::read::find;
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
    let place = Place::find(&state, &name, &iteration).await?;
    let key = RepositoryKey {
        namespace: name,
        iteration: place.iteration.number,
        architecture,
    };
    let Some(kind) = DatabaseFile::parse(&file, &key.namespace) else {
        return serve_package(&state, &key, &place, &file, request).await;
    };
    if kind == DatabaseFile::WithFiles {
        file_lists::update(&state, &key, place.iteration.id).await?;
    }
    serve_database(&state, &key, &file, request).await
}

/// What one build sees: the packages of the builds it needs, and nothing else of its iteration.
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
    let place = Place::find(&state, &name, &iteration).await?;
    let iteration = &place.iteration;
    let row = builds::by_id(state.database.read(), build)
        .await?
        .filter(|row| row.iteration_id == iteration.id && row.architecture == architecture)
        .ok_or_else(|| Error::not_found(format!("build {build} in this repository")))?;
    let key = RepositoryKey {
        namespace: name,
        iteration: iteration.number,
        architecture,
    };
    let Some(kind) = DatabaseFile::parse(&file, &key.namespace) else {
        return serve_package(&state, &key, &place, &file, request).await;
    };
    let rows = packages::of_ancestors(state.database.read(), row.id).await?;
    let digest = view_tag(&rows, kind);
    let tag = format!("\"{digest}\"");
    let etag = HeaderValue::from_str(&tag).map_err(anyhow::Error::from)?;
    if conditional::has_tag(request.headers(), &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let peer = request.extensions().get::<Peer>();
    let is_known = peer.is_none_or(|Peer(peer)| state.admission.is_known(peer.ip()));
    let path = rendered_view(&state, &digest, rows, kind, is_known).await?;
    serve_changing(&path, &tag, request).await
}

/// The database of a view on disk, where whoever reads it slowly holds no memory.
async fn rendered_view(
    state: &AppState,
    digest: &Sha256Digest,
    rows: Vec<Candidate>,
    kind: DatabaseFile,
    is_known: bool,
) -> Result<PathBuf, Error> {
    if let Some(path) = state.repos.rendered(digest) {
        return Ok(path);
    }
    // No build needs lists of files.
    let what = match kind {
        DatabaseFile::WithFiles => Rendering::PublicFileLists,
        DatabaseFile::Plain if is_known => Rendering::Database,
        DatabaseFile::Plain => Rendering::PublicDatabase,
    };
    let turn = state.repos.turn_to_render(what).await?;
    // Whoever had the turn before may have wanted the same.
    if let Some(path) = state.repos.rendered(digest) {
        return Ok(path);
    }
    let rendered = render_view(state, &rows, kind, turn).await?;
    let (repos, digest) = (state.repos.clone(), digest.clone());
    Ok(tokio::task::spawn_blocking(move || repos.keep_rendered(&digest, &rendered)).await??)
}

/// The tag of a database with these packages, which says what it holds without rendering it.
fn view_tag(rows: &[Candidate], kind: DatabaseFile) -> Sha256Digest {
    let mut hasher = sha2::Sha256::new();
    // Another version may write the same entries in other bytes.
    hasher.update(concat!(env!("CARGO_PKG_VERSION"), "\n"));
    hasher.update(match kind {
        DatabaseFile::Plain => "db\n",
        DatabaseFile::WithFiles => "files\n",
    });
    for row in listed(rows) {
        hasher.update(format!("{} {}\n", row.file_name, row.sha256));
    }
    Sha256Digest::from_bytes(&hasher.finalize().into())
}

async fn render_view(
    state: &AppState,
    rows: &[Candidate],
    kind: DatabaseFile,
    turn: Turn,
) -> Result<Vec<u8>, Error> {
    let shown = listed(rows);
    if kind == DatabaseFile::WithFiles {
        return file_lists::with_files(&state.database, shown, turn).await;
    }
    let attempts: BTreeSet<AttemptId> = shown.iter().map(|row| row.attempt).collect();
    let attempts: Vec<AttemptId> = attempts.into_iter().collect();
    let listed = packages::of_attempts(state.database.read(), &attempts).await?;
    let shown: BTreeSet<(AttemptId, PackageFileName)> = shown
        .into_iter()
        .map(|row| (row.attempt, row.file_name.clone()))
        .collect();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut listed: Vec<_> = listed
            .iter()
            .filter(|(attempt, file, _)| shown.contains(&(*attempt, file.clone())))
            .map(|(_, _, listing)| listing)
            .collect();
        listed.sort_by(|one, other| one.pkgname.cmp(&other.pkgname));
        let entries = listed.into_iter().map(|listing| Entry {
            name: &listing.pkgname,
            version: &listing.version,
            desc: &listing.desc_entry,
            files: None,
        });
        Ok(render(entries)?)
    })
    .await?
}

/// An iteration, and whether its address will lead to another one later.
struct Place {
    iteration: IterationRow,
    is_alias: bool,
}

impl Place {
    async fn find(state: &AppState, name: &NamespaceName, text: &str) -> Result<Self, Error> {
        Ok(Self {
            iteration: find_iteration(state, name, text).await?,
            is_alias: matches!(text, "current" | "latest"),
        })
    }
}

/// Which database a file name asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DatabaseFile {
    Plain,
    WithFiles,
}

impl DatabaseFile {
    fn parse(file: &str, namespace: &NamespaceName) -> Option<Self> {
        match file.strip_prefix(namespace.as_str())? {
            ".db" => Some(Self::Plain),
            ".files" => Some(Self::WithFiles),
            _ => None,
        }
    }
}

pub(super) async fn find_iteration(
    state: &AppState,
    name: &NamespaceName,
    text: &str,
) -> Result<IterationRow, Error> {
    let namespace = find::find_namespace(&state.database, name).await?.id;
    let reader = state.database.read();
    let found = match text {
        "current" => iterations::newest(reader, namespace).await?,
        "latest" => iterations::newest_done(reader, namespace).await?,
        number => match number.parse() {
            Ok(number) => iterations::by_number(reader, namespace, number).await?,
            Err(_) => None,
        },
    };
    found.ok_or_else(|| match text {
        "latest" => Error::not_found(format!("complete iteration of namespace '{name}' yet")),
        text => Error::not_found(format!("iteration '{text}' of namespace '{name}'")),
    })
}

async fn serve_database(
    state: &AppState,
    key: &RepositoryKey,
    file: &str,
    request: Request,
) -> Result<Response, Error> {
    if !state.config.architectures.contains(&key.architecture) {
        return Err(Error::not_found(format!(
            "repository for {}",
            key.architecture
        )));
    }
    let path = state.repos.folder(key).join(file);
    let metadata = match fs_err::tokio::metadata(&path).await {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Nothing is built yet: pacman takes an empty database.
            return Ok(database_response(Body::from(render([])?)));
        }
        Err(error) => return Err(error.into()),
    };
    let written = metadata
        .modified()?
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    // The kernel's clock ticks slowly enough for two databases of one size; they are two files.
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    let tag = format!(
        "\"{:x}-{inode:x}-{:x}\"",
        written.as_nanos(),
        metadata.len()
    );
    serve_changing(&path, &tag, request).await
}

/// Serves a file whose address may lead to other bytes later.
async fn serve_changing(path: &Path, tag: &str, request: Request) -> Result<Response, Error> {
    let mut response = serve(path, tag, request).await?;
    // Times have a resolution of one second, in which a database can change more than once. Without
    // this header pacman fetches it anew instead of believing that it is unchanged.
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

async fn serve_package(
    state: &AppState,
    key: &RepositoryKey,
    place: &Place,
    file: &str,
    request: Request,
) -> Result<Response, Error> {
    let not_found = || Error::not_found(format!("file '{file}' in this repository"));
    let name: PackageFileName = file.parse().map_err(|_| not_found())?;
    let path = state.repos.folder(key).join(name.as_str());
    let reader = state.database.read();
    let (iteration, architecture) = (place.iteration.id, &key.architecture);
    let served = retired_packages::served(reader, iteration, architecture, &name).await?;
    let Some(served) = served else {
        return Err(not_found());
    };
    if !fs_err::tokio::try_exists(&path).await? {
        return Err(not_found());
    }
    let mut response = serve(&path, &format!("\"{}\"", served.sha256), request).await?;
    // Plans give a name to other bytes only where the PKGBUILD itself decides about the version.
    let may_change = place.is_alias || served.is_successor;
    let caching = if may_change {
        "no-cache"
    } else {
        "public, max-age=31536000, immutable"
    };
    let caching = HeaderValue::from_static(caching);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, caching);
    Ok(response)
}

/// Serves a file with ranges, and `304` to whoever has it already.
async fn serve(path: &Path, tag: &str, mut request: Request) -> Result<Response, Error> {
    let tag = HeaderValue::from_str(tag).map_err(anyhow::Error::from)?;
    if conditional::has_tag(request.headers(), &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    if !conditional::may_be_part(request.method(), request.headers(), Some(&tag)) {
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
