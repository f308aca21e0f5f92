//! Table `event`: all transitions, each written in its own transaction.

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{
    Architecture, AttemptId, BuildId, EventId, EventKind, NamespaceName, Pkgbase,
};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{IterationId, NamespaceId, WriteTransaction, json_list};

/// A transition to record.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The iteration, if it concerns one.
    pub iteration: Option<IterationId>,
    /// The build, if it concerns one.
    pub build: Option<BuildId>,
    /// The attempt, if it concerns one.
    pub attempt: Option<AttemptId>,
    /// Its kind.
    pub kind: EventKind,
    /// Details, human-readable.
    pub message: Option<&'a str>,
    /// For a failure: what to do next.
    pub hint: Option<&'a str>,
    /// The name of the token that requested it.
    pub actor: Option<&'a str>,
}

/// A recorded transition.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its number.
    pub id: EventId,
    /// The namespace.
    pub namespace_id: NamespaceId,
    /// The namespace's name.
    pub namespace: NamespaceName,
    /// Its kind.
    pub kind: EventKind,
    /// The number of the iteration.
    pub iteration: Option<u32>,
    /// The build.
    pub build: Option<BuildId>,
    /// The build's pkgbase.
    pub pkgbase: Option<Pkgbase>,
    /// The build's architecture.
    pub architecture: Option<Architecture>,
    /// The attempt.
    pub attempt: Option<AttemptId>,
    /// Details, human-readable.
    pub message: Option<String>,
    /// For a failure: what to do next.
    pub hint: Option<String>,
    /// The name of the token that requested it.
    pub actor: Option<String>,
    /// When it happened.
    pub at: Millis,
}

/// Records a transition.
pub async fn insert(tx: &mut WriteTransaction, event: &NewEvent<'_>) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "insert into event (namespace_id, iteration_id, build_id, attempt_id, kind, message, hint,
             actor, at)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        event.namespace,
        event.iteration,
        event.build,
        event.attempt,
        event.kind,
        event.message,
        event.hint,
        event.actor,
        at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records that no iteration could be planned.
