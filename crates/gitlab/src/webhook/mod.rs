//! Webhooks: verifies that they come from GitLab, and reads what they are about. The rest of their content is not
//! used; the server queries the current state instead.

mod outline;
mod sender;

use buildbtw_model::{ProjectId, text_enum};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::settings::WebhookSecrets;

use outline::Outline;
use sender::Sender;

pub use outline::NotJson;
pub use sender::VerificationError;

/// A webhook that is being received: its sender is verified, and its subject is read, while the body arrives.
#[derive(Debug)]
pub struct Incoming {
    sender: Sender,
    outline: Outline,
}

/// A webhook whose sender is verified.
#[derive(Debug)]
pub struct Delivery {
    /// The sender's ID; repeated deliveries have the same.
    pub id: String,
    /// Its subject; `None` when that is irrelevant, or lacks GitLab's project ID. GitLab disables webhooks that are
    /// rejected too often, so only invalid JSON is an error.
    pub webhook: Result<Option<Webhook>, NotJson>,
}

impl Incoming {
    /// Verifies the headers of a webhook, before its body is read.
    ///
    /// # Errors
    /// When it does not come from GitLab, or is too old.
    pub fn begin(
        secrets: &WebhookSecrets,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Self, VerificationError> {
        Ok(Self {
            sender: Sender::of(secrets, headers, now)?,
            outline: Outline::default(),
        })
    }

    /// Returns whether the secret token has already verified the sender.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.sender.is_verified()
    }

    /// Processes the next chunk of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.sender.update(piece);
        self.outline.update(piece);
    }

    /// Verifies the signature of the body, and returns the delivery.
    ///
    /// # Errors
    /// When the body is not the one that was signed.
    pub fn finish(self) -> Result<Delivery, VerificationError> {
        Ok(Delivery {
            id: self.sender.finish()?,
            webhook: parse(self.outline),
        })
    }
}

text_enum! {
    /// The subject of a webhook.
    WebhookKind, "kind of webhook" {
        /// Branches moved.
        Push = "push",
        /// Tags moved.
        TagPush = "tag_push",
        /// A merge request changed.
        MergeRequest = "merge_request",
        /// A project was created, removed or renamed (system hooks only).
        Project = "project",
        /// A pipeline changed.
        Pipeline = "pipeline",
        /// A job changed.
        Job = "job",
    }
}

impl WebhookKind {
    /// Returns whether the contents of the sources may have changed.
    #[must_use]
    pub fn moves_sources(self) -> bool {
        !self.is_of_pipelines()
    }

    /// Returns whether the status of a pipeline may have changed.
    #[must_use]
    pub fn is_of_pipelines(self) -> bool {
        matches!(self, Self::Pipeline | Self::Job)
    }
}

/// The subject of a webhook, as the webhook states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its kind.
    pub kind: WebhookKind,
    /// The project.
    pub project_id: ProjectId,
    /// The full path of the project, if the webhook has it.
    pub path: Option<String>,
}

fn parse(outline: Outline) -> Result<Option<Webhook>, NotJson> {
    Ok(outline.finish()?.as_ref().and_then(webhook_of))
}

fn webhook_of(members: &serde_json::Value) -> Option<Webhook> {
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
    // Parsed after the kind: irrelevant webhooks may have any form.
    let envelope = Envelope::deserialize(members).ok()?;
    let project = envelope.project.unwrap_or_default();
    let project_id = envelope.project_id.or(project.id)?;
    Some(Webhook {
        kind,
        project_id,
        path: project.path_with_namespace.or(envelope.path_with_namespace),
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
    project: Option<ProjectPart>,
}

#[derive(Default, Deserialize)]
struct ProjectPart {
    id: Option<ProjectId>,
    path_with_namespace: Option<String>,
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
            })
        );
        let request = about(serde_json::json!({
            "object_kind": "merge_request", "project": {"id": 3},
            "object_attributes": {"id": 900, "iid": 5},
        }));
        assert_eq!(request.unwrap().kind, WebhookKind::MergeRequest);
        let job = about(serde_json::json!({
            "object_kind": "build", "project_id": 3, "build_id": 77, "pipeline_id": 8,
        }));
        assert_eq!(job.unwrap().kind, WebhookKind::Job);
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

    #[test]
    fn error_matches_snapshot() {
        insta::assert_snapshot!(NotJson);
    }
}
