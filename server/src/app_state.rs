//! What every handler and task shares.

use std::sync::Arc;

use buildbtw_model::{Architecture, BuildId};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::auth::{FailedLogins, KnownTokens};
use crate::changes::{Changes, Effects};
use crate::config::Config;
use crate::db::Database;
use crate::dispatch::pipelines::Pipelines;
use crate::dispatch::{ClaimDesk, FetchedProtocols, LeaseClock};
use crate::logs::Logs;
use crate::report_turns::ReportTurns;
use crate::repos::Repos;
use crate::repos::base::BaseRepositories;
use crate::service::follow::Follower;
use crate::service::forge_report::ForgeReporter;
use crate::service::planning::PlanningDesk;
use crate::service::publish::Publisher;
use crate::service::publish::file_lists::FileLists;
use crate::service::retention::Retention;
use crate::sources::Sources;

/// The parts of a running server. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// See [`AppState`].
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// The database.
    pub database: Database,
    /// The package index and where it comes from.
    pub sources: Sources,
    /// The repositories on disk.
    pub repos: Repos,
    /// What builds install from besides.
    pub base: BaseRepositories,
    /// The build logs.
    pub logs: Logs,
    /// Wakes whoever waits for events.
    pub changes: Changes,
    /// Hands builds to waiting workers.
    pub claims: ClaimDesk,
    /// By which protocols workers fetch sources.
    pub fetched: FetchedProtocols,
    /// Hands builds to a GitLab, if it builds any.
    pub pipelines: Option<Pipelines>,
    /// Tells the forge how rebuilds stand, if that is wanted.
    pub forge_reporter: Option<ForgeReporter>,
    /// Wakes when the next lease runs out.
    pub leases: LeaseClock,
    /// Plans namespaces again when their sources change.
    pub follower: Follower,
    /// Lets callers plan one after the other.
    pub planning: PlanningDesk,
    /// Puts accepted packages into repositories.
    pub publisher: Publisher,
    /// Writes the repository databases that list files.
    pub file_lists: FileLists,
    /// Removes old iterations.
    pub retention: Retention,
    /// Who sends valid tokens.
    pub known_tokens: KnownTokens,
    /// Who gets in.
    pub admission: Admission,
    /// Lets workers report one after the other.
    pub reports: ReportTurns,
    /// Who sends wrong tokens.
    pub failed_logins: FailedLogins,
    /// Cancelled when the server shall stop.
    pub shutdown: CancellationToken,
}

impl std::ops::Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl AppState {
    /// Shares the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Whether GitLab builds for an architecture, and workers do not.
    #[must_use]
    pub fn is_built_on_gitlab(&self, architecture: &Architecture) -> bool {
        self.config
            .pipelines
            .as_ref()
            .is_some_and(|pipelines| pipelines.architectures.contains(architecture))
    }

    /// Tells everybody concerned what a transaction changed. Call it after the commit.
    pub fn announce(&self, effects: Effects) {
        if let Some(reporter) = &self.forge_reporter {
            reporter.changed(effects.namespaces.iter().copied());
        }
        self.changes.notify(effects.namespaces);
        if effects.ready {
            self.claims.wake();
        }
        if let Some(pipelines) = &self.pipelines {
            if effects.ready {
                pipelines.wake();
            }
            if effects.stop {
                pipelines.stop();
            }
        }
        if effects.leases {
            self.leases.wake();
        }
        if !effects.ended.is_empty() {
            self.retention.wake();
        }
        for build in effects.publish {
            self.publish_in_background(build);
        }
    }

    fn publish_in_background(&self, build: BuildId) {
        self.publisher.enqueue(build);
    }
}
