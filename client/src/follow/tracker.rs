//! The state of the builds of an iteration, from snapshots and events of the server. Both may arrive
//! late, twice or in either order; each change is reported once.

use std::collections::{BTreeMap, HashMap};

use buildbtw_model::api::{BuildCounts, BuildSummary, Event, IterationDetail};
use buildbtw_model::{Architecture, BuildId, BuildStatus, Pkgbase};
use jiff::Timestamp;

use crate::output::time;

/// Which builds that ended before following began are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// All of them: the rebuild was just created.
    Everything,
    /// Only failed ones.
    Failures,
}

/// A change of a build, to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) at: Timestamp,
    pub(crate) status: BuildStatus,
    pub(crate) build: BuildId,
    /// The change, without time and status.
    pub(crate) text: String,
}

/// The builds of one iteration.
#[derive(Debug)]
pub(crate) struct Tracker {
    iteration: u32,
    several_architectures: bool,
    builds: BTreeMap<BuildId, BuildSummary>,
    /// The time of the newest known state of each build.
    known_at: BTreeMap<BuildId, Timestamp>,
    changes: Vec<Change>,
}

impl Tracker {
    pub(crate) fn new(detail: &IterationDetail, history: History) -> Self {
        let mut tracker = Self {
            iteration: detail.summary.number,
            several_architectures: detail.architectures.len() > 1,
            builds: BTreeMap::new(),
            known_at: BTreeMap::new(),
            changes: Vec::new(),
        };
        tracker.refresh(detail);
        tracker.changes.retain(|change| match history {
            History::Everything => change.status != BuildStatus::Reused,
            History::Failures => change.status == BuildStatus::Failed,
        });
        tracker
    }

    /// Applies a snapshot.
    pub(crate) fn refresh(&mut self, detail: &IterationDetail) {
        let mut changes = Vec::new();
        for build in &detail.builds {
            let at = build.finished_at.or(build.started_at);
            let known = self.builds.get(&build.id).map(|known| known.status);
            if known != Some(build.status) && is_reported(build.status) {
                changes.push(self.change(build, at.unwrap_or(detail.summary.created_at)));
            }
            if let Some(at) = at {
                self.known_at.insert(build.id, at);
            }
            self.builds.insert(build.id, build.clone());
        }
        changes.sort_by_key(|change| change.at);
        self.changes.extend(changes);
    }

