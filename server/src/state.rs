//! What every handler, service and actor shares: the settings, the data, and the queues and wakers by which
//! actors are told that there is work. It knows nothing of those who use it.

pub mod claim_queue;
pub mod failed_logins;
pub mod fetched_protocols;
pub mod known_tokens;
pub mod pipelines;
pub mod publish_queue;
pub mod replans;
pub mod report_turns;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::Architecture;
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Limits};
use crate::changes::{Changes, Effects};
use crate::config::Config;
use crate::db::{Database, NamespaceId};
use crate::logs::Logs;
use crate::planning::known_sonames::KnownSonames;
use crate::planning::queue::PlanQueue;
use crate::repos::Repos;
use crate::repos::base::BaseRepositories;
use crate::sources::Sources;
use crate::time::Clock;
use crate::wakers::{Pending, Waker};

use claim_queue::ClaimQueue;
use failed_logins::FailedLogins;
use fetched_protocols::FetchedProtocols;
use known_tokens::KnownTokens;
use pipelines::Pipelines;
use publish_queue::{FileListQueue, PublishQueue};
use replans::Replans;
use report_turns::ReportTurns;

/// The parts of a running server. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// See [`AppState`].
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// The wall clock.
    pub clock: Clock,
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
    /// Where claims of workers wait for builds.
    pub claims: ClaimQueue,
    /// By which protocols workers fetch sources.
    pub fetched: FetchedProtocols,
    /// What GitLab builds, if it builds anything.
    pub pipelines: Option<Pipelines>,
    /// Namespaces whose forge is to be told how they stand, if that is wanted.
    pub forge_reports: Option<Pending<NamespaceId>>,
    /// Wakes when a lease was given, so that the next one to run out may be another.
    pub leases: Waker,
    /// Who links which library.
    pub sonames: KnownSonames,
    /// Which namespaces are planned again, and when.
    pub replans: Replans,
    /// Lets callers plan one after the other.
    pub planning: PlanQueue,
    /// Builds that wait to be put into repositories.
    pub publisher: PublishQueue,
    /// Repositories whose lists of files lag behind.
    pub file_lists: FileListQueue,
    /// Wakes when iterations ended.
    pub retention: Waker,
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

/// What a state is made of that depends on settings.
pub struct CoreParts {
    /// The settings.
    pub config: Config,
    /// The database.
    pub database: Database,
    /// The package index and where it comes from.
    pub sources: Sources,
    /// The schedule that the sources tell what happens.
    pub replans: Replans,
    /// What builds install from besides.
    pub base: BaseRepositories,
    /// How many connections there may be.
    pub limits: Limits,
    /// How long a plan may take.
    pub plan_limit: Duration,
}

impl Parts {
    /// A state below a data folder, for a server that builds nothing on GitLab and tells no forge.
    ///
    /// # Errors
    /// When the folders cannot be created.
    pub fn new(
        data: &Path,
        core_parts: CoreParts,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        Ok(Self {
            planning: PlanQueue::new(core_parts.plan_limit, shutdown.clone()),
            admission: Admission::new(&core_parts.limits),
            repos: Repos::new(data)?,
            logs: Logs::new(data)?,
            config: core_parts.config,
            database: core_parts.database,
            sources: core_parts.sources,
            replans: core_parts.replans,
            base: core_parts.base,
            clock: Clock::default(),
            changes: Changes::default(),
            claims: ClaimQueue::default(),
            fetched: FetchedProtocols::default(),
            pipelines: None,
            forge_reports: None,
            leases: Waker::default(),
            sonames: KnownSonames::default(),
            publisher: PublishQueue::default(),
            file_lists: FileListQueue::default(),
            retention: Waker::default(),
            known_tokens: KnownTokens::default(),
            reports: ReportTurns::default(),
            failed_logins: FailedLogins::default(),
            shutdown,
        })
    }
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
        if let Some(reports) = &self.forge_reports {
            reports.add(effects.namespaces.iter().copied());
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
            self.publisher.enqueue(build);
        }
    }
}