pub async fn insert_refusal(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    problem: ProblemKind,
    message: &str,
) -> sqlx::Result<()> {
    let (at, kind) = (tx.now(), EventKind::IterationRefused);
    sqlx::query!(
        "insert into event (namespace_id, kind, message, problem_kind, at) values (?, ?, ?, ?, ?)",
        namespace,
        kind,
        message,
        problem,
        at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records the same transition of many builds of an iteration, in the given order.
pub async fn insert_for_builds(
    tx: &mut WriteTransaction,
    builds: &[BuildId],
    kind: BuildEvent,
) -> sqlx::Result<()> {
    let at = tx.now();
    let builds = json_list(builds)?;
    match kind {
        BuildEvent::Completed => {
            sqlx::query!(
                "insert into event (namespace_id, iteration_id, build_id, attempt_id, kind, message, at)
                 select iteration.namespace_id, build.iteration_id, build.id,
                     build.packages_attempt_id, 'build.' || build.status, build.version, ?
                 from json_each(?) as chosen cross join build on build.id = chosen.value
                 join iteration on iteration.id = build.iteration_id order by chosen.key",
                at,
                builds,
            )
            .execute(tx.connection())
            .await?
        }
        BuildEvent::Ready => {
            sqlx::query!(
                "insert into event (namespace_id, iteration_id, build_id, kind, at)
                 select iteration.namespace_id, build.iteration_id, build.id, 'build.ready', ?
                 from json_each(?) as chosen cross join build on build.id = chosen.value
                 join iteration on iteration.id = build.iteration_id order by chosen.key",
                at,
                builds,
            )
            .execute(tx.connection())
            .await?
        }
        BuildEvent::Dispatched => {
            sqlx::query!(
                "insert into event (namespace_id, iteration_id, build_id, attempt_id, kind, message, at)
                 select iteration.namespace_id, build.iteration_id, build.id, attempt.id,
                     'build.dispatched', attempt.worker, ?
                 from json_each(?) as chosen cross join build on build.id = chosen.value
                 join iteration on iteration.id = build.iteration_id
                 join attempt on attempt.build_id = build.id
                     and attempt.status in ('queued', 'running')
                 order by chosen.key",
                at,
                builds,
            )
            .execute(tx.connection())
            .await?
        }
    };
    Ok(())
}

/// A transition of many builds at once.
#[derive(Clone, Copy, Debug)]
pub enum BuildEvent {
    /// They no longer wait for any build.
    Ready,
    /// They were dispatched to workers.
    Dispatched,
    /// The repository lists their packages.
    Completed,
}

macro_rules! select_event {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            EventRow,
            r#"select event.id as "id!: EventId", event.namespace_id as "namespace_id!: NamespaceId",
               namespace.name as "namespace!: NamespaceName",
               event.kind as "kind!: EventKind", iteration.number as "iteration?: u32",
               event.build_id as "build?: BuildId", build.pkgbase as "pkgbase?: Pkgbase",
               build.architecture as "architecture?: Architecture",
               event.attempt_id as "attempt?: AttemptId", event.message, event.hint,
               event.actor, event.at as "at!: Millis"
               from event
               join namespace on namespace.id = event.namespace_id
               left join iteration on iteration.id = event.iteration_id
               left join build on build.id = event.build_id "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns up to `limit` events of all namespaces after a number.
pub async fn after_any(
    executor: impl SqliteExecutor<'_>,
    after: EventId,
    limit: i64,
) -> sqlx::Result<Vec<EventRow>> {
    select_event!("where event.id > ? order by event.id limit ?", after, limit)
        .fetch_all(executor)
        .await
}

/// Returns the highest number that any event has had; events of deleted namespaces count.
pub async fn highest(executor: impl SqliteExecutor<'_>) -> sqlx::Result<EventId> {
    let number = sqlx::query_scalar!(
        r#"select coalesce(max(seq), 0) as "number!: EventId" from sqlite_sequence where name = 'event'"#
    );
    number.fetch_one(executor).await
}

/// Returns the namespace of an event, if it exists.
pub async fn namespace_of(
    executor: impl SqliteExecutor<'_>,
    id: EventId,
) -> sqlx::Result<Option<NamespaceId>> {
    sqlx::query_scalar!(
        r#"select namespace_id as "namespace: NamespaceId" from event where id = ?"#,
        id,
    )
    .fetch_optional(executor)
    .await
}

/// Returns up to `limit` events of a namespace after a number.
pub async fn after(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
    after: EventId,
    limit: i64,
) -> sqlx::Result<Vec<EventRow>> {
    select_event!(
        "where event.namespace_id = ? and event.id > ? order by event.id limit ?",
        namespace,
        after,
        limit
    )
    .fetch_all(executor)
    .await
}

/// An event about the planning of a namespace.
#[derive(Clone, Debug)]
pub struct PlanningEvent {
    /// Its kind.
    pub kind: EventKind,
    /// Details, human-readable.
    pub message: Option<String>,
    /// Why an iteration was refused.
    pub problem_kind: Option<ProblemKind>,
}

/// Returns the last event of a namespace about its planning.
pub async fn last_of_planning(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Option<PlanningEvent>> {
    sqlx::query_as!(
        PlanningEvent,
        r#"select kind as "kind: EventKind", message, problem_kind as "problem_kind: ProblemKind"
           from event where namespace_id = ?
               and kind in ('iteration.planned', 'iteration.refused', 'iteration.current')
           order by id desc limit 1"#,
        namespace,
    )
    .fetch_optional(executor)
    .await
}

/// Returns the number of the newest event of a namespace.
pub async fn last(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<EventId> {
    let row = sqlx::query!(
        r#"select coalesce(max(id), 0) as "id!: EventId" from event where namespace_id = ?"#,
        namespace,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.id)
}
