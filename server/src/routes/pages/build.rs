//! `/builds/{id}`: one build with its attempts and a log.

use axum::extract::State;
use buildbtw_model::{AttemptId, BuildId};
use serde::Deserialize;

use super::error::{PageResult, page};
use super::response::links;
use crate::address::BaseUrl;
use crate::error::Error;
use crate::routes::extract;
use crate::service::read::build;
use crate::state::AppState;
use crate::views::build::{BuildPage, LogTail, is_live, select_attempt, with_origin};
use crate::views::log;

/// Size of the end of a log that the page shows.
const TAIL: u64 = 64 * 1024;

#[derive(Deserialize)]
pub(crate) struct BuildQuery {
    attempt: Option<AttemptId>,
}

pub(crate) async fn show_build(
    State(state): State<AppState>,
    server: BaseUrl,
    id: Result<extract::Path<BuildId>, Error>,
    query: Result<extract::Query<BuildQuery>, Error>,
) -> PageResult {
    let extract::Path(id) = id?;
    let extract::Query(query) = query?;
    let detail = with_origin(build::show_build(&state.database, &server, id).await?);
    let attempt = select_attempt(&detail, query.attempt).cloned();
    if let (Some(wanted), None) = (query.attempt, &attempt) {
        let what = format!("attempt {wanted} of build {id}");
        return Err(Error::not_found(what).into());
    }
    let log = match attempt {
        Some(attempt) => {
            let tail = read_tail(&state, attempt.id, is_live(&attempt)).await?;
            Some((attempt, tail))
        }
        None => None,
    };
    page(&BuildPage::new(
        detail,
        log,
        state.clock.now().into(),
        &links(&state),
    )?)
}

async fn read_tail(state: &AppState, attempt: AttemptId, live: bool) -> Result<LogTail, Error> {
    let length = state.logs.length(attempt).await?;
    let from = length.saturating_sub(TAIL);
    let bytes = state.logs.read(attempt, from, TAIL).await?;
    let (skipped, shown) = whole_lines(&bytes, from > 0, live);
    let skipped = from + skipped as u64;
    Ok(LogTail {
        skipped,
        end: skipped + shown.len() as u64,
        html: log::render(shown),
        has_pkgbuild: state.logs.has_pkgbuild(attempt).await?,
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
