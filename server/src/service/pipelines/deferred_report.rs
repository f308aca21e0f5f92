//! Deferred reports of failures that would be retried: the executor knows that its job was stopped, only GitLab
//! knows why. The report is kept until GitLab has reported how the job ended, and the build waits until then.

use buildbtw_model::{Explanation, FailureKind};

use crate::db::attempts::{self, AttemptRow, UNLIMITED_LEASE};
use crate::db::{WriteTransaction, pipelines};
use crate::error::Error;

/// Whether a reported failure is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Deferral {
    /// It counts immediately.
    No,
    /// It waits for GitLab from now on. Once this is committed, GitLab has to be queried.
    Yes,
    /// It has waited for GitLab since it was reported before.
    Repeated,
    /// It contradicts an earlier report.
    Contradicts,
}

/// Defers the failure of an attempt on GitLab if only GitLab knows its cause. `is_on_gitlab`: whether GitLab builds
/// anything.
///
/// # Errors
/// When the database cannot be written.
pub(in crate::service) async fn defer(
    is_on_gitlab: bool,
    tx: &mut WriteTransaction,
    attempt: &AttemptRow,
    kind: FailureKind,
    explanation: &Explanation,
) -> Result<Deferral, Error> {
    if !is_on_gitlab {
        return Ok(Deferral::No);
    }
    let row = pipelines::of_attempt(tx.connection(), attempt.id).await?;
    let Some(row) = row else {
        return Ok(Deferral::No);
    };
    if row.reported_at.is_some() {
        let is_same =
            row.reported_kind == Some(kind) && row.reported().as_ref() == Some(explanation);
        return Ok(if is_same {
            Deferral::Repeated
        } else {
            Deferral::Contradicts
        });
    }
    let is_followed = row.pipeline_id.is_some() && row.ended_at.is_none();
    // A cancellation by this server needs no reason of GitLab.
    let is_ours = row.cancel_requested || row.cancel_sent_at.is_some();
    let is_open = match kind {
        FailureKind::Infrastructure | FailureKind::Cancelled => true,
        FailureKind::Package | FailureKind::Timeout | FailureKind::Memory => false,
    };
    if attempt.status.is_final() || !is_followed || is_ours || !is_open {
        return Ok(Deferral::No);
    }
    // The lease must not expire: the executor no longer renews it.
    attempts::renew_lease(tx, attempt.id, UNLIMITED_LEASE).await?;
    pipelines::set_reported(tx, attempt.id, kind, explanation).await?;
    Ok(Deferral::Yes)
}
