//! `status`: what runs, what waits for whom, and the workers.

use buildbtw_model::IterationStatus;
use buildbtw_model::api::NamespaceSummary;
use serde_json::{Value, json};

use super::fake::{Fake, TOKEN, from_json, worker};
use super::program::{CommandOutput, run};

/// Returns a namespace of another person.
fn theirs(name: &str, status: &str) -> NamespaceSummary {
    let counts = json!({
        "blocked": 0, "ready": 0, "building": 1, "done": 2, "failed": 1, "cancelled": 0,
    });
    from_json(json!({
        "name": name, "changesets": ["icu/main"], "scope": "transitive", "created_by": "cleo",
        "created_at": "2026-11-30T10:00:00Z",
        "iteration": {
            "number": 1, "status": status, "reason": "created", "counts": counts,
            "created_at": "2026-11-30T10:00:00Z",
        },
    }))
}

async fn status(fake: &Fake, args: &[&str]) -> CommandOutput {
    let home = tempfile::tempdir().unwrap();
    let args = [&["status"][..], args].concat();
    run(home.path(), &fake.url, &args).await
}

fn token() -> String {
    format!("--token={TOKEN}")
}

#[tokio::test]
async fn lists_own_namespaces_and_counts_those_of_others() {
    let fake = Fake::start(&["libgreet"]).await;
    fake.change(|inner| {
        inner.others = vec![theirs("icu", "running"), theirs("qt", "failed")];
        let more = [("w2", "idle"), ("w3", "lost-contact")];
        let more = more.map(|(name, status)| worker(name, status));
        inner.workers.extend(more);
    });
    let own = status(&fake, &[&token()]).await;
    assert_eq!(
        (own.code, own.stdout.as_str()),
        (
            0,
            "MINE   BUILT  BUILDING  FAILED  ETA\n\
             space  0/1    0         0       -\n\
             \n\
             others: 1 running, 1 failed (`--everyone` lists them)\n\
             workers: 1 building, 1 idle, 1 lost\n\
             mine: 1 running, 0 need attention\n"
        )
    );
    let expected = "RUNNING  BUILT  BUILDING  FAILED  ETA\n\
                    space    0/1    0         0       -\n\
                    icu      2/4    1         1       -\n\
                    \n\
                    ATTENTION  STATE   FAILED  BLOCKED  NEXT\n\
                    qt         failed  1       0        buildbtw show qt --failed\n\
                    \n\
                    workers: 1 building, 1 idle, 1 lost\n\
                    2 running, 1 needs attention\n";
    let everyone = status(&fake, &["--everyone", &token()]).await;
    assert_eq!(everyone.stdout, expected);
    let anonymous = status(&fake, &[]).await;
    assert_eq!((anonymous.code, anonymous.stdout.as_str()), (0, expected));
}

#[tokio::test]
async fn lists_what_own_namespaces_wait_for() {
    let fake = Fake::start(&["libgreet"]).await;
    fake.change(|inner| {
        inner.replan_error = Some("`libgreet` has no branch `main`".into());
        let stalled = Some("no worker builds for it".into());
        inner.iteration.architectures[0].stalled = stalled;
    });
    let stalled = status(&fake, &[&token()]).await;
    for line in [
        "space     not planned  buildbtw new-iteration space  `libgreet` has no branch `main`\n",
        "space     stalled      buildbtw workers              x86_64: no worker builds for it\n",
        "mine: 1 running, 2 need attention\n",
    ] {
        assert!(stalled.stdout.contains(line), "{}", stalled.stdout);
    }
    fake.end(IterationStatus::Failed);
    let failed = status(&fake, &["--json=mine,needs_me", &token()]).await;
    let failed: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(failed["mine"], json!([]));
    let first = json!({
        "namespace": "space", "kind": "failed", "reason": "0 failed, 0 blocked",
        "next": "buildbtw show space --failed",
    });
    assert_eq!(failed["needs_me"][0], first);
}

#[tokio::test]
async fn fits_one_screen_and_refuses_a_wrong_token() {
    let fake = Fake::start(&["libgreet"]).await;
    fake.change(|inner| {
        let running = (0..40).map(|number| theirs(&format!("run{number}"), "running"));
        let failed = (0..40).map(|number| theirs(&format!("bad{number}"), "failed"));
        inner.others = running.chain(failed).collect();
    });
    let everyone = status(&fake, &["--everyone", &token()]).await;
    let lines = everyone.stdout.lines().count();
    assert!(lines < 24, "{lines} lines: {}", everyone.stdout);
    assert!(
        everyone.stdout.contains("more (`--all` prints them)\n"),
        "{}",
        everyone.stdout
    );
    let all = status(&fake, &["--everyone", "--all", &token()]).await;
    assert_eq!(all.stdout.matches("buildbtw show bad").count(), 40);
    let wrong = status(&fake, &["--token=wrong"]).await;
    assert_eq!((wrong.code, wrong.stdout.as_str()), (3, ""));
    assert!(
        wrong
            .stderr
            .contains("hint: run `buildbtw login` with a valid token"),
        "{}",
        wrong.stderr
    );
}
