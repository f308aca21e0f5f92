//! Job logs from runners.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::auth::{add_status, header, job};
use crate::FakeGitlab;
use crate::rest::Refusal;

/// Parses the range of a chunk, whose end is inclusive.
fn range(headers: &HeaderMap) -> Option<(usize, usize)> {
    let (start, end) = header(headers, "content-range")?.split_once('-')?;
    Some((start.trim().parse().ok()?, end.trim().parse().ok()?))
}

pub(super) async fn append(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let row = job(&gitlab, id, &headers, None).map_err(Response::from)?;
    let Some((start, end)) = range(&headers) else {
        let text = "400 Missing header Content-Range";
        return Err(Refusal::error(400, text).into_response());
    };
    // GitLab trusts the header; a wrong one is a bug of the runner.
    if end.checked_sub(start).map(|length| length + 1) != Some(body.len()) {
        let text = "400 Content-Range does not fit the body";
        return Err(Refusal::error(400, text).into_response());
    }
    let mut change = gitlab.change();
    let trace = change.state.traces.entry(id).or_default();
    let fits = trace.len() == start;
    if fits {
        trace.extend_from_slice(&body);
    }
    let size = trace.len();
    let contacted = change.record_contact(row.id);
    let row = contacted.map_err(|error| Refusal::from(error).into_response())?;
    drop(change);
    let status = match fits {
        true => StatusCode::ACCEPTED,
        false => StatusCode::RANGE_NOT_SATISFIABLE,
    };
    let mut response = status.into_response();
    if let Ok(range) = HeaderValue::from_str(&format!("0-{size}")) {
        response.headers_mut().insert("range", range);
    }
    add_interval(&gitlab, &mut response);
    add_status(&mut response, row.status);
    Ok(response)
}

/// Adds the interval at which the runner is to send updates.
pub(super) fn add_interval(gitlab: &FakeGitlab, response: &mut Response) {
    let seconds = gitlab.ci_settings().trace_update_interval;
    response
        .headers_mut()
        .insert("x-gitlab-trace-update-interval", HeaderValue::from(seconds));
}
