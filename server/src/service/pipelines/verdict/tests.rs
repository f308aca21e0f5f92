use super::*;
use buildbtw_model::{AttemptStatus, JobId};

use crate::service::pipelines::completion::withdrawn;
use crate::testing;
use crate::time::Millis;

/// Returns the pipeline of an attempt that its job runs.
fn row() -> PipelineRow {
    PipelineRow {
        job_id: Some(JobId(7)),
        job_timeout: Some(Seconds(3_600)),
        attempt_status: AttemptStatus::Running,
        ..testing::pipeline_row()
    }
}

fn reported(kind: FailureKind, message: &str) -> PipelineRow {
    PipelineRow {
        reported_at: Some(Millis(1)),
        reported_kind: Some(kind),
        reported_message: Some(message.into()),
        ..row()
    }
}

fn job(reason: &str, duration: f64) -> Job {
    Job {
        id: JobId(7),
        name: "build".into(),
        status: PipelineStatus::Failed,
        failure_reason: Some(reason.to_owned().into()),
        duration: Some(duration),
    }
}

fn end(
    row: &PipelineRow,
    status: Option<PipelineStatus>,
    jobs: &[Job],
) -> (bool, FailureKind, String) {
    let facts = Facts {
        status,
        jobs,
        errors: None,
        log: None,
        is_our_cancel: false,
    };
    match verdict(row, &facts) {
        End::Permanent(kind, explanation) => (true, kind, explanation.to_string()),
        End::Transient(kind, explanation) => (false, kind, explanation.to_string()),
    }
}

#[test]
fn respects_cancellation_in_gitlab() {
    let cancelled = Some(PipelineStatus::Canceled);
    assert!(end(&row(), None, &[]).0);
    assert!(end(&row(), cancelled, &[]).0);
    let ours = Facts {
        status: cancelled,
        jobs: &[],
        errors: None,
        log: None,
        is_our_cancel: true,
    };
    assert!(matches!(verdict(&row(), &ours), End::Transient(..)));
}

/// Checks, for each of GitLab's reasons and each earlier report of a job, whether the failure is permanent, and
/// its kind.
#[test]
fn prefers_failure_reason_of_gitlab_over_report() {
    use FailureKind::{Cancelled, Infrastructure, Timeout};
    let rows = [
        row(),
        reported(Cancelled, "stopped"),
        reported(Infrastructure, "no space left"),
    ];
    let table = [
        ("job_execution_timeout", [(true, Timeout); 3]),
        ("job_execution_server_timeout", [(true, Timeout); 3]),
        ("server_timeout_running", [(true, Timeout); 3]),
        ("stuck_or_timeout_failure", [(false, Infrastructure); 3]),
        ("no_updates_running", [(false, Infrastructure); 3]),
        ("runner_system_failure", [(false, Infrastructure); 3]),
        ("runner_interrupted", [(false, Infrastructure); 3]),
        ("script_failure", [(false, Infrastructure); 3]),
        ("unknown_failure", [(false, Infrastructure); 3]),
        ("something new", [(false, Infrastructure); 3]),
        (
            "runner_configuration_error",
            [
                (true, Infrastructure),
                (true, Infrastructure),
                (false, Infrastructure),
            ],
        ),
    ];
    for (reason, expected) in table {
        for (row, expected) in rows.iter().zip(expected) {
            let failed = Some(PipelineStatus::Failed);
            let (is_permanent, kind, message) = end(row, failed, &[job(reason, 60.0)]);
            assert_eq!((is_permanent, kind), expected, "{reason}: {message}");
        }
    }
    assert!(!end(&row(), Some(PipelineStatus::Failed), &[]).0);
}

#[test]
fn names_exceeded_time_limit() {
    let whole = timeout(&row(), &job("job_execution_timeout", 3_601.5));
    assert!(whole.contains("job timeout of 1 h (3600 s)"), "{whole}");
    let script = timeout(&row(), &job("job_execution_timeout", 754.0));
    assert!(script.contains("after 12 min 34 s (754 s)"), "{script}");
    assert!(script.contains("RUNNER_SCRIPT_TIMEOUT"), "{script}");
    let short = PipelineRow {
        job_timeout: Some(Seconds(5)),
        ..row()
    };
    let short = timeout(&short, &job("job_execution_timeout", 5.0));
    assert!(short.contains("job timeout of 5 s"), "{short}");
}

/// What a user reads for each of GitLab's reasons, and for pipelines without a decisive job.
#[test]
fn ends_match_snapshot() {
    let reasons = [
        "job_execution_timeout",
        "runner_configuration_error",
        "trace_size_exceeded",
        "ci_quota_exceeded",
        "user_blocked",
        "project_deleted",
        "builds_disabled",
        "archived_failure",
        "stuck_or_timeout_failure",
        "no_matching_runner",
        "stuck_pending_with_matching_runners",
        "no_updates_running",
        "runner_system_failure",
        "runner_interrupted",
        "script_failure",
        "unknown_failure",
        "something new",
    ];
    let silent = PipelineRow {
        job_id: None,
        ..row()
    };
    let stopped = reported(FailureKind::Cancelled, "stopped");
    let failed = Some(PipelineStatus::Failed);
    let mut ends: Vec<(String, (bool, FailureKind, String))> = Vec::new();
    for (name, row) in [
        ("", &row()),
        (" before it asked", &silent),
        (" after it was stopped", &stopped),
    ] {
        ends.extend(reasons.map(|reason| {
            let end = end(row, failed, &[job(reason, 3_600.0)]);
            (format!("{reason}{name}"), end)
        }));
    }
    for (name, status) in [
        ("deleted pipeline", None),
        ("cancelled pipeline", Some(PipelineStatus::Canceled)),
        ("successful pipeline", Some(PipelineStatus::Success)),
        ("skipped pipeline", Some(PipelineStatus::Skipped)),
        ("failed pipeline without a job", failed),
    ] {
        ends.push((name.to_owned(), end(&row(), status, &[])));
    }
    let before = (false, FailureKind::Cancelled, withdrawn().to_string());
    ends.push(("cancelled before it was created".to_owned(), before));
    let text = ends.iter().map(|(name, (is_permanent, kind, text))| {
        let retried = if *is_permanent {
            "not retried"
        } else {
            "retried"
        };
        format!("## {name} ({kind}, {retried})\n{text}\n")
    });
    insta::assert_snapshot!(text.collect::<Vec<_>>().join("\n"));
}
