//! Reports the state of rebuilds to the forge when something in a namespace changed.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::BackgroundTask;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Keyed, Next, OwnOutage};
use crate::db::NamespaceId;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::forge_report::{Reporter, is_retryable, reported_namespaces};
use crate::state::AppState;
use crate::wakers::Pending;

/// How long changes are collected, since they come in bursts.
const DEBOUNCE: Duration = Duration::from_secs(2);

/// The actor that reports the state of rebuilds.
pub(crate) struct ForgeReports {
    state: AppState,
    reporter: Reporter,
    changed: Pending<NamespaceId>,
    /// When the collected changes are reported.
    report_at: Option<Instant>,
    /// The namespaces whose report is retried, or about which more is to be reported.
    namespaces: Keyed<NamespaceId>,
    /// Whether all namespaces were added, as any may have changed while the server was down.
    has_caught_up: bool,
}

impl ForgeReports {
    pub(crate) fn new(
        state: AppState,
        reporter: Reporter,
        changed: Pending<NamespaceId>,
        outage: &Outage,
    ) -> Self {
        Self {
            state,
            reporter,
            changed,
            report_at: None,
            namespaces: Keyed::new(outage),
            has_caught_up: false,
        }
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

    async fn report_due(&mut self) {
        let now = Instant::now();
        let mut due = BTreeSet::from_iter(self.namespaces.take_due(now));
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = None;
            due.extend(self.changed.take());
        }
        for namespace in due {
            match self.report(namespace).await {
                Ok(later) => {
                    self.namespaces.succeeded(&namespace);
                    if let Some(pause) = later {
                        self.namespaces.schedule(namespace, Instant::now() + pause);
                    }
                }
                Err(failure) => {
                    let is_lost =
                        matches!(&failure, Failure::Gitlab(error) if !is_retryable(error));
                    self.namespaces.failed(namespace, failure);
                    if is_lost {
                        self.namespaces.forget(&namespace);
                    }
                }
            }
        }
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
}

impl OwnOutage for ForgeReports {
    const TITLE: &'static str = "cannot report the state of rebuilds to GitLab";
    const PAUSES: Pauses = Pauses {
        first: Duration::from_secs(5),
        longest: Duration::from_secs(300),
        of_server: Duration::from_secs(5),
    };
}

impl Actor for ForgeReports {
    const TASK: BackgroundTask = BackgroundTask::ForgeReports;
    type Event = ();

    async fn event(&mut self) {
        self.changed.woken().await;
    }

    async fn turn(&mut self, cause: Cause<()>) -> Result<Next, Failure> {
        self.catch_up().await?;
        if let Cause::Event(()) = cause {
            self.collect();
        }
        self.report_due().await;
        let next = self.namespaces.next_due();
        let at = next.into_iter().chain(self.report_at).min();
        Ok(self.namespaces.next(at))
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
        let outage = Outage::new(ForgeReports::TITLE, ForgeReports::PAUSES, &state.clock);
        ForgeReports::new(state.clone(), reporter, Pending::default(), &outage)
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
