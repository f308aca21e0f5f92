//! `/repo/…/`: what lies in the folders of repositories, for people.

use std::path::Path;

use askama::Template as _;
use axum::Router;
use axum::extract::{OriginalUri, RawPathParams, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use buildbtw_model::{Architecture, NamespaceName, PackageFileName};
use jiff::Timestamp;

use super::pages::{html_response, links};
use super::repository::find_iteration;
use crate::db::{iterations, namespaces};
use crate::error::Error;
use crate::repos::RepositoryKey;
use crate::routes::{extract, public};
use crate::service::read::find;
use crate::state::AppState;
use crate::views::listing::{Entry, ListingPage};

/// The routes of all folders.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    Router::new()
        .route("/repo", get(add_slash))
        .route("/repo/", get(list_namespaces))
        .route("/repo/{name}", get(add_slash))
        .route("/repo/{name}/", get(list_iterations))
        .route("/repo/{name}/{iteration}", get(add_slash))
        .route("/repo/{name}/{iteration}/", get(list_architectures))
        .route("/repo/{name}/{iteration}/{architecture}", get(add_slash))
        .route("/repo/{name}/{iteration}/{architecture}/", get(list_files))
        .route_layer(from_fn_with_state(state.clone(), public::in_turn))
}

/// Sends a client to the listing of a folder: without the slash, a relative address would lead
/// elsewhere.
async fn add_slash(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    parameters: RawPathParams,
) -> Result<Response, Error> {
    if let Some((_, name)) = parameters.iter().find(|(key, _)| *key == "name") {
        let name = name.parse::<NamespaceName>().ok();
        let found = match &name {
            Some(name) => namespaces::by_name(state.database.read(), name).await?,
            None => None,
        };
        if found.is_none() {
            return Err(Error::not_found(format!(
                "page or resource at {}",
                uri.path()
            )));
        }
    }
    let location = format!("{}{}/", state.config.prefix, uri.path());
    let location = [(header::LOCATION, location)];
    Ok((StatusCode::PERMANENT_REDIRECT, location).into_response())
}

/// What a handler of a listing answers with. Its errors are for programs, like all below `/repo`.
type Listing = Result<Response, Error>;

fn show(state: &AppState, folders: &[&str], entries: Vec<Entry>) -> Listing {
    let view = ListingPage::new(folders, entries, &links(state));
    let html = view.render().map_err(anyhow::Error::from)?;
    Ok(html_response(StatusCode::OK, html))
}

async fn list_namespaces(State(state): State<AppState>) -> Listing {
    let mut rows = namespaces::all(state.database.read()).await?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let entries = rows.into_iter().map(|row| {
        let created = row.created_at.into();
        Entry::folder(row.name.to_string(), Some(created))
    });
    show(&state, &[], entries.collect())
}

async fn list_iterations(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Listing {
    let namespace = find::find_namespace(&state.database, &name).await?;
    let rows = iterations::of_namespace(state.database.read(), namespace.id).await?;
    let changed = |row: &iterations::IterationRow| row.finished_at.unwrap_or(row.created_at).into();
    let is_done =
        |row: &&iterations::IterationRow| row.status == buildbtw_model::IterationStatus::Done;
    // The newest comes first.
    let newest = rows.first();
    let done = rows.iter().find(is_done);
    let named = [("current", newest), ("latest", done)];
    let named = named
        .into_iter()
        .filter_map(|(name, row)| Some(Entry::folder(name.to_owned(), Some(changed(row?)))));
    let numbered = rows
        .iter()
        .rev()
        .map(|row| Entry::folder(row.number.to_string(), Some(changed(row))));
    let entries = named.chain(numbered).collect();
    show(&state, &[name.as_str()], entries)
}

async fn list_architectures(
    State(state): State<AppState>,
    extract::Path((name, number)): extract::Path<(NamespaceName, String)>,
) -> Listing {
    let iteration = find_iteration(&state, &name, &number).await?;
    let counts = iterations::counts(state.database.read(), iteration.id).await?;
    let mut entries: Vec<Entry> = counts
        .into_iter()
        .map(|(architecture, _)| Entry::folder(architecture.to_string(), None))
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    show(&state, &[name.as_str(), &number], entries)
}

async fn list_files(
    State(state): State<AppState>,
    extract::Path((name, number, architecture)): extract::Path<(
        NamespaceName,
        String,
        Architecture,
    )>,
) -> Listing {
    let iteration = find_iteration(&state, &name, &number).await?;
    let counts = iterations::counts(state.database.read(), iteration.id).await?;
    if !counts.iter().any(|(known, _)| *known == architecture) {
        let what = format!("repository for {architecture} in iteration {number} of '{name}'");
        return Err(Error::not_found(what));
    }
    let key = RepositoryKey {
        namespace: name.clone(),
        iteration: iteration.number,
        architecture: architecture.clone(),
    };
    let folder = state.repos.folder(&key);
    let databases = [".db", ".files"].map(|end| format!("{name}{end}"));
    let entries = tokio::task::spawn_blocking(move || files(&folder, databases)).await??;
    show(
        &state,
        &[name.as_str(), &number, architecture.as_str()],
        entries,
    )
}

/// The databases, which are served even before there are any, and the packages of a repository.
fn files(folder: &Path, databases: [String; 2]) -> std::io::Result<Vec<Entry>> {
    let mut packages = Vec::new();
    let mut found = Vec::new();
    match fs_err::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        listed => {
            for entry in listed? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let is_database = databases.contains(&name);
                if !is_database && name.parse::<PackageFileName>().is_err() {
                    continue;
                }
                let metadata = entry.metadata()?;
                let modified = Timestamp::try_from(metadata.modified()?).ok();
                let file = Entry::file(name, Some(metadata.len()), modified);
                if is_database {
                    found.push(file);
                } else {
                    packages.push(file);
                }
            }
        }
    }
    for name in databases {
        if !found.iter().any(|file| file.name == name) {
            found.push(Entry::file(name, None, None));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    found.append(&mut packages);
    Ok(found)
}
