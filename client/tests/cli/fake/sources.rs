//! The routes of the sources.

use axum::Json;
use axum::extract::Path;
use buildbtw_model::api::{Page, SourceRefs, SourceRepositorySummary, SourcesOverview};
use serde_json::json;

use super::inner::from_json;
use super::replies::ApiResult;

pub(super) async fn sources() -> ApiResult<Page<SourceRepositorySummary>> {
    let source = |name: &str| {
        from_json(json!({
            "path": name, "pkgbase": name, "version": "1-1", "branch": "main", "problem": null,
            "commit": "a".repeat(40), "changed_at": "2026-11-30T10:00:00Z",
        }))
    };
    Ok(Json(Page {
        items: ["greet", "libgreet"].map(source).into(),
        next: None,
    }))
}

pub(super) async fn sources_overview() -> ApiResult<SourcesOverview> {
    Ok(Json(from_json(json!({
        "usable": 2, "broken": 0, "last_scan_at": "2026-11-30T10:00:00Z",
    }))))
}

pub(super) async fn refs(Path(pkgbase): Path<String>) -> ApiResult<SourceRefs> {
    Ok(Json(SourceRefs {
        default: Some("main".into()),
        branches: vec!["main".into(), format!("next-of-{pkgbase}")],
    }))
}
