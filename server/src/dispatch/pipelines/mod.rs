//! Builds as pipelines of a GitLab: one task asks for them, another follows what becomes of them. What
//! they are told is in the database before GitLab hears of it, and nothing else is relied on.

mod cancel;
mod closer;
mod create;
mod follow;
mod pace;
mod refused;
mod settings;
mod sort;
mod trouble;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use buildbtw_gitlab::{Gitlab, IdTokens};

pub use settings::{ParameterKind, PipelineArgs, PipelineSettings};
use trouble::Trouble;

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
    /// What is wrong with asking for pipelines at the moment.
    creating: Trouble,
    /// What is wrong with asking where they stand.
    following: Trouble,
    /// Something may be there to create.
    ready: Notify,
    /// Something may be there to look at or to cancel.
    look: Notify,
    /// Projects with news of their pipelines.
    news: Mutex<BTreeSet<i64>>,
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
            creating: Trouble::new("builds wait for GitLab"),
            following: Trouble::new("GitLab does not tell where pipelines stand"),
            ready: Notify::new(),
            look: Notify::new(),
            news: Mutex::default(),
        }))
    }

    /// What is wrong with GitLab at the moment, in words.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.creating.text().or_else(|| self.following.text())
    }

    /// Says that builds may have become ready, or that a creation may have been answered by now.
    pub fn wake(&self) {
        self.ready.notify_one();
    }

    /// Says that attempts may have to be stopped.
    pub fn stop(&self) {
        self.ready.notify_one();
        self.look.notify_one();
    }

    /// Says that GitLab told something about the pipelines of a project.
    pub fn heard_of(&self, project: i64) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.insert(project);
        self.look.notify_one();
    }

    fn take_news(&self) -> BTreeSet<i64> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *news)
    }
}
