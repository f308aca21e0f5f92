//! What the namespaces of a person wait for.

use buildbtw_model::api::NamespaceSummary;
use buildbtw_model::{Architecture, IterationStatus, NamespaceName};
use serde::Serialize;

/// Why a namespace makes no progress.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stalled {
    pub(super) namespace: NamespaceName,
    pub(super) architecture: Architecture,
    pub(super) reason: String,
}

/// The kind of decision that a namespace waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NeedKind {
    /// Its builds failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It makes no progress.
    Stalled,
    /// Its sources changed, but it was not planned again.
    NotPlanned,
}

/// A decision that a namespace waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Need {
    pub(super) namespace: NamespaceName,
    pub(super) kind: NeedKind,
    pub(super) reason: String,
    /// The command to run next.
    pub(super) next: String,
}

impl NeedKind {
    /// Returns the text of a table.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Stalled => "stalled",
            Self::NotPlanned => "not planned",
        }
    }
}

/// Returns what namespaces wait for, in their order.
pub(super) fn needs(
    own: &[&NamespaceSummary],
    stalled: &[Stalled],
    unplanned: &[(NamespaceName, String)],
) -> Vec<Need> {
    let mut needs = Vec::new();
    for namespace in own {
        let name = &namespace.name;
        let mut add = |kind, reason: String, next: String| {
            needs.push(Need {
                namespace: name.clone(),
                kind,
                reason,
                next,
            });
        };
        let counts = &namespace.iteration.counts;
        match namespace.iteration.status {
            IterationStatus::Failed => add(
                NeedKind::Failed,
                format!("{} failed, {} blocked", counts.failed, counts.blocked),
                format!("buildbtw show {name} --failed"),
            ),
            IterationStatus::Cancelled => add(
                NeedKind::Cancelled,
                format!("{} of {} built", counts.done, counts.total()),
                format!("buildbtw resume {name}"),
            ),
            IterationStatus::Running | IterationStatus::Done => {}
        }
        for (_, error) in unplanned.iter().filter(|(of, _)| of == name) {
            let next = format!("buildbtw new-iteration {name}");
            add(NeedKind::NotPlanned, error.clone(), next);
        }
        for stalled in stalled.iter().filter(|stalled| stalled.namespace == *name) {
            let reason = format!("{}: {}", stalled.architecture, stalled.reason);
            add(NeedKind::Stalled, reason, "buildbtw workers".to_owned());
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn namespace(name: &str, status: &str) -> NamespaceSummary {
        let counts = json!({
            "blocked": 118, "ready": 0, "building": 0, "done": 880, "failed": 2, "cancelled": 0,
        });
        serde_json::from_value(json!({
            "name": name, "changesets": ["icu/main"], "scope": "transitive",
            "created_at": "2026-11-30T10:00:00Z",
            "iteration": {
                "number": 1, "status": status, "reason": "created", "counts": counts,
                "created_at": "2026-11-30T10:00:00Z",
            },
        }))
        .unwrap()
    }

    #[test]
    fn names_a_reason_and_a_command_for_each_need() {
        let namespaces = [
            namespace("bad", "failed"),
            namespace("held", "cancelled"),
            namespace("stuck", "running"),
            namespace("old", "done"),
            namespace("good", "done"),
        ];
        let stalled = [Stalled {
            namespace: "stuck".parse().unwrap(),
            architecture: "aarch64".parse().unwrap(),
            reason: "no worker builds for it".to_owned(),
        }];
        let unplanned = [("old".parse().unwrap(), "icu is broken".to_owned())];
        let own: Vec<&NamespaceSummary> = namespaces.iter().collect();
        let found = needs(&own, &stalled, &unplanned);
        let lines: Vec<String> = found
            .iter()
            .map(|need| {
                let kind = need.kind.label();
                format!("{} {kind}: {} > {}", need.namespace, need.reason, need.next)
            })
            .collect();
        assert_eq!(
            lines,
            [
                "bad failed: 2 failed, 118 blocked > buildbtw show bad --failed",
                "held cancelled: 880 of 1000 built > buildbtw resume held",
                "stuck stalled: aarch64: no worker builds for it > buildbtw workers",
                "old not planned: icu is broken > buildbtw new-iteration old",
            ]
        );
    }
}
