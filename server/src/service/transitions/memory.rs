//! The transition of builds that need more memory than their worker has.

use buildbtw_model::{BuildStatus, EventKind, Explanation, WorkerTag};

use crate::db::attempts::AttemptRow;
use crate::db::builds::{self, BuildRow};
use crate::db::worker_profiles;
use crate::db::workers::{self, WORKER_TIMEOUT};
use crate::state::capability::Capability;

use super::Transition;

impl Transition {
    /// Requeues a build that was killed for memory for workers that have more, if there are any. Otherwise it fails.
    pub(super) async fn requeue_for_more_memory(
        &mut self,
        build: &BuildRow,
        attempt: &AttemptRow,
        explanation: &Explanation,
    ) -> sqlx::Result<()> {
        if self.is_stopped(build).await? {
            let status = BuildStatus::Cancelled;
            return self.end_build(build, attempt.id, status, explanation).await;
        }
        let machine = worker_profiles::machine(self.connection(), &attempt.worker).await?;
        let Some(had) = machine.map(|machine| machine.build_memory_mib) else {
            let status = BuildStatus::Failed;
            return self.end_build(build, attempt.id, status, explanation).await;
        };
        if !self.is_any_worker_larger(build, had).await? {
            let mut explanation = explanation.clone();
            explanation.hint = Some(format!(
                "start a worker with a --limit-memory-mib above {had}, then `buildbtw retry {} {}`",
                build.namespace, build.pkgbase
            ));
            let status = BuildStatus::Failed;
            return self
                .end_build(build, attempt.id, status, &explanation)
                .await;
        }
        let why = explanation.clone().map(|message| {
            format!("needs a worker with more than {had} MiB of memory for a build: {message}")
        });
        if builds::requeue(&mut self.tx, build.id, None, &why).await? {
            builds::exceed_memory(&mut self.tx, build.id, had).await?;
            let kind = EventKind::Build(BuildStatus::Ready);
            self.record_failure(build, attempt.id, kind, &why).await?;
            self.effects.ready = true;
        }
        Ok(())
    }

    /// Returns whether a worker is available that could build it with more memory.
    async fn is_any_worker_larger(&mut self, build: &BuildRow, had: u32) -> sqlx::Result<bool> {
        let since = self.now() - WORKER_TIMEOUT;
        let tag: Option<WorkerTag> = builds::tag_of(self.connection(), build.id).await?;
        let machines = workers::machines(self.connection(), since).await?;
        Ok(machines.iter().any(|(architecture, machine)| {
            *architecture == build.architecture
                && Capability::of(machine.as_ref()).suffices(tag.as_ref(), Some(had))
        }))
    }
}
