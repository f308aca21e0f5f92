//! Namespaces: their names, their builds, and all rejected requests.

use buildbtw_model::api::{CreateIteration, CreateNamespace, Problem, ProblemKind};
use buildbtw_model::{BuildStatus, IterationStatus, NoteKind, Scope};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    SourceTree, Srcinfo, TestServer, eventually, expect_problem, new_namespace, parse, refusal,
};
use crate::versions::server_over;

/// Pushes a library, its direct, indirect and build-time dependents, and an unrelated package.
fn small_distribution(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-3").depends(&["libgreet"]));
    sources.push(&Srcinfo::new("greet-gui", "1.0-1").depends(&["greet"]));
    sources.push(&Srcinfo::new("docs", "1.0-1").with("makedepends", "libgreet"));
    sources.push(&Srcinfo::new("stranger", "1.0-1"));
}

async fn refuses(server: &TestServer, request: &CreateNamespace) -> Problem {
    refusal(server.admin().create_namespace(request).await)
}

/// Sends a body that the typed client cannot.
async fn refuses_body(server: &TestServer, body: &Value) -> Problem {
    let request = server.admin_request(Method::POST, "/api/v1/namespaces");
    let response = request.json(body).send().await.unwrap();
    let status = response.status().as_u16();
    expect_problem(response, status, ProblemKind::InvalidRequest).await
}

#[tokio::test]
async fn plans_all_dependents_of_a_changeset() {
    let server = TestServer::start(small_distribution).await;
    let response = server
        .admin_request(Method::POST, "/api/v1/namespaces")
        .json(&json!({ "changesets": ["libgreet/main"] }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);

    let iteration = server.iteration("libgreet-1").await;
    assert_eq!(iteration.summary.number, 1);
    assert_eq!(iteration.summary.status, IterationStatus::Running);
    assert_eq!(iteration.origins[0].changeset.to_string(), "libgreet/main");
    assert_eq!(
        iteration.origins[0].commit,
        server.sources.commit_of("libgreet", "main")
    );
    server
        .expect_builds(
            "libgreet-1",
            &[
                ("libgreet", BuildStatus::Ready),
                ("greet", BuildStatus::Blocked),
                ("greet-gui", BuildStatus::Blocked),
            ],
        )
        .await;
    let gui = server.build("libgreet-1", "greet-gui").await;
    let reason: Vec<_> = gui.reason.iter().map(|pkgbase| pkgbase.as_str()).collect();
    assert_eq!(reason, ["libgreet", "greet", "greet-gui"]);
    let detail = server.public().build(gui.id).await.unwrap();
    assert_eq!(detail.needs.len(), 1);
    assert_eq!(detail.needs[0].pkgbase.as_str(), "greet");
}

#[tokio::test]
async fn limits_rebuild_by_scope() {
    let server = TestServer::start(small_distribution).await;
    let expected = [
        (Scope::Origin, vec!["libgreet"]),
        (Scope::Direct, vec!["greet", "libgreet"]),
        (Scope::Transitive, vec!["greet", "greet-gui", "libgreet"]),
        (Scope::All, vec!["docs", "greet", "greet-gui", "libgreet"]),
    ];
    for (scope, expected) in expected {
        let request = CreateNamespace {
            scope,
            name: Some(parse(scope.as_str())),
            ..new_namespace(&["libgreet/main"])
        };
        let created = server.admin().create_namespace(&request).await.unwrap();
        assert_eq!(created.summary.scope, scope);
        let iteration = server.iteration(scope.as_str()).await;
        let mut planned: Vec<_> = iteration
            .builds
            .iter()
            .map(|b| b.pkgbase.as_str())
            .collect();
        planned.sort_unstable();
        assert_eq!(planned, expected, "{scope}");
    }
}

#[tokio::test]
async fn numbers_default_namespace_names() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("SDL2.x", "1-1"));
    })
    .await;
    for expected in ["sdl2-x-1", "sdl2-x-2", "sdl2-x-3"] {
        let created = server
            .admin()
            .create_namespace(&new_namespace(&["SDL2.x/main"]))
            .await;
        let created = created.unwrap();
        assert_eq!(created.summary.name.as_str(), expected);
        assert_eq!(
            created.web_url,
            format!("{}/namespaces/{expected}", server.url())
        );
    }
    let page = server.public().namespaces().await.unwrap();
    let names: Vec<_> = page.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["sdl2-x-3", "sdl2-x-2", "sdl2-x-1"]);
}

