//! Classifies why GitLab refuses to create a pipeline: whether it may succeed later, and what a user has to do.

use std::time::Duration;

use buildbtw_gitlab::{GitlabError, GitlabErrorKind};
use buildbtw_model::Explanation;

/// The pause after GitLab's rate limit of pipelines, which names no time.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(20);
/// The pause after a conflict with another change of the same project.
const CONFLICT_PAUSE: Duration = Duration::from_secs(5);

/// The kind of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The same request may succeed later.
    Temporary(Duration),
    /// Every other request would fail, too.
    General,
    /// The request fails until a user fixes the cause.
    Permanent(Explanation),
}

impl Rejection {
    pub(super) fn of(error: &GitlabError) -> Self {
        match &error.kind {
            GitlabErrorKind::Status {
                status: 400,
                message,
            } => {
                if message.contains("Too many pipelines") {
                    return Self::Temporary(RATE_LIMIT_PAUSE);
                }
                Self::Permanent(Explanation {
                    message: refusal(error, message),
                    hint: hint(message).map(str::to_owned),
                })
            }
            // Another change of the project is in progress.
            GitlabErrorKind::Status { status: 409, .. } => Self::Temporary(CONFLICT_PAUSE),
            GitlabErrorKind::Status { status: 404, .. } => Self::Permanent(Explanation::with_hint(
                format!(
                    "GitLab no longer has project {}, or the server's token cannot see it",
                    error.about
                ),
                "check that it still exists, and the role of the token's user",
            )),
            GitlabErrorKind::Forbidden(message) => Self::Permanent(Explanation::with_hint(
                format!(
                    "the server's token is not allowed to run pipelines in {}: {message}",
                    error.about
                ),
                "give its user the role Developer, or Maintainer for protected branches that only maintainers may \
                 push to",
            )),
            GitlabErrorKind::Status { message, .. } => {
                Self::Permanent(refusal(error, message).into())
            }
            _ => Self::General,
        }
    }
}

/// Returns the message of a pipeline that GitLab refuses to create.
fn refusal(error: &GitlabError, message: &str) -> String {
    format!(
        "GitLab refuses to create a pipeline for {}: {}",
        error.about,
        flatten_errors(message)
    )
}

/// Flattens GitLab's validation errors, which are of the form `{"base":["…"]}`.
fn flatten_errors(message: &str) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(message) else {
        return message.to_owned();
    };
    let texts = fields.values().flat_map(|value| match value {
        serde_json::Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    });
    let texts: Vec<String> = texts
        .map(|text| match text {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        })
        .collect();
    texts.join("; ")
}

/// Returns how to fix the cause of a refusal.
fn hint(message: &str) -> Option<&'static str> {
    let says = |phrase: &str| message.contains(phrase);
    if says("Missing CI config file") {
        Some("set the template of all projects with `buildbtw-server gitlab set-ci-config`")
    } else if says("Reference not found") || says("Commit not found") {
        Some("the branch was deleted: create a new iteration with `buildbtw new-iteration`")
    } else if says("set pipeline variables") {
        Some(
            "let the server's role set variables (ci_pipeline_variables_minimum_override_role), or use \
             --gitlab-parameters=inputs",
        )
    } else if says("nput") {
        Some(
            "check that the project uses the current template; GitLab before 17.10 needs \
             --gitlab-parameters=variables",
        )
    } else if says("sufficient permission") || says("Insufficient permissions") {
        Some("allow the role of the token's user to push or merge to protected branches")
    } else if says("filtered out by workflow rules") || says("would have been empty") {
        Some("use the template unchanged")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: GitlabErrorKind) -> GitlabError {
        GitlabError {
            request: "create pipeline",
            about: "zlib".into(),
            request_id: None,
            kind,
        }
    }

    fn bad_request(message: &str) -> Rejection {
        Rejection::of(&error(GitlabErrorKind::Status {
            status: 400,
            message: message.into(),
        }))
    }

    #[test]
    fn refusals_match_snapshot() {
        let bodies = [
            r#"{"base":["Missing CI config file"]}"#,
            r#"{"base":["Reference not found"]}"#,
            r#"{"base":["Insufficient permissions to set pipeline variables"]}"#,
            r#"{"base":["Input `server` is unknown"]}"#,
            r#"{"base":["You do not have sufficient permission to run a pipeline on 'main'"]}"#,
            r#"{"base":["Pipeline filtered out by workflow rules."]}"#,
            "something else",
        ];
        let status = |status: u16| GitlabErrorKind::Status {
            status,
            message: "403 Forbidden".to_owned(),
        };
        let others = [
            status(404),
            status(422),
            GitlabErrorKind::Forbidden("403 Forbidden".to_owned()),
        ];
        let others = others.map(|kind| Rejection::of(&error(kind)));
        let texts = bodies.map(bad_request).into_iter().chain(others);
        let texts = texts.map(|refused| match refused {
            Rejection::Permanent(explanation) => explanation.to_string(),
            Rejection::Temporary(_) | Rejection::General => panic!("{refused:?}"),
        });
        insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n\n"));
    }

    #[test]
    fn waits_only_for_temporary_refusals() {
        let quota = "Too many pipelines created in the last minute. Try again later.";
        assert!(matches!(bad_request(quota), Rejection::Temporary(_)));
        let expired = error(GitlabErrorKind::InvalidToken("expired".into()));
        assert_eq!(Rejection::of(&expired), Rejection::General);
        let role = error(GitlabErrorKind::Forbidden("403 Forbidden".into()));
        assert!(matches!(Rejection::of(&role), Rejection::Permanent(_)));
    }
}
