//! The transitions of attempts that run as GitLab pipelines.

use buildbtw_gitlab::JobId;
use buildbtw_model::{AttemptId, WorkerName};

use crate::db::pipelines::NewPipeline;
use crate::db::{TokenId, attempts, id_tokens, pipelines, tokens};
use crate::time::{Millis, Seconds};

use super::Transition;

/// An attempt that is assigned to a job.
pub(crate) struct JobAssignment<'a> {
    pub(crate) attempt: AttemptId,
    /// The token of the attempt, which has had no secret.
    pub(crate) token: TokenId,
    /// The digest of the secret that the job has chosen.
    pub(crate) hash: &'a [u8],
    /// Until when the secret is valid.
    pub(crate) valid_until: Millis,
    /// The id of the ID token that the job has exchanged.
    pub(crate) jti: &'a str,
    /// Until when the ID token must not be exchanged again.
    pub(crate) remember_until: Millis,
    /// The host that the job runs on.
    pub(crate) worker: &'a WorkerName,
    pub(crate) job: JobId,
    /// The timeout of the job.
    pub(crate) timeout: Option<Seconds>,
    pub(crate) lease_expires_at: Millis,
}

impl Transition {
    /// Records the pipelines that dispatched attempts will run as.
    pub(crate) async fn want_pipelines(&mut self, wanted: &[NewPipeline]) -> sqlx::Result<()> {
        pipelines::insert(&mut self.tx, wanted).await
    }

    /// Deletes the token of an attempt that was not dispatched, because its build is no longer ready.
    pub(crate) async fn withdraw_token(&mut self, token: TokenId) -> sqlx::Result<()> {
        tokens::delete(&mut self.tx, token).await
    }

    /// Lets a new attempt run in the pipeline of an earlier one.
    pub(crate) async fn continue_pipeline(
        &mut self,
        attempt: AttemptId,
        earlier: AttemptId,
    ) -> sqlx::Result<()> {
        pipelines::copy_to_attempt(&mut self.tx, attempt, earlier).await
    }

    /// Assigns an attempt to the job that has exchanged an ID token for it. Returns false if that ID token was
    /// exchanged before.
    pub(crate) async fn assign_job(&mut self, new: &JobAssignment<'_>) -> sqlx::Result<bool> {
        let tx = &mut self.tx;
        let until = new.remember_until;
        if !id_tokens::record_exchange(tx, new.jti, new.attempt, new.hash, until).await? {
            return Ok(false);
        }
        tokens::set_secret(tx, new.token, new.hash, new.valid_until).await?;
        attempts::set_worker(tx, new.attempt, new.worker, new.lease_expires_at).await?;
        pipelines::set_job(tx, new.attempt, new.job, new.timeout).await?;
        self.effects.leases = true;
        Ok(true)
    }
}
