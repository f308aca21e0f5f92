//! Commits after a plan: every new tree of a member counts, the same tree does not, and `retry`
//! lists newer commits.

use buildbtw_model::api::{
    CreateIteration, FollowDefault, IterationDetail, ProblemKind, RetryBuilds,
};
use buildbtw_model::{
    BuildStatus, CommitHash, FailureKind, IterationCause, IterationStatus, NotBuiltKind, NoteKind,
};

use crate::support::{
    FakeWorker, SourceTree, Srcinfo, TestServer, eventually, git, new_namespace, parse, refusal,
    run,
};

/// Pushes `libgreet` <- `greet`.
fn pair(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

/// Starts a server with the pair, and the namespace `bump` of `libgreet/main` in which `greet` has failed.
async fn failed(follow_default: FollowDefault) -> (TestServer, FakeWorker) {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    let mut request = new_namespace(&["libgreet/main"]);
    request.name = Some(parse("bump"));
    request.follow_default = follow_default;
    server.admin().create_namespace(&request).await.unwrap();
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    job.fails(FailureKind::Package, "a test failed").await;
    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;
    (server, worker)
}

async fn iteration_of_number(server: &TestServer, number: u32) -> IterationDetail {
    eventually(&format!("iteration {number}"), async || {
        let now = server.iteration("bump").await;
        (now.summary.number == number).then_some(now)
    })
    .await
}

async fn has_status(server: &TestServer, pkgbase: &str, status: BuildStatus) {
    eventually(&format!("{pkgbase} is {status}"), async || {
        let build = server.build("bump", pkgbase).await;
        (build.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn patching_a_dependent_continues_failed_rebuild() {
    let (server, worker) = failed(FollowDefault::AfterS(0)).await;
    let fix = server.sources.push_file("greet", "fix.patch", "better");
    let second = iteration_of_number(&server, 2).await;
    assert_eq!(second.summary.reason, "new commits of greet");
    let pkgbases = vec!["greet".parse().unwrap()];
    assert_eq!(
        second.summary.causes,
        [IterationCause::NewCommits { pkgbases }]
    );
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.source.commit, fix);
    job.succeeds().await;
    has_status(&server, "greet", BuildStatus::Built).await;
    has_status(&server, "libgreet", BuildStatus::Reused).await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn patching_an_origin_continues_failed_rebuild_immediately() {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    // Changes of default branches are gathered forever here.
    let mut request = new_namespace(&["libgreet/main"]);
    request.name = Some(parse("bump"));
    request.follow_default = FollowDefault::Never;
    server.admin().create_namespace(&request).await.unwrap();
    let job = worker.claims_build_of("libgreet").await;
    job.fails(FailureKind::Package, "it does not compile").await;
    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;

    let fix = server.sources.push_file("libgreet", "greet.c", "int main;");
    iteration_of_number(&server, 2).await;
    let job = worker.claims_build_of("libgreet").await;
    assert_eq!(job.claimed.source.commit, fix);
    job.succeeds().await;
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn ignores_commit_with_same_tree() {
    let (server, worker) = failed(FollowDefault::AfterS(0)).await;
    let before = server.build("bump", "libgreet").await;
    server.sources.push_nothing("libgreet");
    let empty = server.sources.push_nothing("greet");
    server
        .source_that("greet", "the empty commit", |source| {
            source.commit.as_ref() == Some(&empty)
        })
        .await;
    // The next real change is the first that leads to an iteration, and the only one that it names.
    server.sources.push_file("greet", "fix.patch", "better");
    let second = iteration_of_number(&server, 2).await;
    assert_eq!(second.summary.reason, "new commits of greet");
    worker.builds("greet").await;
    let after = server.build("bump", "libgreet").await;
    assert_eq!(after.status, BuildStatus::Reused);
    assert_eq!(after.version, before.version);
}

#[tokio::test]
async fn reuses_builds_of_same_tree_across_commits() {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    server.namespace("first", &["libgreet/main"]).await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    for pkgbase in ["libgreet", "greet"] {
        server.sources.push_nothing(pkgbase);
    }
    server.namespace("bump", &["libgreet/main"]).await;
    has_status(&server, "libgreet", BuildStatus::Reused).await;
    has_status(&server, "greet", BuildStatus::Reused).await;
}

#[tokio::test]
async fn ignores_change_outside_the_rebuild_set() {
    let (server, _worker) = failed(FollowDefault::AfterS(0)).await;
    server.sources.push(&Srcinfo::new("other", "1-1"));
    server.source_at("other", "1-1").await;
    let outside = server.sources.push_file("other", "fix.patch", "better");
    server
        .source_that("other", "the patch", |source| {
            source.commit.as_ref() == Some(&outside)
        })
        .await;
    server.sources.push_file("greet", "fix.patch", "better");
    let second = iteration_of_number(&server, 2).await;
    assert_eq!(second.summary.reason, "new commits of greet");
}

#[tokio::test]
async fn follows_dependents_after_origin_branch_was_merged_and_deleted() {
    let server = TestServer::start(|sources| {
        pair(sources);
        sources.push_branch("next", &Srcinfo::new("libgreet", "3.0-1"));
    })
    .await;
    let worker = server.worker("w").await;
    let mut request = new_namespace(&["libgreet/next"]);
    request.name = Some(parse("bump"));
    request.follow_default = FollowDefault::AfterS(0);
    server.admin().create_namespace(&request).await.unwrap();
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    job.fails(FailureKind::Package, "a test failed").await;
    let origin = server.iteration("bump").await.origins[0].commit.clone();

    run(git(&server.sources.path("libgreet")).args(["branch", "-D", "next"]));
    server.sources.push_file("greet", "fix.patch", "better");
    let second = iteration_of_number(&server, 2).await;
    assert_eq!(second.origins[0].commit, origin);
    let note = second
        .notes
        .iter()
        .find(|note| note.kind == NoteKind::Sources);
    let text = &note.unwrap_or_else(|| panic!("{:?}", second.notes)).text;
    assert!(text.contains("libgreet/next no longer exists"), "{text}");
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn follows_members_of_namespace_with_reused_id() {
    let server = TestServer::start(pair).await;
    let create = async |name: &str, follow_default| {
        let mut request = new_namespace(&["libgreet/main"]);
        request.name = Some(parse(name));
        request.follow_default = follow_default;
        server.admin().create_namespace(&request).await.unwrap();
    };
    create("witness", FollowDefault::AfterS(0)).await;
    create("slow", FollowDefault::AfterS(24 * 60 * 60)).await;
    let planned = async |name: &str| {
        eventually(&format!("iteration 2 of {name}"), async || {
            let now = server.iteration(name).await;
            (now.summary.number == 2).then_some(())
        })
        .await;
    };
    server.sources.push_file("greet", "fix.patch", "better");
    // Changes of both are gathered before either is planned.
    planned("witness").await;
    server
        .admin()
        .delete_namespace(&parse("slow"))
        .await
        .unwrap();
    create("bump", FollowDefault::AfterS(0)).await;
    server
        .sources
        .push_file("greet", "fix.patch", "even better");
    planned("bump").await;
}

#[tokio::test]
async fn follows_moved_tag() {
    let server = TestServer::start(|sources| {
        pair(sources);
        sources.tag("libgreet", "release");
    })
    .await;
    server.namespace("bump", &["libgreet/release"]).await;
    let moved = server.sources.push(&Srcinfo::new("libgreet", "2.1-1"));
    let repository = server.sources.path("libgreet");
    run(git(&repository).args(["tag", "--force", "release", "main"]));
    eventually("the tag's commit is planned", async || {
        let now = server.iteration("bump").await;
        (now.origins[0].commit == moved).then_some(())
    })
    .await;
}

fn commit_of(server: &TestServer, pkgbase: &str) -> CommitHash {
    server.sources.commit_of(pkgbase, "main")
}

#[tokio::test]
async fn retry_lists_newer_commits_without_building_them() {
    let (server, worker) = failed(FollowDefault::Never).await;
    let old = commit_of(&server, "greet");
    // The same tree is not newer.
    server.sources.push_nothing("libgreet");
    let fix = server.sources.push_file("greet", "fix.patch", "better");
    let retried = server
        .admin()
        .retry_builds(&parse("bump"), &RetryBuilds::default())
        .await
        .unwrap();
    assert_eq!((retried.iteration, retried.is_new), (1, false));
    assert_eq!(retried.builds.len(), 1);
    let [newer] = retried.newer.as_slice() else {
        panic!("{:?}", retried.newer);
    };
    assert_eq!(newer.pkgbase.as_str(), "greet");
    assert_eq!((&newer.from, &newer.to), (&old, &fix));
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.source.commit, old);
    job.succeeds().await;

    // No build is failed any more; the available fix can still be built.
    let plain = RetryBuilds::default();
    let none = refusal(server.admin().retry_builds(&parse("bump"), &plain).await);
    assert_eq!(none.kind, ProblemKind::Conflict);
    let retried = server.admin().retry_builds(&parse("bump"), &latest()).await;
    let retried = retried.unwrap();
    assert_eq!((retried.iteration, retried.is_new), (2, true));
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.source.commit, fix);
}

fn latest() -> RetryBuilds {
    RetryBuilds {
        latest: true,
        ..RetryBuilds::default()
    }
}

#[tokio::test]
async fn retry_lists_newer_commits_of_successful_members() {
    let server = TestServer::start(|sources| {
        pair(sources);
        sources.push(&Srcinfo::new("app", "1-1").depends(&["greet"]));
    })
    .await;
    let worker = server.worker("w").await;
    let mut request = new_namespace(&["libgreet/main"]);
    request.name = Some(parse("bump"));
    request.follow_default = FollowDefault::Never;
    server.admin().create_namespace(&request).await.unwrap();
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    let job = worker.claims_build_of("app").await;
    job.fails(FailureKind::Package, "greet is broken").await;
    let fix = server.sources.push_file("greet", "fix.patch", "better");
    let retried = server.admin().retry_builds(&parse("bump"), &latest()).await;
    let retried = retried.unwrap();
    assert_eq!((retried.iteration, retried.is_new), (2, true));
    assert_eq!(retried.newer.len(), 1, "{:?}", retried.newer);
    assert_eq!(retried.newer[0].to, fix);
    worker.builds("greet").await;
    worker.builds("app").await;
}

#[tokio::test]
async fn retry_returns_iteration_that_builds_fixed_origin() {
    for number in 0..4 {
        let server = TestServer::start(pair).await;
        let worker = server.worker("w").await;
        let mut request = new_namespace(&["libgreet/main"]);
        request.name = Some(parse("bump"));
        request.follow_default = FollowDefault::Never;
        server.admin().create_namespace(&request).await.unwrap();
        let job = worker.claims_build_of("libgreet").await;
        job.fails(FailureKind::Package, "it does not compile").await;
        let fix = server.sources.push_file("libgreet", "greet.c", "int main;");
        if number % 2 == 1 {
            // The follower has already planned it.
            iteration_of_number(&server, 2).await;
            let none = server.admin().retry_builds(&parse("bump"), &latest()).await;
            assert_eq!(refusal(none).kind, ProblemKind::Conflict);
        } else {
            let plain = RetryBuilds {
                latest: number == 2,
                ..RetryBuilds::default()
            };
            let retried = server.admin().retry_builds(&parse("bump"), &plain).await;
            let retried = retried.unwrap();
            assert_eq!((retried.iteration, retried.is_new), (2, true));
            assert_eq!(retried.newer[0].to, fix);
            assert!(!retried.builds.is_empty());
        }
        let job = worker.claims_build_of("libgreet").await;
        assert_eq!(job.claimed.source.commit, fix);
        assert_eq!(server.iteration("bump").await.summary.number, 2);
    }
}

#[tokio::test]
async fn retry_reports_unusable_newest_commit() {
    let (server, worker) = failed(FollowDefault::Never).await;
    server.sources.push_to("greet", "main", Some("nonsense"));
    let plain = RetryBuilds::default();
    let retried = server.admin().retry_builds(&parse("bump"), &plain).await;
    let retried = retried.unwrap();
    assert_eq!((retried.iteration, retried.is_new), (1, false));
    assert_eq!(retried.not_built[0].kind, NotBuiltKind::UnusableSource);
    let reasons: Vec<_> = retried
        .not_built
        .iter()
        .map(|reason| reason.text.as_str())
        .collect();
    let notes = reasons.join("; ");
    assert!(
        notes.contains("`greet` cannot be used: .SRCINFO"),
        "{notes}"
    );
    let job = worker.claims_build_of("greet").await;
    job.fails(FailureKind::Package, "a test failed").await;
    let refused = server.admin().retry_builds(&parse("bump"), &latest()).await;
    let refused = refusal(refused);
    assert_eq!(refused.kind, ProblemKind::BrokenSource);
    assert!(refused.detail.unwrap().contains(".SRCINFO"));
}

#[tokio::test]
async fn retry_replaces_amended_commit() {
    for latest in [true, false] {
        retry_after_amending(&RetryBuilds {
            latest,
            ..RetryBuilds::default()
        })
        .await;
    }
}

async fn retry_after_amending(request: &RetryBuilds) {
    let (server, worker) = failed(FollowDefault::Never).await;
    let old = commit_of(&server, "greet");
    let amended = server.sources.push_nothing("greet");
    // Without its parent, the empty commit is the old commit with another message.
    let repository = server.sources.path("greet");
    let tree = format!("{amended}^{{tree}}");
    let output = git(&repository)
        .args(["commit-tree", "-m", "amended", &tree])
        .output()
        .unwrap();
    let amended: CommitHash = parse(String::from_utf8(output.stdout).unwrap().trim());
    run(git(&repository).args(["update-ref", "refs/heads/main", amended.as_str()]));
    run(git(&repository).args(["reflog", "expire", "--expire=now", "--all"]));
    run(git(&repository).args(["gc", "--quiet", "--prune=now"]));
    let retried = server.admin().retry_builds(&parse("bump"), request).await;
    let retried = retried.unwrap();
    assert_eq!((retried.iteration, retried.is_new), (2, true));
    assert_eq!(
        (&retried.newer[0].from, &retried.newer[0].to),
        (&old, &amended)
    );
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.source.commit, amended);
}

#[tokio::test]
async fn keeps_member_with_broken_newest_commit() {
    let (server, worker) = failed(FollowDefault::AfterS(0)).await;
    server.sources.push_to("greet", "main", Some("nonsense"));
    server
        .source_that("greet", "broken", |source| source.problem.is_some())
        .await;
    let refused = server
        .admin()
        .create_iteration(&parse("bump"), CreateIteration::default())
        .await;
    let refused = refusal(refused);
    assert_eq!(refused.kind, ProblemKind::BrokenSource);
    assert!(refused.title.contains("`greet`"), "{}", refused.title);
    assert!(refused.detail.unwrap().contains(".SRCINFO"));
    // The origin moves, which would be planned immediately if its dependent were usable.
    let moved = server.sources.push_file("libgreet", "fix.patch", "better");
    server
        .source_that("libgreet", "the patch", |source| {
            source.commit.as_ref() == Some(&moved)
        })
        .await;
    // A first plan reports the unusable dependent.
    let other = server.namespace("other", &["libgreet/main"]).await;
    server.admin().cancel(&other).await.unwrap();
    let notes = server.iteration("other").await.notes;
    let text = "1 source repository cannot be used and is left out: greet";
    assert!(
        notes.iter().any(|note| note.text.contains(text)),
        "{notes:?}"
    );
    assert_eq!(server.iteration("bump").await.summary.number, 1);

    let fix = server
        .sources
        .push(&Srcinfo::new("greet", "1.0-2").depends(&["libgreet"]));
    let second = iteration_of_number(&server, 2).await;
    assert_eq!(second.origins[0].commit, moved);
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.source.commit, fix);
    job.succeeds().await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn retry_latest_builds_newest_commits_and_reuses_the_rest() {
    let (server, worker) = failed(FollowDefault::Never).await;
    let fix = server.sources.push_file("greet", "fix.patch", "better");
    let latest = RetryBuilds {
        pkgbases: vec![parse("greet")],
        ..latest()
    };
    let retried = server
        .admin()
        .retry_builds(&parse("bump"), &latest)
        .await
        .unwrap();
    assert_eq!((retried.iteration, retried.is_new), (2, true));
    assert_eq!(retried.builds.len(), 1);
    assert_eq!(retried.newer[0].to, fix);
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.source.commit, fix);
    job.fails(FailureKind::Package, "another test failed").await;
    has_status(&server, "libgreet", BuildStatus::Reused).await;

    // Without newer commits it is an ordinary retry.
    let again = server
        .admin()
        .retry_builds(&parse("bump"), &latest)
        .await
        .unwrap();
    assert_eq!((again.iteration, again.is_new), (2, false));
    assert!(again.newer.is_empty(), "{:?}", again.newer);
    worker.builds("greet").await;
}

#[tokio::test]
async fn rejected_retry_lists_newer_commits() {
    let (server, _worker) = failed(FollowDefault::Never).await;
    server.sources.push_file("greet", "fix.patch", "better");
    let libgreet = RetryBuilds {
        pkgbases: vec![parse("libgreet")],
        ..RetryBuilds::default()
    };
    let problem = refusal(server.admin().retry_builds(&parse("bump"), &libgreet).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    let hint = problem.hint.unwrap();
    assert!(hint.contains("newer commits of greet"), "{hint}");
    assert!(hint.contains("buildbtw retry bump --latest"), "{hint}");
}

#[tokio::test]
async fn resume_builds_commits_pushed_during_the_hold() {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    server.admin().cancel(&name).await.unwrap();
    let pushed = server.sources.push_file("libgreet", "fix.patch", "better");
    server.admin().resume(&name).await.unwrap();
    let now = server.iteration("bump").await;
    assert_eq!(now.origins[0].commit, pushed);
    let job = worker.claims_build_of("libgreet").await;
    assert_eq!(job.claimed.source.commit, pushed);
}
