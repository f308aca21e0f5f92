//! Records the traces of attempts. Their times are in the database, and the ids of their spans follow from that of the
//! attempt, so that a trace is complete, and its parts belong together, wherever the server was restarted.

use std::time::{Duration, SystemTime};

use buildbtw_model::{AttemptId, AttemptStatus, BuildId, SpanId};
use buildbtw_telemetry::otlp::{KeyValue, Span, SpanKind};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::changes::Traced;
use crate::db::Database;
use crate::db::attempts::{self, TracedAttempt};
use crate::state::trace_recorder::TraceRecorder;
use crate::time::Millis;

/// How long the export of the last spans may take at shutdown.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Records the traces that are due. Those of a failed call stay due.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn record_traces(
    database: &Database,
    recorder: &TraceRecorder,
) -> sqlx::Result<()> {
    let due = recorder.due.take();
    if due.is_empty() {
        return Ok(());
    }
    let ended: Vec<AttemptId> = due.iter().filter_map(Traced::attempt).collect();
    let published: Vec<BuildId> = due.iter().filter_map(Traced::build).collect();
    let attempts = match attempts::traced(database.read(), &ended, &published).await {
        Ok(attempts) => attempts,
        Err(error) => {
            recorder.due.put_back(due);
            return Err(error);
        }
    };
    for attempt in attempts {
        if recorder.traces.records(attempt.id.into()) {
            for span in spans(&attempt) {
                recorder.traces.record(span);
            }
        }
    }
    Ok(())
}

/// Records the traces that are still due at shutdown, and exports what is recorded.
pub(crate) async fn finish_traces(database: &Database, recorder: &TraceRecorder) {
    if let Err(error) = record_traces(database, recorder).await {
        tracing::warn!(error = error.to_string(), "cannot record the last traces");
    }
    recorder.traces.shutdown(EXPORT_TIMEOUT).await;
}

/// Returns the root of an attempt's trace, and its parts. Requests of its builder are further parts.
fn spans(attempt: &TracedAttempt) -> Vec<Span> {
    let TracedAttempt {
        created_at,
        started_at,
        finished_at,
        published_at,
        ..
    } = *attempt;
    // A build that was requeued meanwhile became ready later.
    let ready_at = attempt.ready_at.unwrap_or(created_at).min(created_at);
    let ended_at = finished_at.unwrap_or(created_at);
    let parts = [
        ("claim", Some(ready_at), Some(created_at)),
        ("dispatch", Some(created_at), started_at.or(finished_at)),
        ("build", started_at, finished_at),
        ("publish", published_at.and(finished_at), published_at),
    ];
    let parts = parts
        .into_iter()
        .filter_map(|(name, start, end)| Some(part(attempt.id, name, start?, end?)));
    let root = Span {
        trace: attempt.id.into(),
        id: SpanId::root_of(attempt.id),
        parent: None,
        is_parent_remote: false,
        name: "attempt".into(),
        kind: SpanKind::Internal,
        start: system_time(ready_at),
        end: system_time(published_at.unwrap_or(ended_at)),
        attributes: attributes(attempt),
        error: error(attempt),
    };
    std::iter::once(root).chain(parts).collect()
}

fn part(attempt: AttemptId, name: &'static str, start: Millis, end: Millis) -> Span {
    Span {
        trace: attempt.into(),
        id: part_id(attempt, name),
        parent: Some(SpanId::root_of(attempt)),
        is_parent_remote: false,
        name: name.into(),
        kind: SpanKind::Internal,
        start: system_time(start),
        end: system_time(end),
        attributes: Vec::new(),
        error: None,
    }
}

/// Returns the id of a part, which is the same whenever it is recorded.
fn part_id(attempt: AttemptId, name: &str) -> SpanId {
    let digest = Sha256::new()
        .chain_update(attempt.as_bytes())
        .chain_update(name)
        .finalize();
    let first = digest.first_chunk::<8>().copied().unwrap_or_default();
    // A digest of zeros does not occur, but has to have some id.
    SpanId::from_bytes(first).unwrap_or_else(|| SpanId::root_of(attempt))
}