#[tokio::test]
async fn creates_unique_names_for_concurrent_requests() {
    let server = TestServer::start(small_distribution).await;
    let client = server.admin();
    let request = new_namespace(&["stranger/main"]);
    let all = (0..8).map(|_| client.create_namespace(&request));
    let mut names: Vec<_> = futures_util::future::join_all(all)
        .await
        .into_iter()
        .map(|created| created.unwrap().summary.name.to_string())
        .collect();
    names.sort_unstable();
    let expected: Vec<_> = (1..=8).map(|number| format!("stranger-{number}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn rejects_taken_name() {
    let server = TestServer::start(small_distribution).await;
    server.namespace("mine", &["libgreet/main"]).await;
    let request = CreateNamespace {
        name: Some(parse("mine")),
        ..new_namespace(&["stranger/main"])
    };
    let problem = refuses(&server, &request).await;
    assert_eq!(
        (problem.status, problem.kind),
        (409, ProblemKind::AlreadyExists)
    );
    assert!(problem.hint.unwrap().contains("--name"));
    // The existing namespace is unchanged.
    assert_eq!(server.iteration("mine").await.builds.len(), 3);
}

#[tokio::test]
async fn creates_one_namespace_for_concurrent_requests_of_one_name() {
    let server = TestServer::start(small_distribution).await;
    let client = server.admin();
    let request = CreateNamespace {
        name: Some(parse("mine")),
        ..new_namespace(&["stranger/main"])
    };
    let all = (0..6).map(|_| client.create_namespace(&request));
    let created = futures_util::future::join_all(all).await;
    let (won, lost): (Vec<_>, Vec<_>) = created.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for result in lost {
        assert_eq!(refusal(result).kind, ProblemKind::AlreadyExists);
    }
}

#[tokio::test]
async fn rejects_illegal_names() {
    let server = TestServer::start(small_distribution).await;
    for name in [
        "",
        "Mine",
        "-a",
        "../a",
        "a b",
        "a.b",
        "local",
        "options",
        &"x".repeat(64),
    ] {
        let body = json!({ "changesets": ["libgreet/main"], "name": name });
        let problem = refuses_body(&server, &body).await;
        assert!(problem.detail.is_some(), "{problem:?}");
    }
    assert!(server.public().namespaces().await.unwrap().is_empty());
}

#[tokio::test]
async fn rejects_names_of_base_repositories() {
    let (server, _) = server_over_base(&[]).await;
    let request = CreateNamespace {
        name: Some(parse("core")),
        ..new_namespace(&["libgreet/main"])
    };
    let problem = refuses(&server, &request).await;
    assert_eq!(
        (problem.status, problem.kind),
        (400, ProblemKind::InvalidRequest)
    );
    assert!(problem.title.contains("base repository"), "{problem:?}");
    assert!(problem.hint.is_some());
}

#[tokio::test]
async fn rejects_unknown_packages_with_hint() {
    let server = TestServer::start(|sources| {
        small_distribution(sources);
        sources.push(
            &Srcinfo::new("greetings", "1-1")
                .pkgname("greet-en")
                .pkgname("greet-de"),
        );
    })
    .await;
    let problem = refuses(&server, &new_namespace(&["nothing/main"])).await;
    assert_eq!(
        (problem.status, problem.kind),
        (422, ProblemKind::UnknownPkgbase)
    );
    assert!(problem.title.contains("`nothing`"));
    assert!(problem.hint.unwrap().contains("buildbtw sources"));

    let problem = refuses(&server, &new_namespace(&["greet-de/main"])).await;
    assert_eq!(problem.kind, ProblemKind::UnknownPkgbase);
    assert!(problem.hint.unwrap().contains("`greetings`"));
}

#[tokio::test]
async fn rejects_unknown_and_broken_refs() {
    let server = TestServer::start(|sources| {
        small_distribution(sources);
        sources.push_to("libgreet", "broken", Some("what?"));
        sources.push_to("libgreet", "bare", None);
        sources.push_to(
            "libgreet",
            "liar",
            Some(&Srcinfo::new("greet", "1-1").text()),
        );
    })
    .await;
    let missing = "0123456789abcdef0123456789abcdef01234567";
    for git_ref in ["nothing", "feature/x", missing, "head"] {
        let problem = refuses(&server, &new_namespace(&[&format!("libgreet/{git_ref}")])).await;
        assert_eq!(
            (problem.status, problem.kind),
            (422, ProblemKind::UnknownRef),
            "{git_ref}"
        );
        assert!(problem.title.contains(git_ref), "{problem:?}");
        assert!(problem.hint.unwrap().contains("`main`"));
    }
    for (git_ref, reason) in [
        ("broken", ".SRCINFO"),
        ("bare", "no .SRCINFO"),
        ("liar", "`greet`"),
    ] {
        let problem = refuses(&server, &new_namespace(&[&format!("libgreet/{git_ref}")])).await;
        assert_eq!(
            (problem.status, problem.kind),
            (422, ProblemKind::BrokenSource),
            "{git_ref}"
        );
        assert!(problem.title.contains(reason), "{problem:?}");
        assert!(problem.hint.unwrap().contains("printsrcinfo"));
    }
    assert!(server.public().namespaces().await.unwrap().is_empty());
}

#[tokio::test]
async fn rejects_malformed_requests() {
    let server = TestServer::start(small_distribution).await;
    let changesets = |text: &str| json!({ "changesets": [text] });
    let bodies = [
        (changesets("libgreet"), "libgreet/main"),
        (changesets("libgreet/"), "git ref"),
        (changesets("libgreet/--upload-pack=x"), "git ref"),
        (changesets("libgreet/a..b"), "git ref"),
        (changesets("../libgreet/main"), "pkgbase"),
        (changesets(""), "pkgbase"),
        (json!({ "changesets": "libgreet/main" }), "sequence"),
        (json!({}), "changesets"),
        (
            json!({ "changesets": ["libgreet/main"], "scope": "everything" }),
            "transitive",
        ),
        (
            json!({ "changesets": ["libgreet/main"], "max_builds": -1 }),
            "-1",
        ),
        (
            json!({ "changesets": ["libgreet/main"], "maxbuilds": 1 }),
            "maxbuilds",
        ),
    ];
    for (body, detail) in bodies {
        let problem = refuses_body(&server, &body).await;
        let found = problem.detail.unwrap();
        assert!(found.contains(detail), "{body}: {found}");
    }
    let empty = refuses(&server, &new_namespace(&[])).await;
    assert_eq!(
        (empty.status, empty.kind),
        (400, ProblemKind::InvalidRequest)
    );
    let twice = refuses(&server, &new_namespace(&["greet/main", "greet/main"])).await;
    assert_eq!(
        (twice.status, twice.kind),
        (400, ProblemKind::InvalidRequest)
    );
    assert!(twice.title.contains("twice"), "{twice:?}");
    let twice = refuses(&server, &new_namespace(&["greet/main", "greet/other"])).await;
    assert!(twice.title.contains("twice"), "{twice:?}");
}

#[tokio::test]
async fn rejects_bodies_that_are_not_json() {
    let server = TestServer::start(small_distribution).await;
    let post = || server.admin_request(Method::POST, "/api/v1/namespaces");
    let invalid = ProblemKind::InvalidRequest;

    let response = post()
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await;
    let problem = expect_problem(response.unwrap(), 400, invalid).await;
    assert!(problem.detail.is_some());
    let response = post()
        .body(r#"{"changesets":["libgreet/main"]}"#)
        .send()
        .await
        .unwrap();
    let problem = expect_problem(response, 400, invalid).await;
    let detail = problem.detail.as_deref().unwrap_or_default();
    assert!(detail.contains("Content-Type"), "{problem:?}");

    let long = "x".repeat(1024 * 1024 + 1);
    let response = post()
        .json(&json!({ "changesets": [long] }))
        .send()
        .await
        .unwrap();
    expect_problem(response, 413, ProblemKind::TooLarge).await;
}

#[tokio::test]
async fn rejects_long_patterns_and_long_lists_of_patterns() {
    let server = TestServer::start(small_distribution).await;
    let long = "a".repeat(257);
    for (field, patterns, message) in [
        (
            "include",
            vec!["a*"; 1_001],
            "--include: there are 1001 patterns; at most 1000",
        ),
        (
            "exclude",
            vec![long.as_str()],
            "--exclude: pattern 1 has 257 bytes; at most 256",
        ),
    ] {
        for path in ["/api/v1/plans", "/api/v1/namespaces"] {
            let mut body = json!({ "changesets": ["libgreet/main"] });
            body[field] = json!(patterns);
            let request = server.admin_request(Method::POST, path).json(&body);
            let response = request.send().await.unwrap();
            let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
            assert!(problem.title.starts_with(message), "{problem:?}");
        }
    }
}

#[tokio::test]
async fn rejects_plans_that_are_too_large_with_their_size() {
    let server = TestServer::start(small_distribution).await;
    let mut request = CreateNamespace {
        max_builds: Some(2),
        ..new_namespace(&["libgreet/main"])
    };
    let problem = refuses(&server, &request).await;
    assert_eq!(
        (problem.status, problem.kind),
        (422, ProblemKind::PlanTooLarge)
    );
    assert!(
        problem.title.contains('3') && problem.title.contains('2'),
        "{problem:?}"
    );
    assert_eq!(problem.detail.as_deref(), Some("3 for x86_64"));
    assert!(problem.hint.unwrap().contains("--max-builds"));
    assert!(server.public().namespaces().await.unwrap().is_empty());

    request.max_builds = Some(3);
    server.admin().create_namespace(&request).await.unwrap();
}

#[tokio::test]
async fn rejects_architectures_no_builder_supports() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1-1").arch(&["riscv64"]));
    })
    .await;
    let problem = refuses(&server, &new_namespace(&["libgreet/main"])).await;
    assert_eq!(
        (problem.status, problem.kind),
        (400, ProblemKind::InvalidRequest)
    );
    assert!(problem.title.contains("x86_64"), "{problem:?}");
    assert!(problem.detail.unwrap().contains("arch"));
}

