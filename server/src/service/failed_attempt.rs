//! What the server keeps of attempts that failed, and what it removes.

use buildbtw_model::AttemptId;

use crate::repos::Repos;

/// The maximum length of a message; the log has the rest.
const MAX_MESSAGE: usize = 4_000;

/// Truncates a message and replaces control characters, which would affect terminals.
pub(super) fn sanitize_message(message: &str) -> String {
    let plain = |char: char| match char {
        '\n' => '\n',
        char if char.is_control() => ' ',
        char => char,
    };
    message.chars().map(plain).take(MAX_MESSAGE).collect()
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