fn attributes(attempt: &TracedAttempt) -> Vec<KeyValue> {
    let text =
        |name: &'static str, value: &dyn std::fmt::Display| KeyValue::new(name, value.to_string());
    let mut attributes = vec![
        text("buildbtw.attempt.id", &attempt.id),
        KeyValue::new("buildbtw.attempt.number", i64::from(attempt.number)),
        text("buildbtw.attempt.status", &attempt.status),
        KeyValue::new("buildbtw.build.id", attempt.build.0),
        text("buildbtw.pkgbase", &attempt.pkgbase),
        text("buildbtw.architecture", &attempt.architecture),
        text("buildbtw.namespace", &attempt.namespace),
        KeyValue::new("buildbtw.iteration", i64::from(attempt.iteration)),
        text("buildbtw.worker", &attempt.worker),
    ];
    attributes.extend(
        attempt
            .failure
            .map(|kind| text("buildbtw.failure.kind", &kind)),
    );
    attributes
}

fn error(attempt: &TracedAttempt) -> Option<std::borrow::Cow<'static, str>> {
    match (attempt.status, attempt.failure) {
        (AttemptStatus::Queued | AttemptStatus::Running | AttemptStatus::Succeeded, _) => None,
        (AttemptStatus::Failed, Some(kind)) => Some(format!("{kind} failure").into()),
        (AttemptStatus::Failed, None) => Some("failed".into()),
        (AttemptStatus::Lost, _) => Some("lost".into()),
    }
}

fn system_time(time: Millis) -> SystemTime {
    Timestamp::from(time).into()
}

#[cfg(test)]
mod tests {
    use buildbtw_model::TraceId;

    use super::*;

    fn attempt() -> TracedAttempt {
        TracedAttempt {
            id: "0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b".parse().unwrap(),
            number: 2,
            status: AttemptStatus::Succeeded,
            failure: None,
            worker: "builder-1".parse().unwrap(),
            build: BuildId(7),
            pkgbase: "libgreet".parse().unwrap(),
            architecture: "x86_64".parse().unwrap(),
            namespace: "bump".parse().unwrap(),
            iteration: 1,
            ready_at: Some(Millis(1_000)),
            created_at: Millis(2_000),
            started_at: Some(Millis(3_000)),
            finished_at: Some(Millis(4_000)),
            published_at: Some(Millis(5_000)),
        }
    }

    /// Returns names and times in seconds.
    fn times(attempt: &TracedAttempt) -> Vec<(String, u64, u64)> {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap().as_secs()
        };
        let spans = spans(attempt).into_iter();
        spans
            .map(|span| (span.name.into(), seconds(span.start), seconds(span.end)))
            .collect()
    }

    fn named(expected: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
        let expected = expected.iter();
        expected
            .map(|(name, start, end)| ((*name).to_owned(), *start, *end))
            .collect()
    }

    #[test]
    fn covers_attempt_from_ready_to_published() {
        let expected = [
            ("attempt", 1, 5),
            ("claim", 1, 2),
            ("dispatch", 2, 3),
            ("build", 3, 4),
            ("publish", 4, 5),
        ];
        assert_eq!(times(&attempt()), named(&expected));
    }

    #[test]
    fn ends_with_the_attempt_if_it_failed() {
        let failed = TracedAttempt {
            status: AttemptStatus::Lost,
            // Requeued after the attempt ended.
            ready_at: Some(Millis(9_000)),
            started_at: None,
            published_at: None,
            ..attempt()
        };
        let expected = [("attempt", 2, 4), ("claim", 2, 2), ("dispatch", 2, 4)];
        assert_eq!(times(&failed), named(&expected));
        assert_eq!(spans(&failed)[0].error.as_deref(), Some("lost"));
    }

    #[test]
    fn gives_spans_the_same_ids_each_time() {
        let ids = || {
            let spans = spans(&attempt()).into_iter();
            spans.map(|span| span.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(), ids());
        let mut different = ids();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), 5);
        for span in &spans(&attempt())[1..] {
            assert_eq!(span.parent, Some(ids()[0]));
            assert_eq!(span.trace, TraceId::from(attempt().id));
        }
    }
}