#[tokio::test]
async fn resolves_branches_tags_and_commits() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.tag("libgreet", "v1.0");
        sources.push(&Srcinfo::new("libgreet", "1.1-1"));
        sources.push_branch("feature/colours", &Srcinfo::new("libgreet", "2.0-1"));
    })
    .await;
    let old = server.sources.push(&Srcinfo::new("libgreet", "1.2-1"));
    server.sources.push(&Srcinfo::new("libgreet", "1.3-1"));
    let by_commit = format!("libgreet/{old}");
    let cases = [
        ("tag", "libgreet/v1.0", "1.0-1"),
        ("branch", "libgreet/feature/colours", "2.0-1"),
        ("commit", by_commit.as_str(), "1.2-1"),
        // Looked up immediately: the request does not wait until the index has noticed the push.
        ("main", "libgreet/main", "1.3-1"),
    ];
    for (name, changeset, version) in cases {
        server.namespace(name, &[changeset]).await;
        let build = server.build(name, "libgreet").await;
        assert_eq!(build.version.as_str(), version, "{changeset}");
        let origin = &server.iteration(name).await.origins[0];
        assert_eq!(origin.changeset.to_string(), changeset);
        assert_eq!(origin.commit, build.commit);
    }
}

async fn server_over_base(packages: &[(&str, &str)]) -> (TestServer, tempfile::TempDir) {
    server_over(packages, small_distribution).await
}

