//! The routes of workers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use buildbtw_model::api::ProblemKind;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Fake;
use super::replies::{authenticated, problem};

/// Returns a worker that builds `libgreet`, and was in contact last between three and four hours ago.
pub(crate) fn worker(name: &str, status: &str) -> Value {
    let seen = Timestamp::now() - SignedDuration::from_mins(3 * 60 + 30);
    json!({
        "name": name, "status": status, "architectures": ["x86_64"], "jobs": 2,
        "builds": [{ "id": 1, "namespace": "space", "pkgbase": "libgreet", "architecture": "x86_64",
                     "started_at": null }],
        "machine": { "version": "0.1.0", "tags": ["big"], "cores": 16, "memory_mib": 65_536,
                     "build_memory_mib": 8_192 },
        "load": { "load": 2.25, "disk_free_bytes": 10_737_418_240_u64, "disk_total_bytes": 21_474_836_480_u64 },
        "last_contact_at": seen,
    })
}

pub(super) async fn workers(State(fake): State<Fake>) -> Json<Value> {
    let items = fake.change_without_event(|inner| inner.workers.clone());
    Json(json!({ "items": items }))
}

pub(super) async fn drain(
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Json<Value>, Response> {
    authenticated(&headers)?;
    if name != "w1" {
        return Err(problem(
            404,
            ProblemKind::NotFound,
            "worker `nosuch` not found",
        ));
    }
    Ok(Json(worker("w1", "draining")))
}

pub(super) async fn resume(
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Json<Value>, Response> {
    authenticated(&headers)?;
    Ok(Json(worker(&name, "idle")))
}
