//! Builds as pipelines of a GitLab: how to reach it, what it builds, and what keeps it from that.

use std::sync::Arc;
use std::time::Duration;

use buildbtw_gitlab::{Gitlab, IdTokens, ProjectId};

use crate::config::pipelines::PipelineSettings;
use crate::outage::{Outage, Pauses};
use crate::wakers::{Pending, Waker};

/// How long GitLab is left alone after it failed.
const PAUSES: Pauses = Pauses::growing(Duration::from_secs(2), Duration::from_secs(60));

/// What GitLab builds, and how to reach it. Cheap to clone.
#[derive(Clone)]
pub struct Pipelines(Arc<Parts>);

/// The parts of [`Pipelines`].
pub struct Parts {
    /// Where the pipelines run.
    pub gitlab: Gitlab,
    /// What is built there.
    pub settings: PipelineSettings,
    /// Checks who its jobs are.
    pub id_tokens: IdTokens,
    /// Why GitLab creates no pipelines.
    pub(crate) creating: Outage,
    /// Why GitLab does not tell where they stand.
    pub(crate) following: Outage,
    /// There may be pipelines to create.
    pub(crate) ready: Waker,
    /// There may be pipelines to poll or to cancel; the projects are those with news of theirs.
    pub(crate) news: Pending<ProjectId>,
}

impl std::ops::Deref for Pipelines {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Pipelines {
    /// Prepares; nothing is asked yet.
    #[must_use]
    pub fn new(gitlab: Gitlab, settings: PipelineSettings, audience: String) -> Self {
        let id_tokens = IdTokens::new(&gitlab, settings.issuer.clone(), audience);
        Self(Arc::new(Parts {
            gitlab,
            settings,
            id_tokens,
            creating: Outage::new("builds wait for GitLab", PAUSES),
            following: Outage::new("GitLab does not tell where pipelines stand", PAUSES),
            ready: Waker::default(),
            news: Pending::default(),
        }))
    }

    /// What is wrong with GitLab at the moment, for people.
    #[must_use]
    pub fn outage(&self) -> Option<String> {
        self.creating.remote().or_else(|| self.following.remote())
    }

    /// Says that builds may have become ready, or that a creation may have been answered by now.
    pub fn wake(&self) {
        self.ready.wake();
    }

    /// Says that attempts may have to be stopped.
    pub fn stop(&self) {
        self.ready.wake();
        self.news.wake();
    }

    /// Says that GitLab told something about the pipelines of a project.
    pub fn has_news(&self, project: ProjectId) {
        self.news.add([project]);
    }
}
