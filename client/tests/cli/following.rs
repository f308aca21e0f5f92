//! Following a rebuild and a log.

use buildbtw_model::{AttemptStatus, BuildStatus, IterationStatus};

use super::fake::{Fake, TOKEN};
use super::program::{Running, buildbtw};

fn follow(fake: &Fake, home: &tempfile::TempDir, args: &[&str]) -> Running {
    let mut command = buildbtw(home.path(), &fake.url, args);
    command.env("BUILDBTW_TOKEN", TOKEN);
    Running::start(command)
}

#[tokio::test]
async fn follows_rebuild_to_its_end_across_broken_connections() {
    let (fake, home) = (
        Fake::start(&["libgreet", "greeter"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut run = follow(&fake, &home, &["new", "libgreet/main", "--follow"]);
    run.line("iteration 1: 2 builds (first)").await;
    fake.build("libgreet", BuildStatus::Building, None);
    let line = run.line("libgreet").await;
    assert_eq!(line, "22:13:21 building libgreet 2.0-1");
    // The server restarts while the build continues.
    fake.change(|inner| inner.away = true);
    fake.interrupt_streams();
    fake.build("libgreet", BuildStatus::Built, Some("2.0-1"));
    fake.change(|inner| inner.away = false);
    let line = run.line("built").await;
    assert_eq!(line, "22:13:22 built libgreet 2.0-1 (1.0 s)");
    fake.build("greeter", BuildStatus::Building, None);
    fake.build("greeter", BuildStatus::Built, Some("2.0-1.1"));
    let line = run.line("built greeter").await;
    assert_eq!(line, "22:13:24 built greeter 2.0-1.1 (1.0 s)");
    fake.end(IterationStatus::Done);
    let ran = run.end().await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stdout.matches("built libgreet").count(),
        1,
        "{}",
        ran.stdout
    );
    let end = "\n\nrepository for x86_64: http://server/repo/space/latest/x86_64\n\n  \
               [space]\n  Server = http://server/repo/x\n\nspace done: 2 of 2 built in 4.0 s";
    assert!(ran.stdout.ends_with(end), "{}", ran.stdout);
    assert!(ran.stderr.contains("connection lost"), "{}", ran.stderr);
    let created = fake.change(|inner| inner.created.take()).unwrap();
    assert_eq!(created.changesets[0].to_string(), "libgreet/main");
}

#[tokio::test]
async fn prints_failures_with_the_builds_they_block() {
    let (fake, home) = (
        Fake::start(&["libgreet", "party"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut run = follow(&fake, &home, &["watch", "space"]);
    run.line("iteration 1").await;
    fake.change(|inner| {
        let party = &mut inner.iteration.builds[1];
        party.status = BuildStatus::Blocked;
        party.blocked_by = vec!["libgreet".parse().unwrap()];
        inner.build("libgreet", BuildStatus::Failed, Some("no \x1b[2Jcompiler"));
    });
    fake.end(IterationStatus::Failed);
    let ran = run.end().await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let end = "\n\nfailed libgreet 2.0-1\n  no  [2Jcompiler\n  blocks party\n  \
               log: buildbtw logs space libgreet\n  repeat: buildbtw build space libgreet\n\n\
               space failed: 0 of 2 built in 1.0 s (1 failed, 1 blocked)";
    assert!(ran.stdout.ends_with(end), "{:?}", ran.stdout);
}

#[tokio::test]
async fn uses_own_exit_codes_for_cancelled_rebuilds_and_interrupts() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut run = follow(&fake, &home, &["watch", "space"]);
    run.line("iteration 1").await;
    run.interrupt();
    let ran = run.end().await;
    assert_eq!(ran.code, 130);
    assert!(
        ran.stderr.contains("buildbtw watch space"),
        "{}",
        ran.stderr
    );

    let mut run = follow(&fake, &home, &["watch", "space", "--json=all"]);
    // Following has begun when the first event arrives.
    fake.build("libgreet", BuildStatus::Cancelled, None);
    fake.end(IterationStatus::Cancelled);
    let last = run.line("\"origins\"").await;
    assert!(last.contains("\"status\":\"cancelled\""), "{last}");
    assert_eq!(run.end().await.code, 2);
}

#[tokio::test]
async fn follows_log_without_gaps_across_broken_connections() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.change(|inner| {
        inner.iteration.builds[0].attempt = Some(inner.attempt.id);
        inner.log.extend(b"one\n\x1b[2Jtwo\n");
    });
    let mut run = follow(&fake, &home, &["logs", "space", "libgreet", "--follow"]);
    run.line("two").await;
    fake.interrupt_streams();
    fake.change(|inner| inner.log.extend(b"three\n"));
    run.line("three").await;
    fake.change(|inner| {
        inner.log.extend(b"four\n");
        inner.attempt.status = AttemptStatus::Succeeded;
    });
    let ran = run.end().await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // Output to a pipe is not escaped.
    assert_eq!(ran.stdout, "one\n\x1b[2Jtwo\nthree\nfour");
}

#[tokio::test]
async fn explains_that_the_followed_namespace_was_deleted() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut run = follow(&fake, &home, &["watch", "space"]);
    run.line("iteration 1").await;
    fake.change(|inner| inner.deleted = true);
    fake.interrupt_streams();
    let ran = run.end().await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let end = "error: namespace `space` was deleted while it was followed\n\
               hint: `buildbtw list` lists the namespaces that exist\n";
    assert!(ran.stderr.ends_with(end), "{}", ran.stderr);
}