#[tokio::test]
async fn bumps_release_of_rebuild_above_base_and_keeps_release_of_origin() {
    let base = [
        ("libgreet", "1.0-1"),
        ("greet", "1.0-3.4"),
        ("greet-gui", "0.9-7"),
    ];
    let (server, _base) = server_over_base(&base).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let version = async |pkgbase: &str| server.build("bump", pkgbase).await.version.to_string();
    assert_eq!(version("libgreet").await, "2.0-1");
    assert_eq!(version("greet").await, "1.0-3.5");
    assert_eq!(version("greet-gui").await, "1.0-1.1");

    let worker = server.worker("w").await;
    let job = worker.builds("libgreet").await;
    assert_eq!(job.claimed.pkgrel, None);
    let repositories: Vec<_> = job
        .claimed
        .repositories
        .iter()
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(repositories, ["bump", "core"]);
    assert_eq!(job.claimed.repositories[1].sig_level, "Optional TrustAll");
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.pkgrel.as_deref(), Some("3.5"));
    assert_eq!(job.claimed.version.as_str(), "1.0-3.5");
    job.succeeds().await;
}

#[tokio::test]
async fn keeps_releases_without_bump() {
    let (server, _base) = server_over_base(&[("greet", "1.0-3")]).await;
    let request = CreateNamespace {
        no_bump: true,
        name: Some(parse("plain")),
        ..new_namespace(&["libgreet/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
    assert_eq!(
        server.build("plain", "greet").await.version.as_str(),
        "1.0-3"
    );
}

#[tokio::test]
async fn notes_unreadable_base_repository_and_continues() {
    let (server, base) = server_over_base(&[]).await;
    fs_err::write(base.path().join("core.db"), "no database").unwrap();
    server.namespace("bump", &["libgreet/main"]).await;
    let iteration = server.iteration("bump").await;
    let noted = iteration
        .notes
        .iter()
        .any(|note| note.kind == NoteKind::Problem && note.text.contains("base repository core"));
    assert!(noted, "{:?}", iteration.notes);
}

#[tokio::test]
async fn returns_404_for_unknown_resources() {
    let server = TestServer::start(small_distribution).await;
    server.namespace("there", &["libgreet/main"]).await;
    let attempt = buildbtw_model::AttemptId::new();
    for path in [
        "/api/v1/namespaces/nothing",
        "/api/v1/namespaces/nothing/iterations/current",
        "/api/v1/namespaces/nothing/events",
        "/api/v1/namespaces/there/iterations/2",
        "/api/v1/namespaces/there/iterations/0",
        "/api/v1/builds/999",
        &format!("/api/v1/attempts/{attempt}/log"),
        "/api/v1/nothing",
    ] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        expect_problem(response, 404, ProblemKind::NotFound).await;
    }
    for path in [
        "/api/v1/namespaces/NOT%20VALID",
        "/api/v1/namespaces/there/iterations/newest",
        "/api/v1/namespaces/there/iterations/-1",
        "/api/v1/builds/one",
        "/api/v1/attempts/one/log",
        "/api/v1/namespaces?cursor=x",
        "/api/v1/sources?broken=perhaps",
    ] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    }
    let response = server
        .request(Method::DELETE, "/api/v1/namespaces")
        .send()
        .await
        .unwrap();
    expect_problem(response, 405, ProblemKind::InvalidRequest).await;
}

#[tokio::test]
async fn rejects_excluding_an_origin() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    })
    .await;
    let mut request = new_namespace(&["libgreet/main"]);
    request.exclude = vec!["lib*".to_owned()];
    let problem = refusal(server.admin().create_namespace(&request).await);
    assert_eq!(problem.kind, ProblemKind::InvalidRequest);
    assert!(problem.title.contains("libgreet/main"), "{problem:?}");
}

