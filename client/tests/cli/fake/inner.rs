//! The state of the fake server.

use buildbtw_model::api::{
    AttemptSummary, BuildCounts, BuildSummary, CreateNamespace, Event, IterationDetail,
    NamespaceDetail, NamespaceSummary, TaskOutage, TokenSummary,
};
use buildbtw_model::{BuildId, BuildStatus};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) struct Inner {
    pub(crate) iteration: IterationDetail,
    pub(crate) events: Vec<Event>,
    pub(crate) created: Option<CreateNamespace>,
    pub(crate) log: Vec<u8>,
    pub(crate) attempt: AttemptSummary,
    pub(crate) outages: Vec<TaskOutage>,
    /// The namespaces besides `space`.
    pub(crate) others: Vec<NamespaceSummary>,
    /// Why `space` was not planned again.
    pub(crate) replan_error: Option<String>,
    /// The workers, as JSON.
    pub(crate) workers: Vec<Value>,
    pub(crate) tokens: Vec<TokenSummary>,
    /// The packages with newer commits that a retry does not build.
    pub(crate) newer: Vec<String>,
    /// The patterns that the namespace excludes.
    pub(crate) excluded: Vec<String>,
    /// While this is set, every response is a 503.
    pub(crate) away: bool,
    /// Whether the namespace was deleted.
    pub(crate) deleted: bool,
    /// Streams that began before this generation are interrupted.
    pub(super) generation: u64,
    clock: i64,
}

impl Inner {
    pub(super) fn new(pkgbases: &[&str]) -> Self {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let builds: Vec<BuildSummary> = pkgbases
            .iter()
            .zip(1..)
            .map(|(pkgbase, id)| summary(pkgbase, id))
            .collect();
        let counts = BuildCounts {
            ready: builds.len() as u64,
            ..BuildCounts::default()
        };
        Self {
            iteration: from_json(json!({
                "number": 1,
                "status": "running",
                "reason": "first",
                "counts": counts,
                "created_at": start,
                "origins": [{ "changeset": "libgreet/main", "commit": "a".repeat(40) }],
                "architectures": [{
                    "architecture": "x86_64",
                    "counts": counts,
                    "repository": {
                        "url": "http://server/repo/space/latest/x86_64",
                        "pacman_conf": "[space]\nServer = http://server/repo/x\n",
                    },
                }],
                "notes": [],
                "builds": builds,
            })),
            events: vec![],
            created: None,
            log: vec![],
            attempt: from_json(json!({
                "id": "01939c5e-7b1a-7c3e-9d2f-4b5a6c7d8e9f",
                "number": 1,
                "status": "running",
                "created_at": start,
            })),
            outages: vec![],
            others: vec![],
            replan_error: None,
            workers: vec![super::machines::worker("w1", "building")],
            tokens: vec![],
            newer: vec!["libgreet".into()],
            excluded: vec![],
            away: false,
            deleted: false,
            generation: 0,
            clock: 1_700_000_000,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock).unwrap()
    }

    pub(crate) fn build(&mut self, pkgbase: &str, status: BuildStatus, message: Option<&str>) {
        self.clock += 1;
        let now = self.now();
        let mut builds = self.iteration.builds.iter_mut();
        let build = builds.find(|b| b.pkgbase.as_str() == pkgbase).unwrap();
        build.status = status;
        // For a build with packages, the message of the event is the version.
        let of_build = message.filter(|_| !status.has_packages());
        build.message = of_build.map(str::to_owned);
        match status {
            BuildStatus::Building => build.started_at = Some(now),
            _ => build.finished_at = Some(now),
        }
        let id = build.id;
        self.event(&format!("build.{status}"), Some((id, pkgbase)), message);
        self.count();
    }

    pub(super) fn count(&mut self) {
        let count = |status: BuildStatus| {
            let builds = self.iteration.builds.iter();
            builds.filter(|build| build.status == status).count() as u64
        };
        let counts = BuildCounts {
            blocked: count(BuildStatus::Blocked),
            ready: count(BuildStatus::Ready),
            building: count(BuildStatus::Building),
            done: count(BuildStatus::Built),
            failed: count(BuildStatus::Failed),
            cancelled: count(BuildStatus::Cancelled),
        };
        self.iteration.summary.counts = counts;
        self.iteration.architectures[0].counts = counts;
    }

    pub(super) fn event(
        &mut self,
        kind: &str,
        build: Option<(BuildId, &str)>,
        message: Option<&str>,
    ) {
        self.events.push(from_json(json!({
            "id": self.events.len() + 1,
            "namespace": "space",
            "kind": kind,
            "iteration": self.iteration.summary.number,
            "build": build.map(|(id, _)| id),
            "pkgbase": build.map(|(_, pkgbase)| pkgbase),
            "architecture": build.map(|_| "x86_64"),
            "message": message,
            "at": self.now(),
        })));
    }

    pub(super) fn namespace(&self) -> NamespaceDetail {
        from_json(json!({
            "name": "space",
            "changesets": ["libgreet/main"],
            "scope": "transitive",
            "exclude": self.excluded,
            "created_at": self.iteration.summary.created_at,
            "created_by": "tester",
            "replan_error": self.replan_error,
            "iteration": self.iteration.summary,
            "iterations": [self.iteration.summary],
            "web_url": "http://server/space",
        }))
    }
}

/// Parses a build from JSON, as from a server that sends required fields only.
fn summary(pkgbase: &str, id: i64) -> BuildSummary {
    from_json(json!({
        "id": id,
        "pkgbase": pkgbase,
        "architecture": "x86_64",
        "stage": 1,
        "level": 0,
        "status": "ready",
        "commit": "a".repeat(40),
        "version": "2.0-1",
        "reason": [pkgbase],
    }))
}

pub(crate) fn from_json<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}