    /// Applies an event, unless a snapshot is newer.
    pub(crate) fn apply(&mut self, event: &Event) {
        let (Some(status), Some(id)) = (event.kind.build_status(), event.build) else {
            return;
        };
        let is_old = self
            .known_at
            .get(&id)
            .is_some_and(|known| event.at < *known);
        if event.iteration != Some(self.iteration) || is_old {
            return;
        }
        let Some(build) = self.builds.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut build.status, status);
        self.known_at.insert(id, event.at);
        match status {
            BuildStatus::Building => {
                build.started_at = Some(event.at);
                build.finished_at = None;
            }
            BuildStatus::Built | BuildStatus::Reused | BuildStatus::Failed => {
                build.finished_at = Some(event.at);
            }
            _ => {}
        }
        build.message = match status {
            BuildStatus::Built | BuildStatus::Reused => {
                // The message is the final version.
                if let Some(Ok(version)) = event.message.as_deref().map(str::parse) {
                    build.version = version;
                }
                None
            }
            BuildStatus::Dispatched | BuildStatus::Building => None,
            _ => event.message.clone(),
        };
        build.hint.clone_from(&event.hint);
        let retried = status == BuildStatus::Ready && event.message.is_some();
        if before != status && (is_reported(status) || retried) {
            let build = build.clone();
            let change = self.change(&build, event.at);
            self.changes.push(change);
        }
    }

    fn change(&self, build: &BuildSummary, at: Timestamp) -> Change {
        let mut text = format!("{} {}", build.pkgbase, build.version);
        if self.several_architectures {
            text = format!("{text} {}", build.architecture);
        }
        if build.stage > 1 {
            text = format!("{text} (stage {})", build.stage);
        }
        let took = time::between(build.started_at, build.finished_at);
        if let (BuildStatus::Built | BuildStatus::Failed, Some(took)) = (build.status, took) {
            text = format!("{text} ({took})");
        }
        if let (Some(explanation), false) = (build.explanation(), build.status.has_packages()) {
            text = format!("{text}: {}", explanation.in_one_line());
        }
        Change {
            at,
            status: build.status,
            build: build.id,
            text,
        }
    }

    /// Returns the changes since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Returns the changes of before following began. Of more than `most` failures, those that block most are returned,
    /// with the number of all.
    pub(crate) fn take_earlier(&mut self, most: usize) -> (Vec<Change>, Option<usize>) {
        let mut changes = self.take_changes();
        let is_failed = |change: &Change| change.status == BuildStatus::Failed;
        let failed = changes.iter().filter(|change| is_failed(change)).count();
        if failed <= most {
            return (changes, None);
        }
        let causes = self.causes().into_iter().take(most);
        let ranks: HashMap<BuildId, usize> = causes
            .enumerate()
            .map(|(rank, (build, _))| (build.id, rank))
            .collect();
        changes.retain(|change| !is_failed(change) || ranks.contains_key(&change.build));
        changes.sort_by_key(|change| ranks.get(&change.build));
        (changes, Some(failed))
    }

    /// Returns the running builds, the longest-running first.
    pub(crate) fn running(&self) -> Vec<&BuildSummary> {
        let is_running = |build: &&BuildSummary| build.status == BuildStatus::Building;
        let mut running: Vec<_> = self.builds.values().filter(is_running).collect();
        running.sort_by_key(|build| build.started_at);
        running
    }

    /// Returns the failed builds with the number of builds that they block, those that block most first.
    pub(crate) fn causes(&self) -> Vec<(&BuildSummary, usize)> {
        causes(self.builds.values())
    }

    /// Returns whether a build is ready, dispatched or running.
    pub(crate) fn is_active(&self) -> bool {
        self.builds.values().any(|build| build.status.is_active())
    }

    /// Counts the builds in each state.
    pub(crate) fn counts(&self) -> BuildCounts {
        let mut counts = BuildCounts::default();
        for build in self.builds.values() {
            let count = match build.status {
                BuildStatus::Blocked => &mut counts.blocked,
                BuildStatus::Ready => &mut counts.ready,
                BuildStatus::Dispatched | BuildStatus::Building => &mut counts.building,
                BuildStatus::Built | BuildStatus::Reused => &mut counts.done,
                BuildStatus::Failed => &mut counts.failed,
                BuildStatus::Cancelled => &mut counts.cancelled,
            };
            *count += 1;
        }
        counts
    }
}

/// Returns the failed builds with the number of builds that they block, those that block most first.
pub(crate) fn causes<'a>(
    builds: impl Iterator<Item = &'a BuildSummary> + Clone,
) -> Vec<(&'a BuildSummary, usize)> {
    let mut blocked: HashMap<(&Architecture, &Pkgbase), usize> = HashMap::new();
    for build in builds.clone() {
        for blocker in &build.blocked_by {
            *blocked.entry((&build.architecture, blocker)).or_default() += 1;
        }
    }
    let failed = builds.filter(|build| build.status == BuildStatus::Failed);
    let mut causes: Vec<_> = failed
        .map(|build| {
            let key = (&build.architecture, &build.pkgbase);
            (build, blocked.get(&key).copied().unwrap_or_default())
        })
        .collect();
    causes.sort_by_key(|(_, blocked)| std::cmp::Reverse(*blocked));
    causes
}

/// Returns the first word of a line about a change.
pub(crate) fn label(status: BuildStatus) -> &'static str {
    match status {
        BuildStatus::Ready => "retry",
        other => other.as_str(),
    }
}

/// Returns whether a change to a state gets a line.
fn is_reported(status: BuildStatus) -> bool {
    match status {
        BuildStatus::Building
        | BuildStatus::Built
        | BuildStatus::Reused
        | BuildStatus::Failed
        | BuildStatus::Cancelled => true,
        BuildStatus::Blocked | BuildStatus::Ready | BuildStatus::Dispatched => false,
    }
}
