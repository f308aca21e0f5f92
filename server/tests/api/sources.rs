//! The package index follows the source repositories, and reports their problems.

use buildbtw_model::SourceProblemKind;
use buildbtw_model::api::{Page, ProblemKind, SourceRepositorySummary};
use buildbtw_model::client::SourceQuery;
use reqwest::Method;

use crate::support::{Srcinfo, TestServer, git, new_namespace, refusal, run};

#[tokio::test]
async fn lists_every_repository_with_its_packages() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push(&Srcinfo::new("greet", "3-2").with("epoch", "1"));
        fs_err::create_dir(sources.path("no-repository")).unwrap();
        fs_err::write(sources.path("README"), "not a folder").unwrap();
    })
    .await;

    let page = server
        .public()
        .sources(&SourceQuery::default(), None)
        .await
        .unwrap();
    let listed: Vec<_> = page
        .iter()
        .map(|source| {
            (
                source.path.as_str(),
                source.version.as_ref().unwrap().as_str(),
            )
        })
        .collect();
    assert_eq!(listed, [("greet", "1:3-2"), ("libgreet", "1.0-1")]);

    let greet = server.source("greet").await.unwrap();
    assert_eq!(greet.branch.as_deref(), Some("main"));
    assert_eq!(
        greet.commit,
        Some(server.sources.commit_of("greet", "main"))
    );
    assert_eq!(greet.problem, None);
    let overview = server.public().sources_overview().await.unwrap();
    assert_eq!((overview.usable, overview.broken), (2, 0));
    assert!(overview.last_scan_at.is_some());
}

#[tokio::test]
async fn detects_push_without_restart() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    server.source_at("libgreet", "1.0-1").await;

    let commit = server.sources.push(&Srcinfo::new("libgreet", "2.0-1"));

    let found = server.source_at("libgreet", "2.0-1").await;
    assert_eq!(found.commit, Some(commit));
}

#[tokio::test]
async fn detects_commit_in_ordinary_clone() {
    let commit = |folder: &std::path::Path, version: &str| {
        let text = Srcinfo::new("libgreet", version).text();
        fs_err::write(folder.join(".SRCINFO"), text).unwrap();
        run(git(folder).args(["add", "."]));
        run(git(folder).args(["commit", "--quiet", "-m", version]));
    };
    let server = TestServer::start(|sources| {
        run(git(sources.folder()).args(["init", "--quiet", "-b", "main", "libgreet"]));
        commit(&sources.path("libgreet"), "1.0-1");
    })
    .await;
    server.source_at("libgreet", "1.0-1").await;
    commit(&server.sources.path("libgreet"), "1.1-1");
    server.source_at("libgreet", "1.1-1").await;
}

#[tokio::test]
async fn adds_new_repositories_and_forgets_removed_ones() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("old", "1-1"));
    })
    .await;
    server.source_at("old", "1-1").await;

    server.sources.push(&Srcinfo::new("new", "1-1"));
    server.source_at("new", "1-1").await;
    // A second push, to verify that the first was not found by the scan at start.
    server.sources.push(&Srcinfo::new("newer", "1-1"));
    server.source_at("newer", "1-1").await;

    server.sources.remove("old");
    crate::support::eventually("old is removed", async || {
        server.source("old").await.is_none().then_some(())
    })
    .await;
    let problem = refusal(
        server
            .admin()
            .create_namespace(&new_namespace(&["old/main"]))
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::UnknownPkgbase);
}

#[tokio::test]
async fn detects_folder_that_becomes_a_repository() {
    let server = TestServer::start(|_| {}).await;
    fs_err::create_dir(server.sources.path("late")).unwrap();
    // When this one is found, the empty folder was already scanned and ignored.
    server.sources.push(&Srcinfo::new("other", "1-1"));
    server.source_at("other", "1-1").await;
    assert!(server.source("late").await.is_none());

    server.sources.push(&Srcinfo::new("late", "1-1"));
    server.source_at("late", "1-1").await;
}

#[tokio::test]
async fn detects_first_push_to_empty_repository() {
    let server = TestServer::start(|sources| sources.make_empty("libgreet")).await;
    let empty = server
        .source_that("libgreet", "broken", |source| source.problem.is_some())
        .await;
    assert_eq!(
        empty.problem.as_deref(),
        Some("the default branch has no commits")
    );
    assert_eq!(empty.pkgbase, None);

    server.sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    server.source_at("libgreet", "1.0-1").await;
}

