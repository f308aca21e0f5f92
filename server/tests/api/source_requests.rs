//! Requests read their repositories now, instead of relying on the last poll.

use std::path::Path;

use buildbtw_model::SourceProblemKind;
use buildbtw_model::api::ProblemKind;

use crate::support::{Srcinfo, TestServer, git, new_namespace, refusal, run};

#[tokio::test]
async fn builds_repository_created_just_now() {
    let server = TestServer::start(|_| {}).await;
    for number in 0..5 {
        let name = format!("new{number}");
        let pushed = server.sources.push(&Srcinfo::new(&name, "1-1"));
        server.namespace(&name, &[&format!("{name}/main")]).await;
        assert_eq!(server.iteration(&name).await.origins[0].commit, pushed);
    }
}

#[tokio::test]
async fn rereads_repository_broken_at_last_poll() {
    let server = TestServer::start(|sources| {
        sources.make_empty("first");
        sources.push_to("second", "main", None);
        sources.push_to("third", "main", Some("nonsense"));
    })
    .await;
    for name in ["first", "second", "third"] {
        server
            .source_that(name, "broken", |source| source.problem.is_some())
            .await;
        let pushed = server.sources.push(&Srcinfo::new(name, "1-1"));
        server.namespace(name, &[&format!("{name}/main")]).await;
        assert_eq!(server.iteration(name).await.origins[0].commit, pushed);
    }
}

#[tokio::test]
async fn plan_includes_pushes_to_dependents_just_before() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1-1"));
        sources.push(&Srcinfo::new("greet", "1-1").depends(&["libgreet"]));
    })
    .await;
    for number in 0..5 {
        let pushed = server
            .sources
            .push_file("greet", "patch", &number.to_string());
        let name = format!("n{number}");
        server.namespace(&name, &["libgreet/main"]).await;
        let build = server.build(&name, "greet").await;
        assert_eq!(build.commit, pushed);
    }
}