#[tokio::test]
async fn accepts_abbreviated_commit() {
    let server = TestServer::start(|_| {}).await;
    let commit = server.sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    server.source_at("libgreet", "2.0-1").await;
    let changeset = format!("libgreet/{}", &commit.to_string()[..8]);
    server.namespace("short", &[&changeset]).await;
    let origins = server.iteration("short").await.origins;
    assert_eq!(origins[0].commit, commit);
}

#[tokio::test]
async fn reports_package_of_two_pkgbases() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("greet", "1-1"));
        sources.push(&Srcinfo::new("other", "1-1").pkgname("greet"));
    })
    .await;
    server.namespace("bump", &["greet/main"]).await;
    let notes = server.iteration("bump").await.notes;
    let expected = "greet: several source packages produce greet: greet 1-1, other 1-1; the repository \
                    lists the highest version that is built, 1-1 of greet";
    assert!(notes.iter().any(|note| note.text == expected), "{notes:?}");
}

#[tokio::test]
async fn shows_blockers_and_repository_packages_of_blocked_build() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "2.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let repository = async || {
        let iteration = server.iteration("bump").await;
        iteration.architectures[0].repository.clone()
    };
    assert_eq!(
        server.build("bump", "greet").await.waits_for,
        [parse("libgreet")]
    );
    assert!(
        repository()
            .await
            .url
            .ends_with("/repo/bump/current/x86_64")
    );
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    assert!(repository().await.url.ends_with("/repo/bump/latest/x86_64"));
    server.sources.push(&Srcinfo::new("libgreet", "3.0-1"));
    server.source_at("libgreet", "3.0-1").await;
    eventually("the namespace is replanned", async || {
        (server.iteration("bump").await.summary.number == 2).then_some(())
    })
    .await;
    let served = repository().await;
    assert!(served.note.contains("now number 1"), "{}", served.note);
    let old = server.public().iteration(&parse("bump"), Some(1)).await;
    let old = &old.unwrap().architectures[0].repository;
    assert!(old.url.ends_with("/repo/bump/1/x86_64"), "{}", old.url);
}

#[tokio::test]
async fn requested_iteration_includes_earlier_pushes() {
    let server = TestServer::start(small_distribution).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    for release in 4..8 {
        let commit = server
            .sources
            .push(&Srcinfo::new("greet", &format!("1.0-{release}")).depends(&["libgreet"]));
        let request = CreateIteration::default();
        let iteration = server.admin().create_iteration(&name, request).await;
        let builds = iteration.unwrap().builds;
        let greet = builds
            .iter()
            .find(|build| build.pkgbase.as_str() == "greet");
        assert_eq!(greet.unwrap().commit, commit);
    }
}