#[tokio::test]
async fn lists_broken_repositories_with_reasons_until_fixed() {
    let broken = [
        ("missing", None, "it has no .SRCINFO"),
        ("empty", Some(String::new()), ".SRCINFO"),
        (
            "garbage",
            Some("<<<<<<< HEAD\n=======\n".to_owned()),
            ".SRCINFO",
        ),
        (
            "versionless",
            Some("pkgbase = versionless\n\narch = x86_64\npkgname = versionless\n".to_owned()),
            ".SRCINFO",
        ),
        (
            "liar",
            Some(Srcinfo::new("honest", "1-1").text()),
            "`honest`",
        ),
        (
            "climber",
            Some(Srcinfo::new("../climber", "1-1").text()),
            ".SRCINFO",
        ),
    ];
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("fine", "1-1"));
        for (repository, text, _) in &broken {
            sources.push_to(repository, "main", text.as_deref());
        }
    })
    .await;

    let broken_only = SourceQuery {
        broken: true,
        ..SourceQuery::default()
    };
    let page = server.public().sources(&broken_only, None).await.unwrap();
    let listed: Vec<_> = page.iter().map(|source| source.path.as_str()).collect();
    let mut expected = broken.each_ref().map(|(repository, ..)| *repository);
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let overview = server.public().sources_overview().await.unwrap();
    assert_eq!((overview.usable, overview.broken), (1, 6));
    for (repository, _, reason) in &broken {
        let source = server.source(repository).await.unwrap();
        let problem = source.problem.unwrap();
        assert!(problem.contains(reason), "{repository}: {problem}");
        let refused = server
            .admin()
            .create_namespace(&new_namespace(&[&format!("{repository}/main")]))
            .await;
        let refused = refusal(refused);
        assert_eq!(refused.kind, ProblemKind::BrokenSource, "{repository}");
        assert_eq!(refused.detail.as_deref(), Some(problem.as_str()));
        assert!(source.hint.is_some(), "{repository}");
        assert_eq!(refused.hint, source.hint);
    }

    for (repository, ..) in &broken {
        server.sources.push(&Srcinfo::new(repository, "2-1"));
        server.source_at(repository, "2-1").await;
    }
    let overview = server.public().sources_overview().await.unwrap();
    assert_eq!((overview.usable, overview.broken), (7, 0));
}

/// Every package inherits the fields of its base: this small text expands to 49 million
/// dependencies.
#[tokio::test]
async fn rejects_small_text_that_expands_to_millions_of_dependencies() {
    let bomb = (0..7_000).fold(Srcinfo::new("bomb", "1-1"), |bomb, number| {
        bomb.with("depends", &format!("d{number}"))
            .pkgname(&format!("bomb{number}"))
    });
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("fine", "1-1"));
        sources.push(&bomb);
        sources.push(&Srcinfo::new("later", "1-1"));
    })
    .await;
    let problem = server.source("bomb").await.unwrap().problem.unwrap();
    assert!(problem.contains("1000 pkgname lines"), "{problem}");
    let refused = server
        .admin()
        .create_namespace(&new_namespace(&["bomb/main"]))
        .await;
    assert_eq!(refusal(refused).kind, ProblemKind::BrokenSource);
    // The same as a changeset, and as a push to a usable repository.
    server.sources.push_to("fine", "next", Some(&bomb.text()));
    server.sources.push_to("later", "main", Some(&bomb.text()));
    let later = server
        .source_that("later", "broken", |source| source.problem.is_some())
        .await;
    assert!(later.problem.unwrap().contains("pkgname"));
    let refused = server
        .admin()
        .create_namespace(&new_namespace(&["fine/next"]))
        .await;
    assert_eq!(refusal(refused).kind, ProblemKind::BrokenSource);
    server.namespace("fine", &["fine/main"]).await;
    let overview = server.public().sources_overview().await.unwrap();
    assert_eq!((overview.usable, overview.broken), (1, 2));
}

#[tokio::test]
async fn stops_building_broken_repository() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    })
    .await;
    server.source_at("greet", "1.0-1").await;

    server
        .sources
        .push_to("greet", "main", Some("pkgbase = greet\n"));
    server
        .source_that("greet", "broken", |source| source.problem.is_some())
        .await;

    server.namespace("bump", &["libgreet/main"]).await;
    let iteration = server.iteration("bump").await;
    assert_eq!(iteration.builds.len(), 1, "{:?}", iteration.builds);
}

#[tokio::test]
async fn skips_and_reports_only_bad_lines() {
    let srcinfo = Srcinfo::new("libgreet", "1.0-1").with("depends", "guile>=");
    let server = TestServer::start(|sources| {
        sources.push(&srcinfo);
    })
    .await;
    let source = server.source("libgreet").await.unwrap();
    assert_eq!(source.problem, None);
    assert_eq!(source.warnings.len(), 1, "{:?}", source.warnings);
    assert!(
        source.warnings[0].contains("guile>="),
        "{:?}",
        source.warnings
    );
}

