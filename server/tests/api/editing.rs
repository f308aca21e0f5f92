//! `edit`: changes what a namespace rebuilds.

use buildbtw_model::api::{EditNamespace, ProblemKind};
use buildbtw_model::client::ActivityQuery;
use buildbtw_model::{ActivityKind, BuildStatus, IterationCause, Priority, Scope};
use reqwest::Method;
use serde_json::json;

use crate::support::{SourceTree, Srcinfo, TestServer, eventually, parse, refusal};

/// Pushes `libgreet` <- `greet`, and `libwave` <- `wave`.
fn families(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    sources.push(&Srcinfo::new("libwave", "2.0-1"));
    sources.push(&Srcinfo::new("wave", "1.0-1").depends(&["libwave"]));
}

#[tokio::test]
async fn edit_plans_a_new_iteration_with_reuse_at_the_same_address() {
    let server = TestServer::start(families).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    let before = server.public().namespace(&name).await.unwrap();
    let edit = EditNamespace {
        add: vec![parse("libwave/main")],
        ..EditNamespace::default()
    };
    let edited = server.admin().edit_namespace(&name, &edit).await.unwrap();
    assert_eq!(edited.web_url, before.web_url);
    assert_eq!(edited.summary.iteration.number, 2);
    let origins: Vec<_> = edited
        .summary
        .changesets
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(origins, ["libgreet/main", "libwave/main"]);
    let cause = &edited.summary.iteration.causes[0];
    let changes = "added libwave/main".to_owned();
    assert_eq!(*cause, IterationCause::Edited { changes });
    eventually("unchanged builds are reused", async || {
        let build = server.build("bump", "greet").await;
        (build.status == BuildStatus::Reused).then_some(())
    })
    .await;
    worker.builds("libwave").await;
    let query = ActivityQuery {
        by: None,
        namespace: Some(name.clone()),
    };
    let found = server.public().activity(&query, None).await.unwrap();
    assert!(found.iter().any(|item| item.kind == ActivityKind::Edited));
}

#[tokio::test]
async fn edit_removes_origins_and_changes_scope_and_patterns() {
    let server = TestServer::start(families).await;
    let name = server
        .namespace("bump", &["libgreet/main", "libwave/main"])
        .await;
    let edit = EditNamespace {
        remove: vec![parse("libwave/main")],
        scope: Some(Scope::Origin),
        include: vec!["wave".into()],
        priority: Some(Priority::High),
        ..EditNamespace::default()
    };
    let edited = server.admin().edit_namespace(&name, &edit).await.unwrap();
    assert_eq!(edited.summary.scope, Scope::Origin);
    assert_eq!(edited.summary.priority, Priority::High);
    assert_eq!(edited.include, ["wave"]);
    assert!(edited.exclude.is_empty());
    let ready = BuildStatus::Ready;
    server
        .expect_builds("bump", &[("libgreet", ready), ("wave", ready)])
        .await;
    // The next iteration is planned with it, too.
    let undo = EditNamespace {
        no_include: vec!["wave".into()],
        ..EditNamespace::default()
    };
    let undone = server.admin().edit_namespace(&name, &undo).await.unwrap();
    assert!(undone.include.is_empty());
    server.expect_builds("bump", &[("libgreet", ready)]).await;
}

#[tokio::test]
async fn edit_that_changes_nothing_plans_nothing() {
    let server = TestServer::start(families).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let edit = EditNamespace {
        add: vec![parse("libgreet/main")],
        scope: Some(Scope::Transitive),
        priority: Some(Priority::Low),
        ..EditNamespace::default()
    };
    let edited = server.admin().edit_namespace(&name, &edit).await.unwrap();
    assert_eq!(edited.summary.iteration.number, 1);
    assert_eq!(edited.summary.priority, Priority::Low);
}

#[tokio::test]
async fn refused_edit_changes_nothing_and_says_what_to_do() {
    let server = TestServer::start(families).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let none = EditNamespace::default();
    for (edit, kind, title) in [
        (
            EditNamespace {
                remove: vec![parse("libgreet")],
                ..none.clone()
            },
            ProblemKind::InvalidRequest,
            "`bump` would have no origin left",
        ),
        (
            EditNamespace {
                remove: vec![parse("libgreet/next")],
                ..none.clone()
            },
            ProblemKind::InvalidRequest,
            "`libgreet/next` is not an origin of `bump`",
        ),
        (
            none.clone(),
            ProblemKind::InvalidRequest,
            "the edit changes nothing",
        ),
        (
            EditNamespace {
                add: vec![parse("nosuch/main")],
                ..none.clone()
            },
            ProblemKind::UnknownPkgbase,
            "",
        ),
        (
            EditNamespace {
                include: vec!["wave".into(), "haskel-*".into()],
                ..none.clone()
            },
            ProblemKind::InvalidRequest,
            "--include: no pkgbase matches `haskel-*`",
        ),
        (
            EditNamespace {
                exclude: vec!["haskel-*".into()],
                ..none.clone()
            },
            ProblemKind::InvalidRequest,
            "--exclude: no pkgbase matches `haskel-*`",
        ),
        (
            EditNamespace {
                max_builds: Some(1),
                ..none.clone()
            },
            ProblemKind::PlanTooLarge,
            "",
        ),
    ] {
        let problem = refusal(server.admin().edit_namespace(&name, &edit).await);
        assert_eq!(problem.kind, kind, "{problem:?}");
        assert!(problem.title.starts_with(title), "{problem:?}");
        let is_hinted = problem.hint.is_some() || title.is_empty();
        assert!(is_hinted, "{problem:?}");
    }
    let unchanged = server.public().namespace(&name).await.unwrap();
    assert_eq!(unchanged.summary.iteration.number, 1);
    assert_eq!(unchanged.summary.changesets.len(), 1);
    let problem = refusal(
        server
            .admin()
            .edit_namespace(&parse("nosuch"), &priority())
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::NotFound);
}

fn priority() -> EditNamespace {
    EditNamespace {
        priority: Some(Priority::High),
        ..EditNamespace::default()
    }
}

#[tokio::test]
async fn refuses_to_edit_a_cancelled_namespace() {
    let server = TestServer::start(families).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    server.admin().cancel(&name).await.unwrap();
    let edit = EditNamespace {
        scope: Some(Scope::Origin),
        ..EditNamespace::default()
    };
    let problem = refusal(server.admin().edit_namespace(&name, &edit).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    assert!(problem.hint.unwrap().contains("buildbtw resume"));
}

#[tokio::test]
async fn refuses_an_edit_with_unknown_fields() {
    let server = TestServer::start(families).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let request = server.admin_request(Method::PATCH, "/api/v1/namespaces/bump");
    let response = request
        .json(&json!({ "origins": [] }))
        .send()
        .await
        .unwrap();
    crate::support::expect_problem(response, 400, ProblemKind::InvalidRequest).await;
}
