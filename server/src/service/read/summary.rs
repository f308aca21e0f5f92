//! Summaries of builds and attempts that several pages show.

use buildbtw_model::api::{AttemptSummary, BuildSummary, PipelineSummary, ReusedFrom};
use buildbtw_model::{BuildStatus, Pkgbase};

use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::reuse::ReusedRow;

pub(super) fn build_summary(
    row: &BuildRow,
    newest: Option<&AttemptRow>,
    blocked_by: Vec<Pkgbase>,
) -> BuildSummary {
    let message = row
        .message
        .clone()
        .or_else(|| match (row.status, row.shared_build_id) {
            (BuildStatus::Blocked, Some(_)) => {
                Some("uses the packages of the first architecture's build".to_owned())
            }
            _ => None,
        });
    BuildSummary {
        id: row.id,
        pkgbase: row.pkgbase.clone(),
        architecture: row.architecture.clone(),
        stage: row.stage,
        level: row.level,
        status: row.status,
        commit: row.commit.clone(),
        version: row.version.clone(),
        version_note: None,
        version_note_kind: None,
        reason: row
            .reason
            .split(' ')
            .filter_map(|pkgbase| pkgbase.parse().ok())
            .collect(),
        via: row
            .library
            .as_ref()
            .map(|library| format!("links {library}")),
        bootstrap: row.bootstrap,
        message,
        hint: row.hint.clone(),
        blocked_by,
        waits_for: Vec::new(),
        attempt: newest.map(|attempt| attempt.id),
        reused_from: None,
        started_at: newest
            .and_then(|attempt| attempt.started_at)
            .map(Into::into),
        finished_at: row.finished_at.map(Into::into),
        estimate_s: row.estimate_s.into(),
        estimate_is_known: row.estimate_is_known,
        eta: None,
    }
}

/// Links a reused build to the attempt that built its packages, and removes the start, which is not its own.
pub(super) fn link_to_origin(summary: &mut BuildSummary, row: &ReusedRow) {
    summary.attempt = Some(row.attempt);
    summary.started_at = None;
    summary.reused_from = Some(ReusedFrom {
        attempt: row.attempt,
        number: row.number,
        namespace: row.namespace.clone(),
        namespace_deleted: row.namespace_deleted,
        iteration: row.iteration,
        build: row.maker,
        architecture: row.architecture.clone(),
        stage: row.stage,
        made_by: None,
    });
}

pub(super) fn attempt_summary(
    row: AttemptRow,
    pipeline: Option<PipelineSummary>,
) -> AttemptSummary {
    AttemptSummary {
        id: row.id,
        trace_id: Some(row.id.into()),
        pipeline,
        number: row.number,
        status: row.status,
        failure: row.failure,
        message: row.message,
        hint: row.hint,
        worker: Some(row.worker),
        created_at: row.created_at.into(),
        started_at: row.started_at.map(Into::into),
        finished_at: row.finished_at.map(Into::into),
    }
}