#[tokio::test]
async fn rejects_second_repository_of_a_pkgbase_until_the_first_is_gone() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push_to(
            "libgreet.git",
            "main",
            Some(&Srcinfo::new("libgreet", "9-1").text()),
        );
    })
    .await;
    let first = server.source("libgreet").await.unwrap();
    assert_eq!(first.problem, None);
    let second = server.source("libgreet.git").await.unwrap();
    let problem = second.problem.unwrap();
    assert!(
        problem.contains("claimed by the repository `libgreet`"),
        "{problem}"
    );
    assert_eq!(second.problem_kind, Some(SourceProblemKind::Claimed));

    server.sources.remove("libgreet");
    server.source_at("libgreet.git", "9-1").await;
    server.namespace("bump", &["libgreet/main"]).await;
    assert_eq!(
        server.build("bump", "libgreet").await.version.as_str(),
        "9-1"
    );
}

#[tokio::test]
async fn full_resync_finds_changes_missed_by_the_watch() {
    let options = crate::support::ServerOptions {
        sweep_seconds: 1,
        ..Default::default()
    };
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    // A symbolic link into the folder: the kernel reports no events of its target.
    let elsewhere = crate::support::SourceTree::new(server.scratch("elsewhere"));
    elsewhere.push(&Srcinfo::new("linked", "1-1"));
    std::os::unix::fs::symlink(elsewhere.path("linked"), server.sources.path("linked")).unwrap();
    server.source_at("linked", "1-1").await;
}

#[tokio::test]
async fn paginates_long_lists() {
    let server = TestServer::start(|sources| {
        // Broken ones are listed like all others, and are created faster.
        for number in 0..105 {
            sources.make_empty(&format!("p{number:03}"));
        }
    })
    .await;
    let page = async |cursor: &str| -> Page<SourceRepositorySummary> {
        let request = server.request(Method::GET, "/api/v1/sources");
        let request = match cursor {
            "" => request,
            cursor => request.query(&[("cursor", cursor)]),
        };
        request.send().await.unwrap().json().await.unwrap()
    };
    let first = page("").await;
    assert_eq!(first.items.len(), 100);
    let second = page(first.next.as_deref().unwrap()).await;
    assert_eq!(second.next, None);
    let paths: Vec<_> = second
        .items
        .iter()
        .map(|source| source.path.as_str())
        .collect();
    assert_eq!(paths, ["p100", "p101", "p102", "p103", "p104"]);
}

#[tokio::test]
async fn searches_paths_and_lists_branches() {
    let server = TestServer::start(|sources| {
        for name in ["libgreet", "greet", "party"] {
            sources.push(&Srcinfo::new(name, "1-1"));
        }
        sources.push_branch("next", &Srcinfo::new("libgreet", "2-1"));
    })
    .await;
    let query = SourceQuery {
        search: Some("greet".into()),
        ..SourceQuery::default()
    };
    let client = server.admin();
    let found = client.sources(&query, None).await.unwrap();
    let paths: Vec<_> = found.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(paths, ["greet", "libgreet"]);
    let query = SourceQuery {
        prefix: Some("g".into()),
        ..SourceQuery::default()
    };
    let found = client.sources(&query, None).await.unwrap();
    assert_eq!((found.len(), found[0].path.as_str()), (1, "greet"));
    let query = SourceQuery::default();
    let first = client.sources(&query, Some(1)).await.unwrap();
    assert_eq!(first.len(), 1);

    let refs = client
        .source_refs(&"libgreet".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(refs.default.as_deref(), Some("main"));
    assert_eq!(refs.branches, ["main", "next"]);
    let error = client.source_refs(&"libgret".parse().unwrap()).await;
    let problem = refusal(error);
    assert_eq!(problem.kind, ProblemKind::UnknownPkgbase);
    assert_eq!(problem.hint.as_deref(), Some("did you mean `libgreet`?"));
}

#[tokio::test]
async fn names_default_branch_for_head_and_short_names_for_full_refs() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1-1"));
    })
    .await;
    let client = server.admin();
    for origin in ["libgreet/HEAD", "libgreet/refs/heads/main"] {
        let created = client.create_namespace(&new_namespace(&[origin])).await;
        let changesets = created.unwrap().summary.changesets;
        assert_eq!(changesets[0].to_string(), "libgreet/main", "{origin}");
    }
    let error = client
        .create_namespace(&new_namespace(&["libgreet/mian"]))
        .await;
    let problem = refusal(error);
    let hint = problem.hint.unwrap();
    assert!(hint.starts_with("did you mean `main`?"), "{hint}");
}

#[tokio::test]
async fn refuses_patterns_that_match_nothing() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1-1"));
        sources.push(&Srcinfo::new("greet", "1-1"));
    })
    .await;
    let mut request = new_namespace(&["libgreet/main"]);
    request.include = vec!["gre*".into(), "haskel-*".into()];
    let error = server.admin().create_namespace(&request).await;
    let problem = refusal(error);
    assert_eq!(problem.title, "--include: no pkgbase matches `haskel-*`");
}
