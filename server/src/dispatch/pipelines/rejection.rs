//! Classifies why GitLab refuses to create a pipeline: whether it may succeed later, and what a user has to do.

use std::time::Duration;

use buildbtw_gitlab::{GitlabError, GitlabErrorKind};

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
    Permanent(String),
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
                Self::Permanent(format!(
                    "GitLab refuses to create a pipeline for {}: {}{}",
                    error.about,
                    flatten_errors(message),
                    hint(message)
                ))
            }
            // Another change of the project is in progress.
            GitlabErrorKind::Status { status: 409, .. } => Self::Temporary(CONFLICT_PAUSE),
            GitlabErrorKind::Status { status: 404, .. } => Self::Permanent(format!(
                "GitLab no longer has project {}, or the server's token cannot see it",
                error.about
            )),
            GitlabErrorKind::Forbidden(message) => Self::Permanent(format!(
                "the server's token is not allowed to run pipelines in {}: {message}; it needs the role Developer, or \
                 Maintainer for protected branches that only maintainers may push to",
                error.about
            )),
            GitlabErrorKind::Status { message, .. } => Self::Permanent(format!(
                "GitLab refuses to create a pipeline for {}: {}",
                error.about,
                flatten_errors(message)
            )),
            _ => Self::General,
        }
    }
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
fn hint(message: &str) -> &'static str {
    let says = |phrase: &str| message.contains(phrase);
    if says("Missing CI config file") {
        "; `buildbtw-server gitlab set-ci-config` sets the template of all projects"
    } else if says("Reference not found") || says("Commit not found") {
        "; the branch was deleted: create a new iteration"
    } else if says("set pipeline variables") {
        "; let the server's role set variables (ci_pipeline_variables_minimum_override_role), or use \
         --gitlab-parameters=inputs"
    } else if says("nput") {
        "; check that the project uses the current template; GitLab before 17.10 needs \
         --gitlab-parameters=variables"
    } else if says("sufficient permission") || says("Insufficient permissions") {
        "; the token's role must be allowed to push or merge to protected branches"
    } else if says("filtered out by workflow rules") || says("would have been empty") {
        "; the template must be used unchanged"
    } else {
        ""
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
    fn adds_remedy_to_refusal() {
        let refused = bad_request(r#"{"base":["Missing CI config file"]}"#);
        let Rejection::Permanent(message) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            message.contains("Missing CI config file; `buildbtw-server"),
            "{message}"
        );
        assert!(!message.contains('{'), "{message}");
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
