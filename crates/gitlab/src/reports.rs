//! What GitLab is told about rebuilds: commit statuses, and notes on merge requests.

use buildbtw_model::{CommitHash, MergeRequestIid, NoteId, ProjectId};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::{Http, Patience, Subject};

/// GitLab cuts nothing: longer texts are an error.
const MAX_TEXT: usize = 255;
/// Merge requests of one branch, and pages of notes that are searched for an own one.
const PAGE: &str = "100";

/// What an outside program says of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(rename_all = "snake_case"))]
pub enum CommitState {
    /// Work on it will begin.
    Pending,
    /// It is being worked on.
    Running,
    /// It is good.
    Success,
    /// It is not.
    Failed,
    /// Nobody works on it any more.
    Canceled,
}

/// The state of a commit, as an outside program sees it.
#[derive(Clone, Debug)]
pub struct CommitStatus<'a> {
    /// The state.
    pub state: CommitState,
    /// The branch or tag, if it is one.
    pub git_ref: Option<&'a str>,
    /// What tells this status from those of other programs.
    pub name: &'a str,
    /// Where to read more.
    pub target_url: &'a str,
    /// A few words.
    pub description: &'a str,
}

/// Sets the status of a commit. GitLab refuses a state that is there already; that counts as done.
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
        .send_json(subject, Method::POST, &path, &body, Patience::Long)
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) if is_there_already(&error.kind) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A status cannot go to the state it is in.
fn is_there_already(kind: &GitlabErrorKind) -> bool {
    matches!(kind, GitlabErrorKind::Status { status: 400, message }
        if message.contains("Cannot transition status"))
}

/// The numbers of the open merge requests of a branch.
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
    let answer = http
        .get_with(subject, &path, &parameters, Patience::Long)
        .await?;
    let rows: Vec<Row> = answer.json(subject)?;
    Ok(rows.into_iter().map(|row| row.iid).collect())
}

#[derive(Deserialize)]
struct Note {
    id: NoteId,
    #[serde(default)]
    body: String,
}

/// The note on a merge request that holds `marker`, among the newest ones.
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
    let answer = http
        .get_with(subject, &path, &parameters, Patience::Long)
        .await?;
    let notes: Vec<Note> = answer.json(subject)?;
    Ok(notes
        .into_iter()
        .find(|note| note.body.contains(marker))
        .map(|note| note.id))
}

/// Writes a note on a merge request, a new one or in place of an old one. `None`: the old one is gone.
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
            http.act(subject, Method::POST, &notes, &body, Patience::Long)
                .await
        }
        Some(id) => {
            let path = format!("{notes}/{id}");
            http.send_json(subject, Method::PUT, &path, &body, Patience::Long)
                .await
        }
    };
    match sent {
        Ok(answer) => {
            let note: Note = answer.json(subject)?;
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
        assert!(is_there_already(&status(there)));
        assert!(!is_there_already(&status("State is required")));
    }
}
