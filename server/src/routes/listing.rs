//! `/repo/…/`: listings of repository folders, for browsers.

use askama::Template as _;
use axum::Router;
use axum::extract::{OriginalUri, RawPathParams, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use buildbtw_model::{Architecture, NamespaceName};

use super::pages::{html_response, links};
use crate::error::Error;
use crate::routes::{extract, public};
use crate::service::repository::folders::{self, Entry};
use crate::state::AppState;
use crate::views::listing::ListingPage;

/// Returns the routes of all folders.
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
        .route_layer(from_fn_with_state(state.clone(), public::limit_public))
}

/// Redirects to the address with a trailing slash, to which the links of a listing are relative.
async fn add_slash(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    parameters: RawPathParams,
) -> Result<Response, Error> {
    if let Some((_, name)) = parameters.iter().find(|(key, _)| *key == "name")
        && !folders::has_namespace(&state.database, name).await?
    {
        let what = format!("`{}`", uri.path());
        return Err(Error::not_found(what));
    }
    let location = format!("{}{}/", state.config.prefix, uri.path());
    let location = [(header::LOCATION, location)];
    Ok((StatusCode::PERMANENT_REDIRECT, location).into_response())
}

/// The result of a listing's handler. Errors are problems, as everywhere below `/repo`.
type Listing = Result<Response, Error>;

fn show(state: &AppState, folders: &[&str], entries: Vec<Entry>) -> Listing {
    let view = ListingPage::new(folders, entries, &links(state));
    let html = view.render().map_err(anyhow::Error::from)?;
    Ok(html_response(StatusCode::OK, html))
}

async fn list_namespaces(State(state): State<AppState>) -> Listing {
    let entries = folders::list_namespaces(&state.database).await?;
    show(&state, &[], entries)
}

async fn list_iterations(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Listing {
    let entries = folders::list_iterations(&state.database, &name).await?;
    show(&state, &[name.as_str()], entries)
}

async fn list_architectures(
    State(state): State<AppState>,
    extract::Path((name, number)): extract::Path<(NamespaceName, String)>,
) -> Listing {
    let entries = folders::list_architectures(&state.database, &name, &number).await?;
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
    let entries =
        folders::list_files(&state.database, &state.repos, &name, &number, &architecture).await?;
    let folders = [name.as_str(), &number, architecture.as_str()];
    show(&state, &folders, entries)
}
