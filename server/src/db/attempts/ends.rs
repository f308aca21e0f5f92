//! The ends of attempts.

use buildbtw_model::{AttemptId, AttemptStatus, Explanation, FailureKind};

use crate::db::WriteTransaction;
use crate::time::Millis;

/// The times of an attempt that ended.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// When it was dispatched.
    pub created_at: Millis,
    /// When its build started.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Millis,
}

/// Ends an attempt that has not ended, without packages. Returns its times, or nothing if it had ended.
pub async fn finish(
    tx: &mut WriteTransaction,
    id: AttemptId,
    status: AttemptStatus,
    failure: Option<FailureKind>,
    explanation: Option<&Explanation>,
) -> sqlx::Result<Option<Times>> {
    let at = tx.now();
    let message = explanation.map(|explanation| explanation.message.as_str());
    let hint = explanation.and_then(|explanation| explanation.hint.as_deref());
    sqlx::query_as!(
        Times,
        r#"update attempt set status = ?, failure = ?, message = ?, hint = ?, finished_at = ?
           where id = ? and status in ('queued', 'running')
           returning created_at as "created_at!: Millis", started_at as "started_at: Millis",
               finished_at as "finished_at!: Millis""#,
        status,
        failure,
        message,
        hint,
        at,
        id,
    )
    .fetch_optional(tx.connection())
    .await
}

/// An attempt that ended with success.
#[derive(Clone, Copy, Debug)]
pub struct Succeeded {
    /// Whether a version of one of its packages was accepted before for the same architecture.
    pub has_known_packages: bool,
    /// When it was dispatched.
    pub created_at: Millis,
    /// When its build started.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Millis,
}

impl Succeeded {
    /// Returns its times.
    #[must_use]
    pub fn times(&self) -> Times {
        Times {
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
        }
    }
}

/// Ends an attempt that has not ended with success. Returns nothing when it has ended, when its job has reported a
/// failure, or when the repository of its build already has other bytes under the name of one of its packages (see
/// `packages::conflicting`).
///
/// Its joins are cross joins, which SQLite does not reorder: it would read all linked packages of the architecture
/// first.
pub async fn succeed(tx: &mut WriteTransaction, id: AttemptId) -> sqlx::Result<Option<Succeeded>> {
    let at = tx.now();
    sqlx::query_as!(
        Succeeded,
        r#"update attempt set status = 'succeeded', finished_at = ?1
           where id = ?2 and status in ('queued', 'running')
               and not exists (
                   select 1 from pipeline where attempt_id = ?2 and reported_at is not null
               )
               and not exists (
                   select 1 from build
                   cross join package as own on own.attempt_id = ?2
                   cross join package as other
                       on other.file_name = own.file_name and other.sha256 <> own.sha256
                   cross join build as served on served.packages_attempt_id = other.attempt_id
                   where build.id = attempt.build_id and served.iteration_id = build.iteration_id
                       and served.architecture = build.architecture
               )
           returning exists (
               select 1 from build cross join package on package.attempt_id = ?2
               cross join linked_package as known on known.architecture = build.architecture
                   and known.pkgname = package.pkgname
               where build.id = attempt.build_id
           ) as "has_known_packages!: bool", created_at as "created_at!: Millis",
               started_at as "started_at: Millis", finished_at as "finished_at!: Millis""#,
        at,
        id,
    )
    .fetch_optional(tx.connection())
    .await
}
