//! An example of each body. A test reads every one as its type, so that none of them can be outdated.

use serde_json::{Map, Value, json};

const COMMIT: &str = "1a410efbd13591db07496601ebc7a059dd55cfe9";
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const ATTEMPT: &str = "01939c5e-7b1a-7c3e-9d2f-4b5a6c7d8e9f";
const CLAIM: &str = "01939c5e-7b1a-7c3e-9d2f-4b5a6c7d8ea0";
const PACKAGE: &str = "libgreet-1.0-1.1-x86_64.pkg.tar.zst";
const AT: &str = "2026-11-29T10:00:00Z";
const TOKEN: &str = "bbtw_mJ0w1l7Qk1vJb2x3c4d5e6f7g8h9i0jKlMnOpQrStUv";

/// Adds the examples to the schemas, and to those of pages an example with one entry.
pub(super) fn add(schemas: &mut Map<String, Value>) {
    let examples: Map<String, Value> = requests()
        .into_iter()
        .chain(edits())
        .chain(workers())
        .chain(namespaces())
        .chain(builds())
        .chain(attempts())
        .chain(tokens())
        .chain(others())
        .chain(sources())
        .map(|(name, example)| (name.to_owned(), example))
        .collect();
    for (name, schema) in schemas.iter_mut() {
        let example = match name.strip_prefix("Page_") {
            Some(item) => examples
                .get(item)
                .map(|item| json!({ "items": [item], "next": "bmFtZXNwYWNlcyBMampuZXlMRCA0Mg" })),
            None => examples.get(name).cloned(),
        };
        if let (Some(example), Some(schema)) = (example, schema.as_object_mut()) {
            schema.insert("examples".into(), json!([example]));
        }
    }
}

