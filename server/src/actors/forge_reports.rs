//! Reports the state of rebuilds to the forge when something in a namespace changed.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::NamespaceId;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::forge_report::{Reporter, is_retryable, reported_namespaces};
use crate::state::AppState;
use crate::time::Clock;
use crate::wakers::Pending;

/// How long changes are collected, since they come in bursts.
const DEBOUNCE: Duration = Duration::from_secs(2);
const PAUSES: Pauses = Pauses {
    first: Duration::from_secs(5),
    longest: Duration::from_secs(300),
    of_server: Duration::from_secs(5),
};

/// The actor that reports the state of rebuilds.
pub(crate) struct ForgeReports {
    state: AppState,
    reporter: Reporter,
    changed: Pending<NamespaceId>,
    outage: Outage,
    /// When the collected changes are reported.
    report_at: Option<Instant>,
    /// When a report is retried, or more is to be reported, by namespace.
    retry_at: BTreeMap<NamespaceId, Instant>,
    /// Whether all namespaces were added, as any may have changed while the server was down.
    has_caught_up: bool,
}

/// What became of the reports of a turn.
#[derive(Default)]
struct Tried {
    any: bool,
    has_failed: bool,
}

impl ForgeReports {
    pub(crate) fn new(
        state: AppState,
        reporter: Reporter,
        changed: Pending<NamespaceId>,
        outage: Outage,
    ) -> Self {
        Self {
            state,
            reporter,
            changed,
            outage,
            report_at: None,
            retry_at: BTreeMap::new(),
            has_caught_up: false,
        }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot report the state of rebuilds to GitLab",
            PAUSES,
            clock,
        )
    }

    async fn catch_up(&mut self) -> sqlx::Result<()> {
        if !self.has_caught_up {
            let all = reported_namespaces(&self.state.database).await?;
            if !all.is_empty() {
                self.changed.add(all);
                self.collect();
            }
            self.has_caught_up = true;
        }
        Ok(())
    }

    /// Collects changes for a while, before they are reported.
    fn collect(&mut self) {
        self.report_at
            .get_or_insert_with(|| Instant::now() + DEBOUNCE);
    }

    async fn report_due(&mut self) -> Tried {
        let now = Instant::now();
        let due = self.retry_at.extract_if(.., |_, at| *at <= now);
        let mut due: Vec<_> = due.map(|(namespace, _)| namespace).collect();
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = None;
            due.extend(self.changed.take());
        }
        due.sort_unstable();
        due.dedup();
        let mut tried = Tried::default();
        for namespace in due {
            self.retry_at.remove(&namespace);
            tried.any = true;
            let again = match self.report(namespace).await {
                Ok(later) => {
                    self.outage.recovered();
                    later
                }
                Err(failure) => {
                    tried.has_failed = true;
                    self.pause_after(&failure)
                }
            };
            if let Some(pause) = again {
                self.retry_at.insert(namespace, Instant::now() + pause);
            }
        }
        tried
    }

    /// Reports the state of a namespace. Returns when the next report is due.
    async fn report(&self, namespace: NamespaceId) -> Result<Option<Duration>, Failure> {
        let (config, database) = (&self.state.config, &self.state.database);
        let on_gitlab = self.state.pipelines.as_ref();
        let reporter = &self.reporter;
        reporter
            .report(config, database, on_gitlab, namespace)
            .await
    }

    /// Notes the failure of a report. Returns the pause before its retry, if it is retried.
    fn pause_after(&self, failure: &Failure) -> Option<Duration> {
        let pause = self.outage.failed(failure);
        let is_lost = matches!(failure, Failure::Gitlab(error) if !is_retryable(error));
        (!is_lost).then_some(pause)
    }
}

impl Actor for ForgeReports {
    const NAME: &'static str = "forge reports";
    type Event = ();

    async fn event(&mut self) {
        self.changed.woken().await;
    }

    async fn turn(&mut self, cause: Cause<()>) -> Result<Next, Failure> {
        self.catch_up().await?;
        if let Cause::Event(()) = cause {
            self.collect();
        }
        let tried = self.report_due().await;
        let at = self.retry_at.values().copied().chain(self.report_at).min();
        let next = Next::maybe_at(at);
        Ok(match tried {
            Tried {
                has_failed: true, ..
            } => next.failed(),
            // [`Self::report_due`] has already updated the outage.
            Tried { any: true, .. } => next.keep_outage(),
            // Only a report shows that reports succeed again.
            Tried { any: false, .. } if at.is_some() => next.keep_outage(),
            // There is nothing to report, so only the catch-up can have failed.
            Tried { any: false, .. } => next,
        })
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_gitlab::{Gitlab, GitlabArgs};

    use super::*;
    use crate::testing::{TestState, UNREADABLE_NAMESPACE};

    /// An actor whose reports would fail: its GitLab does not exist.
    fn actor(state: &AppState, folder: &std::path::Path) -> ForgeReports {
        let token_file = folder.join("token");
        fs_err::write(&token_file, "glpat-x").unwrap();
        let args = GitlabArgs {
            gitlab_url: Some("http://127.0.0.1:1".into()),
            gitlab_group: Some("packages".into()),
            gitlab_token_file: Some(token_file),
            ..GitlabArgs::default()
        };
        let gitlab = Gitlab::new(args.settings().unwrap().unwrap()).unwrap();
        let reporter = Reporter::new(gitlab, Vec::new());
        let outage = ForgeReports::outage(&state.clock);
        ForgeReports::new(state.clone(), reporter, Pending::default(), outage)
    }

    #[tokio::test]
    async fn ends_outage_of_catch_up_without_anything_to_report() {
        let (state, folder) = (TestState::new().await, tempfile::tempdir().unwrap());
        let mut actor = actor(&state, folder.path());
        state.sql(UNREADABLE_NAMESPACE).await;
        assert!(actor.turn(Cause::Start).await.is_err());
        state.sql("delete from namespace").await;
        let next = actor.turn(Cause::Timer).await.unwrap();
        assert_eq!(next, Next::event());
    }

    #[tokio::test]
    async fn keeps_outage_until_a_report_was_tried() {
        let (state, folder) = (TestState::new().await, tempfile::tempdir().unwrap());
        let mut actor = actor(&state, folder.path());
        state.sql(UNREADABLE_NAMESPACE).await;
        assert!(actor.turn(Cause::Start).await.is_err());
        state.sql("update namespace set name = 'bump'").await;
        let next = actor.turn(Cause::Timer).await.unwrap();
        assert_eq!(next, next.keep_outage());
        assert_ne!(next, Next::event().keep_outage());
    }
}
