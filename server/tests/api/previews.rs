//! What a preview says about the builds of a plan: versions, reuse, earlier failures, the sources and the limits.

use buildbtw_model::api::{PlanDocument, PlanPreview};
use buildbtw_model::client::Client;
use buildbtw_model::{BuildStatus, FailureKind};
use serde_json::{Value, json};

use crate::support::{SourceTree, Srcinfo, TestServer, eventually};
use crate::versions::server_over;

const BASE: [(&str, &str); 2] = [("libgreet", "1.0-1"), ("greet", "1.0-3")];

fn sources(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-3").depends(&["libgreet"]));
}

/// Requests a preview of the library with these fields, besides the changeset.
async fn text(client: &Client, fields: Value) -> String {
    let mut request = json!({ "changesets": ["libgreet/main"] });
    let fields = fields.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(fields);
    let preview: PlanPreview = serde_json::from_value(request).unwrap();
    client.preview_plan(&preview).await.unwrap()
}

async fn plan(client: &Client, fields: Value) -> Value {
    let mut fields = fields;
    fields["format"] = "json".into();
    serde_json::from_str(&text(client, fields).await).unwrap()
}

/// Builds the library, and lets the program fail.
async fn build_once(server: &TestServer) {
    server.namespace("first", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    let message = "build() failed: greet.c:1\nand more of the log";
    job.fails(FailureKind::Package, message).await;
}

#[tokio::test]
async fn shows_versions_and_kinds_of_dependencies() {
    let (server, _base) = server_over(&BASE, sources).await;
    let json = plan(&server.admin(), json!({})).await;
    let builds = json["builds"].as_array().unwrap();
    let of = |at: usize, field: &str| builds[at][field].clone();
    assert_eq!(of(0, "old_version"), "1.0-1", "{json}");
    assert_eq!(of(0, "version"), "2.0-1");
    assert_eq!(of(1, "old_version"), "1.0-3");
    assert_eq!(of(1, "version"), "1.0-3.1");
    assert_eq!(of(1, "needs_kinds"), json!(["depends"]));
    assert_eq!(of(1, "reason_kinds"), json!(["depends"]));
    let text = text(&server.admin(), json!({})).await;
    for line in [
        "  libgreet 1.0-1 -> 2.0-1\n",
        "  greet 1.0-3 -> 1.0-3.1  after libgreet@1 (depends)\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn shows_reused_packages_and_last_failures() {
    let (server, _base) = server_over(&BASE, sources).await;
    let admin = server.admin();
    let before = plan(&admin, json!({})).await;
    for build in before["builds"].as_array().unwrap() {
        assert_eq!(build.get("reuse"), None, "{before}");
        assert_eq!(build.get("last_failure"), None, "{before}");
    }
    build_once(&server).await;
    // Everyone sees the same.
    for client in [&admin, &server.public()] {
        let after = plan(client, json!({})).await;
        let [library, program] = &after["builds"].as_array().unwrap()[..] else {
            panic!("{after}");
        };
        assert_eq!(library["reuse"]["namespace"], "first", "{after}");
        assert_eq!(library["reuse"]["version"], "2.0-1");
        assert_eq!(library.get("last_failure"), None);
        assert_eq!(program.get("reuse"), None);
        let failure = &program["last_failure"];
        assert_eq!(failure["message"], "build() failed: greet.c:1", "{after}");
        assert_eq!(failure["namespace"], "first");
    }
    let text = text(&admin, json!({})).await;
    for part in [
        "  libgreet 1.0-1 -> 2.0-1  reused from first\n",
        "    last failed in first, ",
        " UTC: build() failed: greet.c:1\n",
        "\nreused: 1 build\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // A new namespace does what the plan said.
    server.namespace("second", &["libgreet/main"]).await;
    let reused = eventually("a reused build", async || {
        let build = server.build("second", "libgreet").await;
        (build.status == BuildStatus::Reused).then_some(build)
    });
    assert_eq!(reused.await.version.as_str(), "2.0-1");
}

#[tokio::test]
async fn plan_of_another_branch_reuses_what_it_has_built() {
    let (server, _base) = server_over(&BASE, |tree| {
        sources(tree);
        tree.push_branch("next", &Srcinfo::new("libgreet", "3.0-1"));
    })
    .await;
    let next = json!({ "changesets": ["libgreet/next"] });
    let before = plan(&server.admin(), next.clone()).await;
    assert_eq!(before["builds"][0]["version"], "3.0-1", "{before}");
    assert_eq!(before["builds"][0].get("reuse"), None, "{before}");
    server.namespace("next", &["libgreet/next"]).await;
    server.worker("w").await.builds("libgreet").await;
    let after = plan(&server.admin(), next).await;
    assert_eq!(after["builds"][0]["reuse"]["namespace"], "next", "{after}");
}

#[tokio::test]
async fn success_after_a_failure_is_not_a_failure() {
    let (server, _base) = server_over(&BASE, sources).await;
    build_once(&server).await;
    // The retry ends later.
    server.advance(std::time::Duration::from_secs(60));
    server.namespace("again", &["libgreet/main"]).await;
    server.worker("w2").await.builds("greet").await;
    let json = plan(&server.admin(), json!({})).await;
    assert_eq!(json["builds"][1].get("last_failure"), None, "{json}");
    assert_eq!(json["builds"][1]["reuse"]["namespace"], "again", "{json}");
}

#[tokio::test]
async fn says_how_old_the_sources_are() {
    let (server, _base) = server_over(&BASE, sources).await;
    let json = plan(&server.admin(), json!({})).await;
    let as_of = json["sources"]["as_of"].as_str().unwrap();
    assert!(as_of.parse::<jiff::Timestamp>().is_ok(), "{json}");
    let text = text(&server.admin(), json!({})).await;
    assert!(text.contains("\nsources: as of "), "{text}");
}

#[tokio::test]
async fn shows_plan_above_the_limit_of_builds() {
    let (server, _base) = server_over(&BASE, sources).await;
    let admin = server.admin();
    let json = plan(&admin, json!({ "max_builds": 1 })).await;
    assert_eq!(json["exceeds"], json!({ "builds": 2, "max_builds": 1 }));
    assert_eq!(json["builds"].as_array().unwrap().len(), 2);
    let shown = text(&admin, json!({ "max_builds": 1 })).await;
    let remark =
        "2 builds for x86_64 are more than --max-builds 1: `buildbtw new` needs --max-builds 2\n";
    assert!(shown.ends_with(remark), "{shown}");
    for fields in [json!({}), json!({ "max_builds": 2 })] {
        assert_eq!(plan(&admin, fields).await.get("exceeds"), None);
    }
}

#[tokio::test]
async fn text_is_cut_to_a_limit() {
    let (server, _base) = server_over(&BASE, sources).await;
    let admin = server.admin();
    let shown = text(&admin, json!({ "limit": 1 })).await;
    assert!(shown.contains("libgreet 1.0-1"), "{shown}");
    assert!(shown.contains("\n  and 1 more\n"), "{shown}");
    assert!(!shown.contains("1.0-3.1"), "{shown}");
    let summary = "\n\n2 builds of 2 packages in 2 levels";
    assert!(shown.contains(summary), "{shown}");
    // JSON is complete.
    let json = plan(&admin, json!({ "limit": 1, "lines": 8 })).await;
    assert_eq!(json["builds"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn json_is_what_the_schema_says() {
    let (server, _base) = server_over(&BASE, |tree| {
        sources(tree);
        tree.push_to("broken", "main", Some("pkgver = 1\n"));
    })
    .await;
    build_once(&server).await;
    // A cycle, and a dependency that no package satisfies.
    let first = Srcinfo::new("loop-a", "1-1").depends(&["libgreet"]);
    server.sources.push(&first.with("makedepends", "loop-b"));
    let second = Srcinfo::new("loop-b", "1-1").depends(&["loop-a", "nothing"]);
    server.sources.push(&second);
    server.source_at("loop-b", "1-1").await;
    for fields in [json!({}), json!({ "max_builds": 1, "scope": "all" })] {
        let json = plan(&server.admin(), fields).await;
        let document: PlanDocument = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&document).unwrap(), json);
        assert!(document.sources.unwrap().note.is_some(), "{json}");
        assert_eq!(document.unresolved.len(), 1, "{json}");
        assert!(document.builds[0].reuse.is_some(), "{json}");
    }
}
