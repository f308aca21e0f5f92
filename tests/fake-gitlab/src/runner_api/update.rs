//! Status updates from runners.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::auth::{add_status, job};
use super::trace::add_interval;
use crate::FakeGitlab;
use crate::rest::{Input, Refusal};
use crate::state::jobs::{Job, JobId};
use crate::state::status::Status;

/// The size and checksum of the log that the runner claims to have sent.
#[derive(Debug, Deserialize)]
struct Output {
    checksum: Option<String>,
    bytesize: Option<usize>,
}

/// A status update.
#[derive(Debug, Deserialize)]
pub(super) struct Update {
    token: Option<String>,
    state: String,
    failure_reason: Option<String>,
    exit_code: Option<i64>,
    output: Option<Output>,
}

pub(super) async fn update(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    Input(update): Input<Update>,
) -> Result<Response, Response> {
    let row = job(&gitlab, id, &headers, update.token.as_deref()).map_err(Response::from)?;
    let done = apply(&gitlab, &row, &update);
    let (code, status) = done.map_err(|error| error.into_response())?;
    let mut response = (code, code.as_u16().to_string()).into_response();
    add_interval(&gitlab, &mut response);
    add_status(&mut response, status);
    Ok(response)
}

fn apply(gitlab: &FakeGitlab, row: &Job, update: &Update) -> Result<(StatusCode, Status), Refusal> {
    let end = match update.state.as_str() {
        "pending" | "running" => None,
        "success" => Some(Status::Success),
        "failed" => Some(Status::Failed),
        _ => return Err(Refusal::error(400, "state does not have a valid value")),
    };
    let Some(end) = end else {
        let mut change = gitlab.change();
        let mut job = change.record_contact(row.id)?;
        if job.status == Status::Pending && update.state == "running" {
            job = change.acknowledge(row.id)?;
        }
        return Ok((StatusCode::OK, job.status));
    };
    if gitlab.decrement(|settings| &mut settings.held_updates) {
        return Ok((StatusCode::ACCEPTED, row.status));
    }
    if !log_is_whole(gitlab, row.id, update.output.as_ref()) {
        // The runner sends all of it again.
        gitlab.state().traces.remove(&row.id.0);
        return Ok((StatusCode::PRECONDITION_FAILED, row.status));
    }
    let mut change = gitlab.change();
    let reason = update
        .failure_reason
        .as_deref()
        .filter(|_| end == Status::Failed);
    let job = change.finish(row.id, end, reason, update.exit_code)?;
    Ok((StatusCode::OK, job.status))
}

fn log_is_whole(gitlab: &FakeGitlab, id: JobId, output: Option<&Output>) -> bool {
    let Some(output) = output else { return true };
    let state = gitlab.state();
    let trace = state.traces.get(&id.0).map_or(&[][..], Vec::as_slice);
    let checksum = format!("crc32:{:08x}", crc32fast::hash(trace));
    output
        .checksum
        .as_ref()
        .is_none_or(|sent| *sent == checksum)
        && output.bytesize.is_none_or(|sent| sent == trace.len())
}
