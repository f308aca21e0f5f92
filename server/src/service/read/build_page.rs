//! The page of a build: its details, and the end of the log of one of its attempts.

use buildbtw_model::api::{AttemptSummary, BuildDetail};
use buildbtw_model::{AttemptId, AttemptStatus, BuildId};

use crate::address::BaseUrl;
use crate::db::Database;
use crate::error::Error;
use crate::logs::Logs;

use super::build::show_build;

/// Size in bytes of the end of a log that the page shows.
const TAIL: u64 = 64 * 1024;

/// The content of a build's page.
pub struct BuildContent {
    /// The build. Its attempts include the one that built reused packages.
    pub detail: BuildDetail,
    /// The end of the log of the shown attempt, if there is an attempt.
    pub log: Option<LogTail>,
}

/// The end of an attempt's log.
pub struct LogTail {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its number.
    pub number: u32,
    /// Whether the log may grow.
    pub live: bool,
    /// Number of bytes before the text.
    pub skipped: u64,
    /// Whole lines, except that the last one may be incomplete if the attempt has ended.
    pub text: Vec<u8>,
    /// Whether the attempt's PKGBUILD is stored.
    pub has_pkgbuild: bool,
}

/// Returns a build with the end of the log of the attempt `wanted`, or of the newest one.
///
/// # Errors
/// When there is no such build, it has no such attempt, or the disk fails.
pub async fn build_page(
    database: &Database,
    logs: &Logs,
    server: &BaseUrl,
    id: BuildId,
    wanted: Option<AttemptId>,
) -> Result<BuildContent, Error> {
    let detail = with_origin(show_build(database, server, id).await?);
    let attempt = match wanted {
        None => detail.attempts.first(),
        Some(wanted) => {
            let found = detail.attempts.iter().find(|attempt| attempt.id == wanted);
            Some(found.ok_or_else(|| no_attempt_of(id, wanted))?)
        }
    };
    let log = match attempt {
        Some(attempt) => Some(read_tail(logs, attempt).await?),
        None => None,
    };
    Ok(BuildContent { detail, log })
}

/// Creates the refusal of an attempt that a build does not have.
pub(in crate::service) fn no_attempt_of(build: BuildId, attempt: AttemptId) -> Error {
    Error::not_found(format!("attempt {attempt} of build {build}"))
        .hint("the page of the build lists its attempts")
}

/// Adds the attempt that built the packages of a reused build to its attempts.
fn with_origin(mut detail: BuildDetail) -> BuildDetail {
    let origin = detail.summary.reused_from.as_mut();
    if let Some(attempt) = origin.and_then(|origin| origin.made_by.take()) {
        // A build has the attempt itself once its original build is removed.
        detail.attempts.retain(|own| own.id != attempt.id);
        detail.attempts.insert(0, *attempt);
    }
    detail
}

/// Returns whether the log of an attempt may grow.
fn is_live(attempt: &AttemptSummary) -> bool {
    match attempt.status {
        AttemptStatus::Queued | AttemptStatus::Running => true,
        AttemptStatus::Succeeded | AttemptStatus::Failed | AttemptStatus::Lost => false,
    }
}

async fn read_tail(logs: &Logs, attempt: &AttemptSummary) -> Result<LogTail, Error> {
    let (id, live) = (attempt.id, is_live(attempt));
    let length = logs.length(id).await?;
    let from = length.saturating_sub(TAIL);
    let bytes = logs.read(id, from, TAIL).await?;
    let (skipped, shown) = whole_lines(&bytes, from > 0, live);
    Ok(LogTail {
        attempt: id,
        number: attempt.number,
        live,
        skipped: from + skipped as u64,
        text: shown.to_vec(),
        has_pkgbuild: logs.has_pkgbuild(id).await?,
    })
}

/// Returns the whole lines of a part of a log, with the number of bytes before them. The last line may be
/// incomplete if the log has ended. A line longer than the part is cut.
fn whole_lines(bytes: &[u8], cut: bool, live: bool) -> (usize, &[u8]) {
    let after_newline = |newline: Option<usize>| newline.map(|position| position + 1);
    let is_newline = |byte: &u8| *byte == b'\n';
    let start = match after_newline(bytes.iter().position(is_newline)) {
        Some(start) if cut && start < bytes.len() => start,
        _ => 0,
    };
    let rest = bytes.get(start..).unwrap_or_default();
    let end = match after_newline(rest.iter().rposition(is_newline)) {
        Some(end) if live => end,
        _ => rest.len(),
    };
    (start, rest.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_log_tail_at_line_boundaries() {
        assert_eq!(whole_lines(b"ne\ntwo\nth", true, true), (3, &b"two\n"[..]));
        assert_eq!(
            whole_lines(b"one\ntwo", false, false),
            (0, &b"one\ntwo"[..])
        );
        assert_eq!(whole_lines(b"endless", true, true), (0, &b"endless"[..]));
        assert_eq!(whole_lines(b"half\n", true, false), (0, &b"half\n"[..]));
        assert_eq!(whole_lines(b"", false, true), (0, &b""[..]));
    }
}
