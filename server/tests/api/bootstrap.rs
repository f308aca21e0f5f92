//! Bootstrap builds that are requested, rejected and withdrawn.

use buildbtw_model::api::{CreateIteration, CreateNamespace, PlanPreview, ProblemKind};

use crate::planning::{OLD_CYCLE, cycle, preview, server_over};
use crate::support::{Srcinfo, TestServer, eventually, new_namespace, parse, refusal};

#[tokio::test]
async fn reports_why_namespace_cannot_be_replanned() {
    let (server, _base) = server_over(&OLD_CYCLE, |sources| {
        cycle(sources);
        // The same upstream version, only rebuilt.
        sources.push(&Srcinfo::new("libcyc", "1-2").with("provides", "libcyc.so"));
    })
    .await;
    let name = server.namespace("stuck", &["libcyc/main"]).await;
    let replan_error = async || server.public().namespace(&name).await.unwrap().replan_error;
    assert_eq!(replan_error().await, None);
    let library = |version: &str| Srcinfo::new("libcyc", version).with("provides", "libcyc.so");
    server.sources.push(&library("2-1"));
    let reason = eventually("the request is rejected", replan_error).await;
    assert!(reason.contains("without a bootstrap build"), "{reason}");
    let detail = server.public().namespace(&name).await.unwrap();
    let kind = detail.replan_error_kind;
    assert_eq!(kind, Some(ProblemKind::BootstrapNeeded));
    let path = format!("/namespaces/{name}");
    let page = server.request(reqwest::Method::GET, &path).send().await;
    let page = page.unwrap().text().await.unwrap();
    assert!(page.contains("without a bootstrap build"), "{page}");

    // A rejected request is not stored.
    let admin = server.admin();
    let with = |bootstrap: &str| CreateIteration {
        bootstrap: vec![parse(bootstrap)],
        ..CreateIteration::default()
    };
    let again = refusal(admin.create_iteration(&name, with("libcyc")).await);
    assert_eq!(again.kind, ProblemKind::BootstrapNeeded);
    let kept = "select count(*) from namespace_bootstrap";
    assert_eq!(server.number(kept).await, 0);
    admin.create_iteration(&name, with("cyc-a")).await.unwrap();
    assert_eq!(replan_error().await, None);
    assert_eq!(server.number(kept).await, 1);

    // A bootstrap build can be withdrawn.
    let request = CreateIteration {
        no_bootstrap: vec![parse("cyc-a")],
        same_sonames: Some(true),
        ..CreateIteration::default()
    };
    admin.create_iteration(&name, request).await.unwrap();
    assert_eq!(server.number(kept).await, 0);
    let builds = server.iteration("stuck").await.builds;
    assert!(builds.iter().all(|build| !build.bootstrap), "{builds:?}");
    let request = CreateIteration::default();
    admin.create_iteration(&name, request).await.unwrap();
}

#[tokio::test]
async fn rejects_long_lists_of_bootstrap_builds() {
    let server = TestServer::start(cycle).await;
    let names: Vec<_> = (0..101)
        .map(|number| parse(&format!("p{number}")))
        .collect();
    let admin = server.admin();
    let request = CreateNamespace {
        name: Some(parse("many")),
        bootstrap: names.clone(),
        ..new_namespace(&["libcyc/main"])
    };
    let preview = PlanPreview {
        bootstrap: names.clone(),
        ..preview("libcyc/main")
    };
    let name = server.namespace("few", &["libcyc/main"]).await;
    let iteration = CreateIteration {
        bootstrap: names,
        ..CreateIteration::default()
    };
    for problem in [
        refusal(admin.create_namespace(&request).await),
        refusal(admin.preview_plan(&preview).await),
        refusal(server.public().preview_plan(&preview).await),
        refusal(admin.create_iteration(&name, iteration).await),
    ] {
        assert_eq!(problem.kind, ProblemKind::InvalidRequest, "{problem:?}");
        assert!(problem.title.contains("more than 100"), "{problem:?}");
    }
}
