//! The transition of an attempt to success.

use buildbtw_model::{AttemptId, AttemptStatus, EventKind, PackageFileName, PackageVersion};

use crate::db::builds::{self, BuildRow};
use crate::db::{attempts, linked_packages, packages, pipelines, work};

use super::Transition;

/// Whether the success of an attempt was accepted. Only `Accepted` is a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// It was.
    Accepted,
    /// It had been accepted before.
    AcceptedBefore,
    /// The repository already has other bytes under this name.
    Conflict(PackageFileName),
    /// The attempt has ended otherwise, or its job has reported a failure.
    Ended,
}

impl Transition {
    /// Accepts the success of an attempt, whose packages will be published next.
    pub(crate) async fn accept(
        &mut self,
        build: &BuildRow,
        attempt: AttemptId,
        version: &PackageVersion,
    ) -> sqlx::Result<Acceptance> {
        // In this order, so that the attempt has not been changed when it is refused.
        if !builds::accept_packages(&mut self.tx, build.id, attempt, version).await? {
            return self.why_not_accepted(attempt).await;
        }
        let Some(succeeded) = attempts::succeed(&mut self.tx, attempt).await? else {
            return self.why_not_accepted(attempt).await;
        };
        work::record(&mut self.tx, attempt).await?;
        self.record_end(AttemptStatus::Succeeded, None, succeeded.times());
        linked_packages::insert(&mut self.tx, attempt, succeeded.has_known_packages).await?;
        self.record(build, Some(attempt), EventKind::AttemptSucceeded, None)
            .await?;
        Ok(Acceptance::Accepted)
    }

    async fn why_not_accepted(&mut self, id: AttemptId) -> sqlx::Result<Acceptance> {
        if let Some(file_name) = packages::conflicting(self.connection(), id).await? {
            return Ok(Acceptance::Conflict(file_name));
        }
        let row = attempts::by_id(self.connection(), id).await?;
        if row.is_none_or(|row| row.status != AttemptStatus::Succeeded) {
            return Ok(Acceptance::Ended);
        }
        let job = pipelines::of_attempt(self.connection(), id).await?;
        Ok(match job.is_some_and(|row| row.reported_at.is_some()) {
            true => Acceptance::Ended,
            false => Acceptance::AcceptedBefore,
        })
    }
}
