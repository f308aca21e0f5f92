//! What the server keeps of attempts that failed, and what it removes.

use buildbtw_model::{AttemptId, Explanation};

use crate::repos::Repos;

/// The maximum length of a message and of a hint; the log has the rest.
const MAX_MESSAGE: usize = 4_000;

/// Truncates an explanation and replaces control characters, which would affect terminals. Builders of earlier versions
/// report hints as lines of the message.
pub(super) fn sanitize(explanation: &Explanation) -> Explanation {
    let explanation = match explanation.hint {
        Some(_) => explanation.clone(),
        None => Explanation::parse(&explanation.message),
    };
    Explanation {
        message: sanitize_text(&explanation.message),
        hint: explanation.hint.as_deref().map(sanitize_text),
    }
}

fn sanitize_text(text: &str) -> String {
    let plain = |char: char| match char {
        '\n' => '\n',
        char if char.is_control() => ' ',
        char => char,
    };
    text.chars().map(plain).take(MAX_MESSAGE).collect()
}

/// Removes the uploads of an attempt that ended without success.
pub(super) async fn remove_uploads(repos: &Repos, attempt: AttemptId) {
    let folder = repos.uploads(attempt);
    match fs_err::tokio::remove_dir_all(&folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "cannot remove the uploads of an attempt; retried at the next start");
        }
        _ => {}
    }
}