type Examples = Vec<(&'static str, Value)>;

fn requests() -> Examples {
    vec![
        (
            "CreateNamespace",
            json!({ "changesets": ["libgreet/main"], "name": "libgreet-1", "scope": "transitive" }),
        ),
        ("CreateIteration", json!({ "refresh_base": true })),
        (
            "RetryBuilds",
            json!({ "pkgbases": ["libgreet"], "latest": true }),
        ),
        (
            "PlanPreview",
            json!({ "changesets": ["libgreet/main"], "scope": "direct", "format": "json" }),
        ),
        (
            "CreateToken",
            json!({ "name": "build machine 7", "scope": "worker", "expires_in_s": 31_536_000 }),
        ),
        (
            "ClaimRequest",
            json!({
                "claim": CLAIM, "worker": "builder-1", "architectures": ["x86_64"], "jobs": 2,
                "protocols": ["rsync"], "machine": machine(), "load": load(), "wait_s": 30,
            }),
        ),
        ("AdoptAttempt", json!({ "worker": "builder-1" })),
        (
            "ExchangeIdToken",
            json!({ "id_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "token": TOKEN, "worker": "runner-1" }),
        ),
        (
            "Outcome",
            json!({ "result": "succeeded", "packages": [{ "file_name": PACKAGE, "sha256": DIGEST }] }),
        ),
    ]
}

fn edits() -> Examples {
    vec![
        (
            "EditNamespace",
            json!({ "add": ["libwave/main"], "remove": ["libgreet"], "exclude": ["haskell-*"] }),
        ),
        (
            "SetPriority",
            json!({ "priority": "urgent", "reason": "security fix" }),
        ),
    ]
}

fn machine() -> Value {
    json!({
        "version": "0.1.0", "tags": ["big"], "cores": 32, "memory_mib": 131_072, "build_memory_mib": 65_536,
    })
}

fn load() -> Value {
    json!({
        "load": 7.5, "disk_free_bytes": 214_748_364_800_u64, "disk_total_bytes": 429_496_729_600_u64,
    })
}

fn counts() -> Value {
    json!({ "blocked": 3, "ready": 1, "building": 2, "done": 12, "failed": 0, "cancelled": 0 })
}

fn iteration_summary() -> Value {
    json!({
        "number": 1, "status": "running", "reason": "created", "causes": [{ "kind": "created" }],
        "counts": counts(),
        "superseded_by": null, "created_at": AT, "finished_at": null,
        "eta": "2026-11-29T10:45:00Z", "eta_from": "2026-11-29T10:30:00Z",
        "eta_to": "2026-11-29T11:10:00Z", "unknown_durations": 2, "size": 1_048_576,
    })
}

fn namespace_summary() -> Value {
    json!({
        "name": "libgreet-1", "changesets": ["libgreet/main"], "scope": "transitive",
        "network": "sources", "held": false, "priority": "normal", "created_at": AT, "created_by": "laptop",
        "iteration": iteration_summary(),
    })
}

/// Adds fields to an object, as `serde(flatten)` does.
fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

fn namespaces() -> Examples {
    let repository = "https://build.example.org/repo/libgreet-1/current";
    let detail = json!({
        "iterations": [iteration_summary()], "size": 1_048_576,
        "web_url": "https://build.example.org/namespaces/libgreet-1",
    });
    let overview = json!({
        "origins": [{ "changeset": "libgreet/main", "commit": COMMIT }],
        "architectures": [{
            "architecture": "x86_64", "counts": counts(), "stalled": null,
            "repository": {
                "url": format!("{repository}/x86_64"),
                "pacman_conf": format!("[libgreet-1]\nSigLevel = Never\nServer = {repository}/$arch\n"),
                "note": "It serves the newest iteration as it is built.",
            },
        }],
        "notes": [{ "kind": "unresolved", "text": "greet: nothing provides `libhello`" }],
        "changes": [],
    });
    let retried = json!({ "id": 42, "pkgbase": "libgreet", "architecture": "x86_64", "stage": 1 });
    vec![
        ("NamespaceSummary", namespace_summary()),
        ("NamespaceDetail", with(namespace_summary(), detail)),
        ("IterationSummary", iteration_summary()),
        ("IterationOverview", with(iteration_summary(), overview)),
        (
            "RetriedBuilds",
            json!({ "iteration": 1, "builds": [retried], "newer": [], "is_new": false }),
        ),
    ]
}

fn build_summary() -> Value {
    json!({
        "id": 42, "pkgbase": "libgreet", "architecture": "x86_64", "stage": 1, "level": 0,
        "status": "building", "commit": COMMIT, "version": "1.0-1.1", "reason": ["libgreet"],
        "message": null, "blocked_by": [], "attempt": ATTEMPT, "started_at": AT,
        "finished_at": null, "estimate_s": 90, "estimate_is_known": true,
        "eta": "2026-11-29T10:01:30Z",
    })
}

fn attempt_summary() -> Value {
    json!({
        "id": ATTEMPT, "trace_id": ATTEMPT.replace('-', ""), "number": 1, "status": "running",
        "failure": null, "message": null,
        "worker": "builder-1", "created_at": AT, "started_at": AT, "finished_at": null,
    })
}

fn builds() -> Examples {
    let package = json!({
        "file_name": PACKAGE, "size": 20_480, "sha256": DIGEST,
        "url": format!("https://build.example.org/repo/libgreet-1/1/x86_64/{PACKAGE}"),
    });
    let detail = json!({
        "namespace": "libgreet-1", "iteration": 1, "needs": [], "needed_by": [],
        "attempts": [attempt_summary()], "packages": [package],
    });
    vec![
        ("BuildSummary", build_summary()),
        ("BuildDetail", with(build_summary(), detail)),
        ("AttemptSummary", attempt_summary()),
        (
            "Event",
            json!({
                "id": 1042, "namespace": "libgreet-1", "kind": "build.building", "iteration": 1,
                "build": 42, "pkgbase": "libgreet", "architecture": "x86_64", "attempt": ATTEMPT,
                "message": null, "at": AT,
            }),
        ),
    ]
}

fn claimed_build() -> Value {
    let what = json!({
        "attempt": ATTEMPT, "build": 42, "namespace": "libgreet-1", "iteration": 1,
        "pkgbase": "libgreet", "architecture": "x86_64", "stage": 1,
        "source": {
            "clone_url": "https://gitlab.example.org/packages/libgreet.git", "commit": COMMIT,
        },
        "pkgrel": "1.1", "version": "1.0-1.1", "release": null,
        "packages": [{ "name": "libgreet", "architecture": "x86_64" }],
    });
    let how = json!({
        "dependencies": ["glibc"], "sources": ["https://example.org/libgreet-1.0.tar.gz"],
        "network": "sources", "missing_keys": "fail",
        "repositories": [{
            "name": "libgreet-1",
            "servers": ["https://build.example.org/repo/libgreet-1/1/$arch/builds/42"],
            "sig_level": "Optional TrustAll",
        }],
        "source_date_epoch": 1_795_946_400,
        "packager": "buildbtw <buildbtw@localhost>",
        "build_tool": { "name": "buildbtw", "version": "0.1.0" },
        "timeout_s": 14_400, "lease_s": 60,
    });
    with(what, how)
}

fn attempts() -> Examples {
    vec![
        ("ClaimedBuild", claimed_build()),
        (
            "ExchangedIdToken",
            json!({ "build": claimed_build(), "url": "https://build.example.org/builds/42" }),
        ),
        (
            "AttemptInputs",
            json!({ "number": 1, "status": "failed", "build": claimed_build() }),
        ),
        (
            "HeartbeatResponse",
            json!({ "lease_s": 60, "cancel": false }),
        ),
        ("LogAppended", json!({ "length": 4096 })),
        (
            "UploadedPackage",
            json!({ "file_name": PACKAGE, "size": 20_480, "sha256": DIGEST }),
        ),
        ("OutcomeAccepted", json!({ "status": "succeeded" })),
    ]
}

fn tokens() -> Examples {
    let token = json!({
        "id": 7, "name": "build machine 7", "scope": "worker", "created_at": AT,
        "expires_at": "2027-11-29T10:00:00Z", "revoked_at": null,
    });
    vec![
        ("TokenSummary", token.clone()),
        ("CreatedToken", with(token, json!({ "token": TOKEN }))),
        (
            "TokenIdentity",
            json!({ "name": "laptop", "scope": "client" }),
        ),
    ]
}

fn workers() -> Examples {
    vec![
        ("WorkerMachine", machine()),
        ("WorkerLoad", load()),
        ("DrainWorker", json!({ "reason": "new memory" })),
        (
            "WorkerSummary",
            json!({
                "name": "builder-1", "status": "draining", "architectures": ["x86_64"], "jobs": 2,
                "builds": [{
                    "id": 42, "namespace": "libgreet-1", "pkgbase": "libgreet", "architecture": "x86_64",
                    "started_at": AT,
                }],
                "machine": machine(), "load": load(), "last_contact_at": AT, "drained_at": AT,
                "drained_by": "laptop", "drain_reason": "new memory",
            }),
        ),
    ]
}

fn others() -> Examples {
    vec![
        (
            "ReadyResponse",
            json!({ "ready": true, "version": "0.1.0", "checks": [{ "name": "writer", "ok": true }] }),
        ),
        (
            "TaskOutage",
            json!({
                "task": "retention", "title": "cannot remove old iterations", "message": "disk I/O error", "since": AT,
            }),
        ),
        (
            "Activity",
            json!({
                "id": 17, "kind": "builds.retried", "actor": "laptop", "namespace": "libgreet-1", "iteration": 1,
                "message": "libgreet", "at": AT,
            }),
        ),
        (
            "Problem",
            json!({
                "type": "not-found", "status": 404, "title": "namespace `nosuch` not found",
                "hint": "`buildbtw list` lists all namespaces",
            }),
        ),
    ]
}

fn sources() -> Examples {
    vec![
        (
            "SourceRepositorySummary",
            json!({
                "path": "libgreet", "pkgbase": "libgreet", "version": "1.0-1", "branch": "main",
                "commit": COMMIT, "problem": null, "warnings": [], "changed_at": AT,
            }),
        ),
        (
            "SourceRefs",
            json!({ "default": "main", "branches": ["main", "next"] }),
        ),
        (
            "SourcesOverview",
            json!({
                "usable": 120, "broken": 1, "origin": "the folder /srv/sources", "complete": true, "last_scan_at": AT,
            }),
        ),
    ]
}

#[cfg(test)]
mod tests;
