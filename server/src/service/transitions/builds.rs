//! The transitions of builds.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use buildbtw_model::{AttemptId, BuildId, BuildStatus, EventKind, Pkgbase};

use crate::changes::Traced;
use crate::db::attempts::NewAttempt;
use crate::db::builds::{self, BuildRow};
use crate::db::events::BuildEvent;
use crate::db::iterations::IterationRow;
use crate::db::{attempts, iterations};
use crate::metrics::builds::Dispatched;
use crate::time::Millis;

use super::Transition;

/// A build that was dispatched.
#[derive(Debug)]
pub(crate) struct DispatchedBuild<'a> {
    pub(crate) attempt: NewAttempt<'a>,
    pub(crate) build: BuildRow,
    /// How long it was ready.
    pub(crate) queued: Duration,
}

impl Transition {
    /// Moves builds from `ready` to `dispatched`, and creates their attempts. Returns the attempts; a build that is no
    /// longer ready is skipped.
    pub(crate) async fn dispatch<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = NewAttempt<'a>>,
        lease_expires_at: Millis,
    ) -> sqlx::Result<Vec<DispatchedBuild<'a>>> {
        let mut attempts: Vec<_> = pairs.into_iter().collect();
        let wanted: Vec<_> = attempts.iter().map(|attempt| attempt.build).collect();
        let ready: HashMap<_, _> = builds::dispatch(&mut self.tx, &wanted)
            .await?
            .into_iter()
            .collect();
        attempts.retain(|attempt| ready.contains_key(&attempt.build));
        if attempts.is_empty() {
            return Ok(Vec::new());
        }
        attempts::insert(&mut self.tx, &attempts, lease_expires_at).await?;
        let given: Vec<_> = attempts.iter().map(|attempt| attempt.build).collect();
        let mut rows: HashMap<_, _> = self.builds(&given).await?;
        let namespaces = rows.values().map(|row| row.namespace_id);
        self.record_builds(namespaces, &given, BuildEvent::Dispatched)
            .await?;
        self.effects.leases = true;
        let now = self.now();
        let queued = |build| {
            let since = ready.get(&build).copied().flatten();
            since.map_or(Duration::ZERO, |since| now.since(since))
        };
        let dispatched: Vec<_> = attempts
            .into_iter()
            .filter_map(|attempt| {
                let build = rows.remove(&attempt.build)?;
                let queued = queued(attempt.build);
                Some(DispatchedBuild {
                    attempt,
                    build,
                    queued,
                })
            })
            .collect();
        let effects = dispatched.iter().map(|dispatched| Dispatched {
            architecture: dispatched.build.architecture.clone(),
            queued: dispatched.queued,
        });
        self.effects.dispatched.extend(effects);
        Ok(dispatched)
    }

    /// Moves a build from `dispatched` to `building`, at the first heartbeat of its worker.
    pub(crate) async fn start(&mut self, build: &BuildRow, attempt: AttemptId) -> sqlx::Result<()> {
        if builds::start(&mut self.tx, build.id).await? {
            self.record(
                build,
                Some(attempt),
                EventKind::Build(BuildStatus::Building),
                None,
            )
            .await?;
        }
        Ok(())
    }

    /// Moves builds to `built` or `reused`, now that the repository lists their packages, and unblocks their
    /// dependents.
    pub(crate) async fn complete(&mut self, group: &[BuildRow]) -> sqlx::Result<()> {
        let ids: Vec<_> = group.iter().map(|build| build.id).collect();
        let completed = builds::complete(&mut self.tx, &ids).await?;
        if completed.is_empty() {
            return Ok(());
        }
        let namespaces = group.iter().map(|build| build.namespace_id);
        self.record_builds(namespaces, &completed, BuildEvent::Completed)
            .await?;
        let published = completed.iter().copied().map(Traced::Published);
        self.effects.traced.extend(published);
        let unblocked = builds::unblock_dependents(&mut self.tx, &completed).await?;
        let (shared, ready): (Vec<_>, Vec<_>) = unblocked
            .into_iter()
            .partition(|build| build.shared_build_id.is_some());
        if !ready.is_empty() {
            let ids: Vec<_> = ready.iter().map(|build| build.id).collect();
            let namespaces = ready.iter().map(|build| build.namespace_id);
            self.record_builds(namespaces, &ids, BuildEvent::Ready)
                .await?;
            self.effects.ready = true;
        }
        for build in shared {
            self.share(build.id).await?;
        }
        let iterations: BTreeMap<_, _> = group
            .iter()
            .map(|build| (build.iteration_id, build.namespace_id))
            .collect();
        for (iteration, namespace) in iterations {
            if !ready.iter().any(|build| build.iteration_id == iteration) {
                self.settle(namespace, iteration).await?;
            }
        }
        Ok(())
    }

    /// Accepts packages of architecture `any`, which were built once, for a build of another architecture.
    pub(super) async fn share(&mut self, id: BuildId) -> sqlx::Result<()> {
        let Some(build) = builds::by_id(self.connection(), id).await? else {
            return Ok(());
        };
        let Some(shared) = build.shared_build_id else {
            return Ok(());
        };
        let Some(source) = builds::by_id(self.connection(), shared).await? else {
            return Ok(());
        };
        if let Some(attempt) = source.packages_attempt_id
            && builds::accept_packages(&mut self.tx, id, attempt, &source.version).await?
        {
            self.effects.publish.push(id);
        }
        Ok(())
    }

    /// Requeues failed builds, and returns them.
    pub(crate) async fn retry(
        &mut self,
        newest: &IterationRow,
        pkgbase: Option<&Pkgbase>,
    ) -> sqlx::Result<Vec<BuildRow>> {
        let mut retried = Vec::new();
        for id in builds::retry(&mut self.tx, newest.id, pkgbase).await? {
            if let Some(build) = builds::by_id(self.connection(), id).await? {
                self.record(
                    &build,
                    None,
                    EventKind::Build(BuildStatus::Ready),
                    Some("retry requested"),
                )
                .await?;
                retried.push(build);
            }
        }
        if !retried.is_empty() {
            iterations::reopen(&mut self.tx, newest.id).await?;
            self.effects.ready = true;
        }
        Ok(retried)
    }

    /// Requeues one build that ended without packages, without backoff.
    pub(crate) async fn retry_one(&mut self, build: &BuildRow) -> sqlx::Result<bool> {
        if !builds::retry_one(&mut self.tx, build.id).await? {
            return Ok(false);
        }
        self.record(
            build,
            None,
            EventKind::Build(BuildStatus::Ready),
            Some("retried in GitLab"),
        )
        .await?;
        iterations::reopen(&mut self.tx, build.iteration_id).await?;
        Ok(true)
    }
}