#[tokio::test]
async fn builds_branch_despite_broken_default_branch() {
    let server = TestServer::start(|sources| {
        // HEAD of each names `main`.
        sources.push_to(
            "headless",
            "next",
            Some(&Srcinfo::new("headless", "1-1").text()),
        );
        sources.push_to("bare", "main", None);
        sources.push_to("bare", "next", Some(&Srcinfo::new("bare", "1-1").text()));
        sources.push_to("broken", "main", Some("nonsense"));
        sources.push_to(
            "broken",
            "next",
            Some(&Srcinfo::new("broken", "1-1").text()),
        );
    })
    .await;
    for name in ["headless", "bare", "broken"] {
        server.namespace(name, &[&format!("{name}/next")]).await;
        let first = server.iteration(name).await;
        assert_eq!(
            first.origins[0].commit,
            server.sources.commit_of(name, "next")
        );
        // It is followed, too.
        let text = Srcinfo::new(name, "2-1").text();
        let pushed = server.sources.push_to(name, "next", Some(&text));
        crate::support::eventually("a new iteration", async || {
            let now = server.iteration(name).await;
            (now.origins[0].commit == pushed).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn reports_dangling_head_with_branches_and_remedy() {
    let server = TestServer::start(|sources| {
        sources.push_to(
            "headless",
            "next",
            Some(&Srcinfo::new("headless", "1-1").text()),
        );
    })
    .await;
    let problem = refusal(
        server
            .admin()
            .create_namespace(&new_namespace(&["headless/main"]))
            .await,
    );
    let repository = server.sources.path("headless");
    let repair = format!(
        "run `git -C '{}' symbolic-ref HEAD refs/heads/next`",
        repository.display()
    );
    let detail = "HEAD names the branch `main`, which does not exist; the repository has `next`";
    assert_eq!(problem.detail.as_deref(), Some(detail));
    assert!(
        problem.hint.as_ref().unwrap().ends_with(&repair),
        "{problem:?}"
    );
    let listed = server.source("headless").await.unwrap();
    assert_eq!(
        listed.problem_kind,
        Some(SourceProblemKind::NoDefaultBranch)
    );
    assert_eq!(listed.problem.as_deref(), Some(detail));
    assert_eq!(listed.hint, Some(repair));
    // The command in the hint repairs it.
    run(git(&repository).args(["symbolic-ref", "HEAD", "refs/heads/next"]));
    let found = server.source_at("headless", "1-1").await;
    assert_eq!(found.branch.as_deref(), Some("next"));
    assert_eq!(found.hint, None);
}

#[tokio::test]
async fn follows_changed_default_branch() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1-1"));
        sources.push_branch("next", &Srcinfo::new("libgreet", "2-1"));
        sources.push(&Srcinfo::new("base", "1-1"));
        sources.push(&Srcinfo::new("libgreet-user", "1-1").depends(&["libgreet"]));
    })
    .await;
    server.source_at("libgreet", "1-1").await;
    let repository = server.sources.path("libgreet");
    run(git(&repository).args(["symbolic-ref", "HEAD", "refs/heads/next"]));
    let found = server.source_at("libgreet", "2-1").await;
    assert_eq!(found.branch.as_deref(), Some("next"));
}

/// Removes the loose object of a revision.
fn remove_object(repository: &Path, name: &str) {
    let output = git(repository).args(["rev-parse", name]).output().unwrap();
    let hash = String::from_utf8(output.stdout).unwrap();
    let hash = hash.trim();
    let (folder, file) = hash.split_at(2);
    fs_err::remove_file(repository.join("objects").join(folder).join(file)).unwrap();
}

/// Creates a repository with loose objects, as a small push leaves it.
fn push_loose_objects(folder: &Path, name: &str, format: &str) {
    run(git(folder).args([
        "init",
        "--quiet",
        "--bare",
        "-b",
        "main",
        "--object-format",
        format,
        name,
    ]));
    let work = folder.parent().unwrap().join(format!("work-{name}"));
    run(git(folder)
        .args(["init", "--quiet", "-b", "main", "--object-format", format])
        .arg(&work));
    fs_err::write(work.join(".SRCINFO"), Srcinfo::new(name, "1-1").text()).unwrap();
    fs_err::write(work.join("PKGBUILD"), "#\n").unwrap();
    run(git(&work).args(["add", "--all"]));
    run(git(&work).args(["commit", "--quiet", "-m", "first"]));
    let repository = folder.join(name);
    run(git(&work)
        .args(["push", "--quiet"])
        .arg(repository)
        .arg("main"));
}

#[tokio::test]
async fn names_unreadable_object_instead_of_reporting_no_commits() {
    let server = TestServer::start(|sources| {
        for (name, lost) in [("a", "main"), ("b", "main^{tree}"), ("c", "main:.SRCINFO")] {
            push_loose_objects(sources.folder(), name, "sha1");
            remove_object(&sources.path(name), lost);
        }
        push_loose_objects(sources.folder(), "d", "sha1");
        let head = sources.path("d").join("refs/heads/main");
        fs_err::write(head, "nonsense\n").unwrap();
    })
    .await;
    for name in ["a", "b", "c", "d"] {
        let source = server
            .source_that(name, "broken", |source| source.problem.is_some())
            .await;
        let problem = source.problem.unwrap();
        assert!(problem.starts_with("cannot read "), "{name}: {problem}");
        assert!(!problem.contains("no commits"), "{name}: {problem}");
        let refused = server
            .admin()
            .create_namespace(&new_namespace(&[&format!("{name}/main")]))
            .await;
        let refused = refusal(refused);
        assert_eq!(
            refused.kind,
            ProblemKind::BrokenSource,
            "{name}: {refused:?}"
        );
        let detail = refused.detail.unwrap();
        assert!(detail.contains("cannot read "), "{name}: {detail}");
    }
}

#[tokio::test]
async fn builds_sha256_repositories() {
    let server = TestServer::start(|sources| {
        push_loose_objects(sources.folder(), "modern", "sha256");
    })
    .await;
    let source = server.source_at("modern", "1-1").await;
    assert_eq!(source.commit.unwrap().as_str().len(), 64);
    let worker = server.worker("w").await;
    server.namespace("n", &["modern/main"]).await;
    let job = worker.claims_build_of("modern").await;
    assert_eq!(job.claimed.source.commit.as_str().len(), 64);
    job.succeeds().await;
    // By its hash, too.
    let commit = job.claimed.source.commit;
    server
        .namespace("whole", &[&format!("modern/{commit}")])
        .await;
    let origin = server.iteration("whole").await.origins[0].commit.clone();
    assert_eq!(origin, commit);
    // By an abbreviation, too, even one as long as a full hash of the other kind.
    for (name, digits) in [("ten", 10), ("odd", 11), ("forty", 40)] {
        let part = &commit.as_str()[..digits];
        server.namespace(name, &[&format!("modern/{part}")]).await;
        let origin = server.iteration(name).await.origins[0].commit.clone();
        assert_eq!(origin, commit);
    }
}

#[tokio::test]
async fn distinguishes_unreadable_refs_from_missing_ones() {
    let server = TestServer::start(|sources| {
        push_loose_objects(sources.folder(), "cut", "sha1");
        push_loose_objects(sources.folder(), "unborn", "sha1");
        let repository = sources.path("unborn");
        let main = repository.join("refs/heads/main");
        fs_err::rename(main, repository.join("refs/heads/next")).unwrap();
        fs_err::write(repository.join("refs/heads/next"), "nonsense\n").unwrap();
    })
    .await;
    let unborn = server
        .source_that("unborn", "broken", |source| source.problem.is_some())
        .await;
    let problem = unborn.problem.unwrap();
    assert!(problem.starts_with("cannot read the branches"), "{problem}");

    let commit = server.sources.commit_of("cut", "main");
    let (folder, file) = commit.as_str().split_at(2);
    let object = server
        .sources
        .path("cut")
        .join("objects")
        .join(folder)
        .join(file);
    // Git makes objects read-only.
    fs_err::remove_file(&object).unwrap();
    fs_err::write(&object, "").unwrap();
    for digits in [10, 40] {
        let origin = format!("cut/{}", &commit.as_str()[..digits]);
        let refused = server
            .admin()
            .create_namespace(&new_namespace(&[&origin]))
            .await;
        let refused = refusal(refused);
        assert_eq!(refused.kind, ProblemKind::BrokenSource, "{refused:?}");
        let detail = refused.detail.unwrap();
        assert!(detail.contains("cannot read "), "{detail}");
    }
}

#[tokio::test]
async fn reports_unknown_ref_with_existing_branches() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1-1"));
        sources.push_branch("next", &Srcinfo::new("libgreet", "2-1"));
    })
    .await;
    let refused = server
        .admin()
        .create_namespace(&new_namespace(&["libgreet/nxt"]))
        .await;
    let refused = refusal(refused);
    assert_eq!(refused.kind, ProblemKind::UnknownRef);
    let hint = refused.hint.unwrap();
    assert!(hint.contains("main, next"), "{hint}");
}

#[tokio::test]
async fn keeps_repositories_while_their_folder_is_not_mounted() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1-1"));
    })
    .await;
    server.namespace("before", &["libgreet/main"]).await;
    let folder = server.sources.folder();
    let elsewhere = folder.with_extension("unmounted");
    fs_err::rename(folder, &elsewhere).unwrap();
    let refused = server
        .admin()
        .create_namespace(&new_namespace(&["libgreet/main"]))
        .await;
    let refused = refusal(refused);
    assert_eq!(refused.kind, ProblemKind::Unavailable, "{refused:?}");
    assert!(server.source("libgreet").await.is_some());

    fs_err::rename(&elsewhere, folder).unwrap();
    server.namespace("after", &["libgreet/main"]).await;
}
