//! `/namespaces` and `/plans`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use buildbtw_model::NamespaceName;
use buildbtw_model::api::{
    CreateNamespace, NamespaceDetail, NamespaceSummary, Page, PlanDocument, PlanFormat, PlanPreview,
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::address::BaseUrl;
use crate::auth::Identity;
use crate::error::Error;
use crate::routes::{bodies, extract};
use crate::serve::Peer;
use crate::service::create_namespace;
use crate::service::preview_plan;
use crate::service::read::namespaces;
use crate::service::read::paging::Paging;
use crate::state::AppState;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NamespacesQuery {
    /// `next` of the previous page
    #[param(example = "bmFtZXNwYWNlcyA0Mg")]
    cursor: Option<String>,
    /// The maximum number of entries; 100 by default
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// Namespaces that tokens of this name created only
    #[param(example = "laptop")]
    created_by: Option<String>,
}

/// Lists the namespaces, the newest first.
#[utoipa::path(
    get,
    path = "/namespaces",
    tag = "namespaces",
    params(NamespacesQuery),
    responses((status = 200, description = "A page", body = Page<NamespaceSummary>))
)]
pub(crate) async fn list_namespaces(
    State(state): State<AppState>,
    extract::Query(query): extract::Query<NamespacesQuery>,
) -> Result<Json<Page<NamespaceSummary>>, Error> {
    let paging = Paging::new(query.cursor, query.limit);
    let created_by = query.created_by.as_deref();
    let network = &state.config.network;
    Ok(Json(
        namespaces::list_namespaces(&state.database, network, created_by, &paging).await?,
    ))
}

/// Creates a namespace and plans its first iteration.
#[utoipa::path(
    post,
    path = "/namespaces",
    tag = "namespaces",
    request_body = CreateNamespace,
    responses(
        (status = 201, description = "The namespace", body = NamespaceDetail),
        (status = 409, description = "The name is in use"),
        (status = 422, description = "An origin is unknown or broken, or the plan is too large or has a cycle"),
        (status = 503, description = "The disk is below its reserve, or something else is temporarily unavailable"),
    )
)]
pub(crate) async fn create_namespace(
    State(state): State<AppState>,
    Extension(identity): Extension<Identity>,
    server: BaseUrl,
    extract::Json(request): extract::Json<CreateNamespace>,
) -> Result<(StatusCode, Json<NamespaceDetail>), Error> {
    let by = identity.principal();
    let created =
        create_namespace::create_namespace(state.planning_parts(), &by, &server, &request).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Returns a namespace with its iterations.
#[utoipa::path(
    get,
    path = "/namespaces/{name}",
    tag = "namespaces",
    params(("name" = NamespaceName, Path, description = "The namespace")),
    responses((status = 200, description = "The namespace", body = NamespaceDetail))
)]
pub(crate) async fn show_namespace(
    State(state): State<AppState>,
    server: BaseUrl,
    extract::Path(name): extract::Path<NamespaceName>,
) -> Result<Json<NamespaceDetail>, Error> {
    Ok(Json(
        namespaces::show_namespace(&state.database, &state.config.network, &server, &name).await?,
    ))
}

/// Plans a rebuild without starting it.
#[utoipa::path(
    post,
    path = "/plans",
    tag = "namespaces",
    request_body = PlanPreview,
    responses(
        (status = 200, description = "The plan in the requested format", content(
            (PlanDocument = "application/json", example = json!({
                "architecture": "x86_64",
                "scope": "origin",
                "builds": [{ "pkgbase": "libgreet", "stage": 1, "level": 0, "old_version": "2.0-1", "version": "2.0-1.1",
                    "needs": [], "needs_kinds": [], "reason": ["libgreet"], "reason_kinds": [], "estimate_s": 60 }],
                "cycles": [],
                "unresolved": [],
                "problems": [],
                "sources": { "as_of": "2026-11-29T10:00:00Z" },
            })),
            (String = "text/plain; charset=utf-8", example = "1 build of 1 package in 1 level\n"),
        )),
        (status = 422, description = "An origin is unknown or broken, or the plan is too large or has a cycle"),
    )
)]
pub(crate) async fn preview_plan(
    State(state): State<AppState>,
    identity: Option<Extension<Identity>>,
    peer: Option<Extension<Peer>>,
    bodies::AnonymousJson(preview): bodies::AnonymousJson<PlanPreview>,
) -> Result<Response, Error> {
    let content_type = match preview.format {
        PlanFormat::Json => "application/json",
        PlanFormat::Text | PlanFormat::Dot => "text/plain; charset=utf-8",
    };
    let client = identity.filter(|Extension(identity)| identity.is_client());
    let client = client.map(|Extension(identity)| identity.caller());
    let peer = peer.map(|Extension(Peer(peer))| peer.ip());
    let text = preview_plan::preview_plan(
        state.planning_parts(),
        &state.admission,
        client,
        peer,
        &preview,
    )
    .await?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
