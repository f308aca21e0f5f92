//! Reports about rebuilds: commit statuses, and notes on merge requests.

use buildbtw_model::{CommitHash, MergeRequestIid, NoteId, ProjectId};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::{Http, RetryBudget, Subject};

/// GitLab rejects longer texts.
const MAX_TEXT: usize = 255;
/// The page size of merge requests of a branch, and of notes.
const PAGE: &str = "100";

/// The state of a commit as an external program reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(rename_all = "snake_case"))]
pub enum CommitState {
    /// The work has not begun.
    Pending,
    /// The work is in progress.
    Running,
    /// The work succeeded.
    Success,
    /// The work failed.
    Failed,
    /// The work was cancelled.
    Canceled,
}

/// The status of a commit, reported by an external program.
#[derive(Clone, Debug)]
pub struct CommitStatus<'a> {
    /// The state.
    pub state: CommitState,
    /// The branch or tag, if there is one.
    pub git_ref: Option<&'a str>,
    /// The name that identifies this status among those of other programs.
    pub name: &'a str,
    /// The URL with details.
    pub target_url: &'a str,
    /// A short description.
    pub description: &'a str,
}

/// Sets the status of a commit. GitLab rejects the state that a commit already has; that counts as success.
pub(crate) async fn set_commit_status(
    http: &Http,
    project: ProjectId,
    about: &str,
    commit: &CommitHash,
    status: &CommitStatus<'_>,
) -> Result<(), GitlabError> {
    let subject = Subject {
        request: "set commit status",
        about,
    };
    let short = |text: &str| -> String { text.chars().take(MAX_TEXT).collect() };
    let mut body = serde_json::json!({
        "state": status.state,
        "name": short(status.name),
        "target_url": status.target_url,
        "description": short(status.description),
    });
    if let Some(git_ref) = status.git_ref {
        body["ref"] = git_ref.into();
    }
    let path = format!("api/v4/projects/{project}/statuses/{commit}");
    let sent = http
        .send_json(subject, Method::POST, &path, &body, RetryBudget::Background)
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) if is_already_set(&error.kind) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns whether GitLab rejected the state because the commit already has it.
fn is_already_set(kind: &GitlabErrorKind) -> bool {
    matches!(kind, GitlabErrorKind::Status { status: 400, message }
        if message.contains("Cannot transition status"))
}

/// Returns the open merge requests of a branch.
pub(crate) async fn merge_requests_of(
    http: &Http,
    project: ProjectId,
    about: &str,
    branch: &str,
) -> Result<Vec<MergeRequestIid>, GitlabError> {
    #[derive(Deserialize)]
    struct Row {
        iid: MergeRequestIid,
    }
    let subject = Subject {
        request: "list merge requests",
        about,
    };
    let path = format!("api/v4/projects/{project}/merge_requests");
    let parameters = [
        ("source_branch", branch),
        ("state", "opened"),
        ("per_page", PAGE),
    ];
    let response = http
        .get_with(subject, &path, &parameters, RetryBudget::Background)
        .await?;
    let rows: Vec<Row> = response.json(subject)?;
    Ok(rows.into_iter().map(|row| row.iid).collect())
}

#[derive(Deserialize)]
struct Note {
    id: NoteId,
    #[serde(default)]
    body: String,
}

/// Returns the note of a merge request that contains `marker`, among the newest hundred.
pub(crate) async fn find_note(
    http: &Http,
    project: ProjectId,
    about: &str,
    iid: MergeRequestIid,
    marker: &str,
) -> Result<Option<NoteId>, GitlabError> {
    let subject = Subject {
        request: "list merge request notes",
        about,
    };
    let path = format!("api/v4/projects/{project}/merge_requests/{iid}/notes");
    let parameters = [("sort", "desc"), ("per_page", PAGE)];
    let response = http
        .get_with(subject, &path, &parameters, RetryBudget::Background)
        .await?;
    let notes: Vec<Note> = response.json(subject)?;
    Ok(notes
        .into_iter()
        .find(|note| note.body.contains(marker))
        .map(|note| note.id))
}

/// Creates a note on a merge request, or replaces the text of `old`. Returns `None` when `old` no longer exists.
pub(crate) async fn write_note(
    http: &Http,
    project: ProjectId,
    about: &str,
    iid: MergeRequestIid,
    old: Option<NoteId>,
    text: &str,
) -> Result<Option<NoteId>, GitlabError> {
    let subject = Subject {
        request: "write merge request note",
        about,
    };
    let notes = format!("api/v4/projects/{project}/merge_requests/{iid}/notes");
    let body = serde_json::json!({ "body": text });
    let sent = match old {
        None => {
            http.send_non_idempotent(
                subject,
                Method::POST,
                &notes,
                &body,
                RetryBudget::Background,
            )
            .await
        }
        Some(id) => {
            let path = format!("{notes}/{id}");
            http.send_json(subject, Method::PUT, &path, &body, RetryBudget::Background)
                .await
        }
    };
    match sent {
        Ok(response) => {
            let note: Note = response.json(subject)?;
            Ok(Some(note.id))
        }
        Err(error)
            if old.is_some()
                && matches!(error.kind, GitlabErrorKind::Status { status: 404, .. }) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_state_that_gitlab_already_has() {
        let status = |message: &str| GitlabErrorKind::Status {
            status: 400,
            message: message.into(),
        };
        let there = "Cannot transition status via :enqueue from :pending (Reason(s): …)";
        assert!(is_already_set(&status(there)));
        assert!(!is_already_set(&status("State is required")));
    }
}
