//! Builds as GitLab pipelines: the client, the settings, and current outages.

use std::sync::Arc;
use std::time::Duration;

use buildbtw_gitlab::{Gitlab, IdTokens, ProjectId};
use buildbtw_model::Architecture;

use crate::config::pipelines::PipelineSettings;
use crate::outage::{Outage, Pauses};
use crate::time::Clock;
use crate::wakers::{Pending, Waker};

/// Backoff after failures of GitLab.
const PAUSES: Pauses = Pauses::growing(Duration::from_secs(2), Duration::from_secs(60));

/// Access to GitLab and what it builds. Cheap to clone.
#[derive(Clone)]
pub struct Pipelines(Arc<Parts>);

/// The parts of [`Pipelines`].
pub struct Parts {
    /// The client.
    pub gitlab: Gitlab,
    /// The settings.
    pub settings: PipelineSettings,
    /// Verifies ID tokens of jobs.
    pub id_tokens: IdTokens,
    /// The outage of creating pipelines.
    pub(crate) creating: Outage,
    /// The outage of polling pipelines.
    pub(crate) following: Outage,
    /// Woken when pipelines may have to be created.
    pub(crate) ready: Waker,
    /// Woken when pipelines may have to be polled or cancelled, with the projects that a webhook named.
    pub(crate) news: Pending<ProjectId>,
}

impl std::ops::Deref for Pipelines {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Pipelines {
    /// Creates the state; sends no requests.
    #[must_use]
    pub fn new(
        gitlab: Gitlab,
        settings: PipelineSettings,
        audience: String,
        clock: &Clock,
    ) -> Self {
        let id_tokens = IdTokens::new(&gitlab, settings.issuer.clone(), audience);
        Self(Arc::new(Parts {
            gitlab,
            settings,
            id_tokens,
            creating: Outage::new("builds wait for GitLab", PAUSES, clock),
            following: Outage::new("cannot query the status of pipelines", PAUSES, clock),
            ready: Waker::default(),
            news: Pending::default(),
        }))
    }

    /// Returns whether GitLab builds for an architecture, instead of workers.
    #[must_use]
    pub fn builds(&self, architecture: &Architecture) -> bool {
        self.settings.architectures.contains(architecture)
    }

    /// Returns the human-readable cause of a current outage of GitLab.
    #[must_use]
    pub fn outage(&self) -> Option<String> {
        self.creating.remote().or_else(|| self.following.remote())
    }

    /// Notifies that builds may have become ready, or that an unconfirmed pipeline may have appeared.
    pub fn wake(&self) {
        self.ready.wake();
    }

    /// Notifies that attempts may have to be stopped.
    pub fn stop(&self) {
        self.ready.wake();
        self.news.wake();
    }

    /// Notifies that pipelines of a project have changed.
    pub fn pipelines_changed(&self, project: ProjectId) {
        self.news.add([project]);
    }
}
