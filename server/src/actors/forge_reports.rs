//! Reports the state of rebuilds to the forge when something in a namespace changed.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::{NamespaceId, namespaces};
use crate::outage::{Failure, Outage, Pauses};
use crate::service::forge_report::{Reporter, is_worth_another_try};
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
            let all = namespaces::all(self.state.database.read()).await?;
            self.changed
                .add(all.into_iter().map(|namespace| namespace.id));
            self.has_caught_up = true;
        }
        Ok(())
    }

    async fn report_due(&mut self) {
        let now = Instant::now();
        let due = self.retry_at.extract_if(.., |_, at| *at <= now);
        let mut due: Vec<_> = due.map(|(namespace, _)| namespace).collect();
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = None;
            due.extend(self.changed.take());
        }
        due.sort_unstable();
        due.dedup();
        for namespace in due {
            self.retry_at.remove(&namespace);
            if let Some(pause) = self.report(namespace).await {
                self.retry_at.insert(namespace, Instant::now() + pause);
            }
        }
    }

    /// Reports a namespace. Returns the time until its next report, if one is needed.
    async fn report(&self, namespace: NamespaceId) -> Option<Duration> {
        match self.reporter.report(&self.state, namespace).await {
            Ok(later) => {
                self.outage.recovered();
                later
            }
            Err(failure) => {
                let pause = self.outage.failed(&failure);
                let is_lost =
                    matches!(&failure, Failure::Gitlab(error) if !is_worth_another_try(error));
                (!is_lost).then_some(pause)
            }
        }
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
            self.report_at
                .get_or_insert_with(|| Instant::now() + DEBOUNCE);
        }
        self.report_due().await;
        let next = self.retry_at.values().copied().chain(self.report_at).min();
        // [`Self::report`] has already updated the outage.
        Ok(Next::maybe_at(next).keep_outage())
    }
}
