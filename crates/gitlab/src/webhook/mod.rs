//! Webhooks: whether they come from GitLab, and what they are about. Nothing else in them is used:
//! whoever handles one asks GitLab how things are now.

mod outline;
mod sender;

use buildbtw_model::ProjectId;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::settings::WebhookSecrets;

use outline::Outline;
use sender::Sender;

pub use outline::NotJson;
pub use sender::Forged;

/// A webhook on its way: its sender is verified, and what it is about is read, while its body passes by.
#[derive(Debug)]
pub struct Incoming {
    sender: Sender,
    outline: Outline,
}

/// A webhook that comes from GitLab.
#[derive(Debug)]
pub struct Delivery {
    /// The sender's id of it: repetitions have the same.
    pub id: String,
    /// What it is about; `None` when it is nothing of interest, or does not name its project as GitLab does.
    /// GitLab stops sending webhooks that are refused, so only what is not JSON is an error.
    pub webhook: Result<Option<Webhook>, NotJson>,
}

impl Incoming {
    /// Checks the headers of a webhook, before its body is read.
    ///
    /// # Errors
    /// When it does not come from GitLab, or not now, whatever its body is.
    pub fn begin(
        secrets: &WebhookSecrets,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Self, Forged> {
        Ok(Self {
            sender: Sender::of(secrets, headers, now)?,
            outline: Outline::default(),
        })
    }

    /// Whether the sender is known before the body is read: it has the secret token.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.sender.is_known()
    }

    /// Takes in the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.sender.update(piece);
        self.outline.update(piece);
    }

    /// Checks what covers the whole body, and tells what the webhook is about.
    ///
    /// # Errors
    /// When the body is not the one that was signed.
    pub fn finish(self) -> Result<Delivery, Forged> {
        Ok(Delivery {
            id: self.sender.finish()?,
            webhook: parse(self.outline),
        })
    }
}

/// What a webhook is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(rename_all = "snake_case"))]
pub enum WebhookKind {
    /// Branches moved.
    Push,
    /// Tags moved.
    TagPush,
    /// A merge request changed.
    MergeRequest,
    /// A project came, went or was renamed (system hooks only).
    Project,
    /// A pipeline changed.
    Pipeline,
    /// A job changed.
    Job,
}

impl WebhookKind {
    /// The word for it in the database and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::TagPush => "tag_push",
            Self::MergeRequest => "merge_request",
            Self::Project => "project",
            Self::Pipeline => "pipeline",
            Self::Job => "job",
        }
    }

    /// Whether what the sources hold may have changed.
    #[must_use]
    pub fn moves_sources(self) -> bool {
        !self.is_of_pipelines()
    }

    /// Whether a pipeline may stand elsewhere.
    #[must_use]
    pub fn is_of_pipelines(self) -> bool {
        matches!(self, Self::Pipeline | Self::Job)
    }
}

/// A webhook that says it is about something of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// What it is about.
    pub kind: WebhookKind,
    /// The project.
    pub project_id: ProjectId,
    /// Its full path, if it is told.
    pub path: Option<String>,
    /// The pipeline, job or merge request.
    pub object_id: Option<i64>,
}

fn parse(outline: Outline) -> Result<Option<Webhook>, NotJson> {
    Ok(outline.finish()?.as_ref().and_then(about))
}

fn about(members: &serde_json::Value) -> Option<Webhook> {
    let names = Names::deserialize(members).ok()?;
    let kind = match names.object_kind.as_str() {
        Some("push") => WebhookKind::Push,
        Some("tag_push") => WebhookKind::TagPush,
        Some("merge_request") => WebhookKind::MergeRequest,
        Some("pipeline") => WebhookKind::Pipeline,
        Some("build") => WebhookKind::Job,
        Some(_) => return None,
        None => match names.event_name.as_str() {
            Some(
                "project_create" | "project_destroy" | "project_rename" | "project_transfer"
                | "project_update",
            ) => WebhookKind::Project,
            _ => return None,
        },
    };
    // Only now: what is of no interest may have any form.
    let envelope = Envelope::deserialize(members).ok()?;
    let project = envelope.project.unwrap_or_default();
    let project_id = envelope.project_id.or(project.id)?;
    let object_id = match kind {
        WebhookKind::Job => envelope.build_id,
        WebhookKind::Pipeline => envelope.object_attributes.and_then(|object| object.id),
        WebhookKind::MergeRequest => envelope.object_attributes.and_then(|object| object.iid),
        _ => None,
    };
    Some(Webhook {
        kind,
        project_id,
        path: project.path_with_namespace.or(envelope.path_with_namespace),
        object_id,
    })
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    object_kind: serde_json::Value,
    #[serde(default)]
    event_name: serde_json::Value,
}

#[derive(Deserialize)]
struct Envelope {
    project_id: Option<ProjectId>,
    path_with_namespace: Option<String>,
    build_id: Option<i64>,
    project: Option<ProjectPart>,
    object_attributes: Option<ObjectPart>,
}

#[derive(Default, Deserialize)]
struct ProjectPart {
    id: Option<ProjectId>,
    path_with_namespace: Option<String>,
}

#[derive(Deserialize)]
struct ObjectPart {
    id: Option<i64>,
    iid: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_webhook_events() {
        let read = |text: &str| {
            let mut outline = Outline::default();
            outline.update(text.as_bytes());
            parse(outline)
        };
        let about = |json: serde_json::Value| read(&json.to_string()).unwrap();
        let push = about(serde_json::json!({
            "object_kind": "push", "project_id": 3,
            "project": {"id": 3, "path_with_namespace": "g/p"},
        }));
        assert_eq!(
            push,
            Some(Webhook {
                kind: WebhookKind::Push,
                project_id: ProjectId(3),
                path: Some("g/p".into()),
                object_id: None
            })
        );
        let request = about(serde_json::json!({
            "object_kind": "merge_request", "project": {"id": 3},
            "object_attributes": {"id": 900, "iid": 5},
        }));
        assert_eq!(request.unwrap().object_id, Some(5));
        let job = about(serde_json::json!({
            "object_kind": "build", "project_id": 3, "build_id": 77, "pipeline_id": 8,
        }));
        assert_eq!(job.unwrap().object_id, Some(77));
        let renamed = about(serde_json::json!({
            "event_name": "project_rename", "project_id": 3, "path_with_namespace": "g/q",
        }));
        assert_eq!(renamed.unwrap().kind, WebhookKind::Project);
        assert_eq!(about(serde_json::json!({"object_kind": "wiki_page"})), None);
        let odd = serde_json::json!({"object_kind": "shiny", "project": "a string"});
        assert_eq!(about(odd), None);
        assert_eq!(about(serde_json::json!({"object_kind": 7})), None);
        assert_eq!(
            about(serde_json::json!({"event_name": "user_create"})),
            None
        );
        assert_eq!(about(serde_json::json!({"object_kind": "push"})), None);
        assert_eq!(about(serde_json::json!(7)), None);
        assert_eq!(read("["), Err(NotJson));
    }
}
