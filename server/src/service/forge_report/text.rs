//! The texts of reports: a line for a commit, and Markdown for a merge request. Pure functions.

use std::fmt::Write as _;

use buildbtw_gitlab::CommitState;
use buildbtw_model::api::{BuildCounts, BuildSummary, IterationDetail};
use buildbtw_model::{BuildStatus, IterationStatus, NamespaceName};

/// The maximum number of failures in a note.
const MAX_FAILURES: usize = 20;
/// The maximum number of lines of each failure, and the maximum length of a line.
const MAX_LINES: usize = 3;
const MAX_LINE: usize = 200;

/// Returns the commit state of an iteration's origins.
pub(super) fn state(detail: &IterationDetail) -> CommitState {
    match detail.summary.status {
        IterationStatus::Running if has_begun(&counts(detail)) => CommitState::Running,
        IterationStatus::Running => CommitState::Pending,
        IterationStatus::Done => CommitState::Success,
        IterationStatus::Failed => CommitState::Failed,
        IterationStatus::Cancelled => CommitState::Canceled,
    }
}

fn has_begun(counts: &BuildCounts) -> bool {
    counts.building + counts.done + counts.failed > 0
}

/// Returns the counts of all architectures together.
fn counts(detail: &IterationDetail) -> BuildCounts {
    let mut all = BuildCounts::default();
    for architecture in &detail.architectures {
        let counts = &architecture.counts;
        all.blocked += counts.blocked;
        all.ready += counts.ready;
        all.building += counts.building;
        all.done += counts.done;
        all.failed += counts.failed;
        all.cancelled += counts.cancelled;
    }
    all
}

/// Returns the description of a commit status, in one line.
pub(super) fn description(detail: &IterationDetail) -> String {
    counts_text(&counts(detail))
}

fn counts_text(counts: &BuildCounts) -> String {
    let mut text = format!("{} of {} built", counts.done, counts.total());
    for (count, word) in [
        (counts.failed, "failed"),
        (counts.building, "building"),
        (counts.cancelled, "cancelled"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    text
}

/// Returns the text that identifies the note of a namespace, even if the response to its creation was lost.
pub(super) fn marker(namespace: &NamespaceName) -> String {
    format!("<!-- buildbtw {namespace} -->")
}

/// Returns the note on a merge request. The same state gives the same text.
pub(super) fn note(namespace: &NamespaceName, detail: &IterationDetail, server: &str) -> String {
    let number = detail.summary.number;
    let mut text = format!(
        "{}\n### Rebuild [{namespace}]({server}/namespaces/{namespace}/iterations/{number}): {}\n\n",
        marker(namespace),
        detail.summary.status,
    );
    let _ = writeln!(
        text,
        "Iteration {number}, {}: {}.\n",
        detail.summary.reason,
        counts_text(&counts(detail))
    );
    text.push_str("| architecture | built | building | waiting | failed | cancelled |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|\n");
    for architecture in &detail.architectures {
        let counts = &architecture.counts;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            architecture.architecture,
            counts.done,
            counts.building,
            counts.blocked + counts.ready,
            counts.failed,
            counts.cancelled
        );
    }
    failures(&mut text, detail, server);
    if let Some(first) = detail.architectures.first() {
        let _ = write!(
            text,
            "\n<details><summary>Use the result</summary>\n\n```ini\n{}\n```\n\n</details>\n",
            first.repository.pacman_conf.trim_end()
        );
    }
    text
}

fn failures(text: &mut String, detail: &IterationDetail, server: &str) {
    let failed: Vec<&BuildSummary> = detail
        .builds
        .iter()
        .filter(|build| build.status == BuildStatus::Failed)
        .collect();
    if failed.is_empty() {
        return;
    }
    text.push_str("\n#### Failed\n\n");
    for build in failed.iter().take(MAX_FAILURES) {
        let _ = write!(
            text,
            "* [{}]({server}/builds/{}) for {}",
            build.pkgbase, build.id, build.architecture
        );
        let blocked = detail
            .builds
            .iter()
            .filter(|other| other.blocked_by.contains(&build.pkgbase));
        let blocked = blocked.count();
        if blocked > 0 {
            let _ = write!(text, ", which blocks {blocked} more");
        }
        text.push('\n');
        if let Some(explanation) = build.explanation() {
            text.push_str("  ```text\n");
            for line in explanation.to_string().lines().take(MAX_LINES) {
                // The output of a build is not Markdown, and must not end this block.
                let line: String = line.chars().filter(|c| *c != '`').take(MAX_LINE).collect();
                let _ = writeln!(text, "  {line}");
            }
            text.push_str("  ```\n");
        }
    }
    let more = failed.len().saturating_sub(MAX_FAILURES);
    if more > 0 {
        let _ = writeln!(text, "* and {more} more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(status: &str, counts: &serde_json::Value) -> IterationDetail {
        serde_json::from_value(serde_json::json!({
            "number": 2, "status": status, "reason": "libgreet moved",
            "created_at": "2026-11-21T10:00:00Z", "finished_at": null, "counts": counts,
            "eta": null, "superseded_by": null,
            "origins": [], "notes": [], "changes": [],
            "architectures": [{
                "architecture": "x86_64", "counts": counts, "stalled": null,
                "repository": {"url": "http://b/repo", "pacman_conf": "[demo]\nServer = http://b/repo\n"},
            }],
            "builds": [{
                "id": 7, "pkgbase": "greeter", "architecture": "x86_64", "stage": 1, "level": 1,
                "status": "failed", "commit": "0123456789abcdef0123456789abcdef01234567",
                "version": "1.0-1.1", "reason": ["libgreet", "greeter"],
                "message": "error: ```</details>\nline 2\nline 3\nline 4",
                "attempt": null, "started_at": null, "finished_at": null,
            }],
        }))
        .unwrap()
    }

    fn counts(done: u64, failed: u64, ready: u64) -> serde_json::Value {
        serde_json::json!({
            "blocked": 0, "ready": ready, "building": 0, "done": done, "failed": failed,
            "cancelled": 0,
        })
    }

    #[test]
    fn moves_commit_status_from_pending_to_final() {
        let state_of = |status: &str, counts| state(&detail(status, &counts));
        assert_eq!(state_of("running", counts(0, 0, 3)), CommitState::Pending);
        assert_eq!(state_of("running", counts(1, 0, 2)), CommitState::Running);
        assert_eq!(state_of("failed", counts(2, 1, 0)), CommitState::Failed);
        let failed = detail("failed", &counts(2, 1, 0));
        assert_eq!(description(&failed), "2 of 3 built, 1 failed");
    }

    #[test]
    fn lists_failures_in_note_and_escapes_markdown() {
        let name: NamespaceName = "demo".parse().unwrap();
        let text = note(&name, &detail("failed", &counts(2, 1, 0)), "http://b");
        assert!(text.starts_with("<!-- buildbtw demo -->"), "{text}");
        assert!(text.contains("[greeter](http://b/builds/7)"), "{text}");
        assert!(text.contains("Server = http://b/repo"), "{text}");
        assert!(
            text.contains("  error: </details>\n  line 2\n  line 3\n  ```"),
            "{text}"
        );
        assert!(!text.contains("line 4"), "{text}");
    }
}
