//! The index contains the projects of the group, and changes there are detected.

use buildbtw_fake_gitlab::{Fault, On, Times};
use buildbtw_model::SourceProblemKind;
use buildbtw_model::api::SourceRepositorySummary;
use jiff::SignedDuration;

use super::{Forge, GROUP, many, overview, poll};
use crate::support::{Srcinfo, TestServer, eventually};

async fn problem(server: &TestServer, path: &str) -> String {
    let source = server.source(path).await;
    let source = source.unwrap_or_else(|| panic!("{path} is not listed"));
    source.problem.unwrap_or_default()
}

fn is_usable(source: &SourceRepositorySummary) -> bool {
    source.problem.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_every_project_or_reports_why_not() {
    let forge = Forge::new().await;
    let gitlab = &forge.gitlab;
    let greet = forge.push(&Srcinfo::new("libgreet", "1-1"));
    // Subgroups count; names that GitLab does not allow are mapped by the rules of Arch Linux.
    gitlab.create_group(&format!("{GROUP}/sub")).unwrap();
    forge.push_to("sub/nested", "main", &Srcinfo::new("nested", "1-1"));
    forge.push_to("libsigcplusplus", "main", &Srcinfo::new("libsigc++", "1-1"));
    forge.push_to("unix-tree", "main", &Srcinfo::new("tree", "1-1"));
    // These cannot be used.
    gitlab.create_project(&format!("{GROUP}/empty")).unwrap();
    let bare = gitlab.create_project(&format!("{GROUP}/bare")).unwrap();
    let readme: [(&str, Option<&[u8]>); 1] = [("README", Some(b"x"))];
    gitlab.commit(bare, "main", &readme, "x").unwrap();
    let binary = gitlab.create_project(&format!("{GROUP}/binary")).unwrap();
    let bytes: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(b"\x00\xff"))];
    gitlab.commit(binary, "main", &bytes, "x").unwrap();
    forge.push_to("other-name", "main", &Srcinfo::new("misnamed", "1-1"));
    forge.push(&Srcinfo::new("dropped", "1-1"));
    gitlab.archive(forge.project("dropped"), true).unwrap();
    // Two projects claim one pkgbase.
    forge.push_to("sub/libgreet", "main", &Srcinfo::new("libgreet", "2-1"));

    let server = forge.server().await;
    for path in ["libgreet", "sub/nested", "libsigcplusplus", "unix-tree"] {
        let source = server.source(path).await.unwrap();
        assert!(is_usable(&source) || path == "libgreet", "{source:?}");
    }
    let source = server.source("libsigcplusplus").await.unwrap();
    assert_eq!(source.pkgbase.unwrap().as_str(), "libsigc++");
    for (path, expected) in [
        ("empty", "no commits"),
        ("bare", "no .SRCINFO"),
        ("binary", "UTF-8"),
        ("other-name", "`misnamed`"),
        ("dropped", "archived"),
    ] {
        let problem = problem(&server, path).await;
        assert!(problem.contains(expected), "{path}: {problem}");
    }
    let one = problem(&server, "libgreet").await;
    let other = problem(&server, "sub/libgreet").await;
    let claimed = [&one, &other]
        .into_iter()
        .filter(|problem| problem.contains("claimed"))
        .count();
    assert_eq!(claimed, 1, "{one:?}, {other:?}");
    assert!(!greet.is_empty());

    // The rejected project gets the pkgbase when the other one disappears.
    let winner = if one.is_empty() {
        "libgreet"
    } else {
        "sub/libgreet"
    };
    let loser = if one.is_empty() {
        "sub/libgreet"
    } else {
        "libgreet"
    };
    gitlab.delete(forge.project(winner)).unwrap();
    poll(&server).await;
    server.source_that(loser, "usable", is_usable).await;
    assert!(server.source(winner).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_poll_sends_one_request_and_writes_nothing() {
    let forge = Forge::new().await;
    forge.gitlab.import_texts(many("p", 250), GROUP).unwrap();
    // The hour of the import is over, so that polls no longer cover it.
    forge.gitlab.clock().advance(SignedDuration::from_hours(3));
    let server = forge.server().await;
    assert_eq!(forge.later_pages().len(), 2);
    poll(&server).await;
    forge.gitlab.clear_requests();
    let written = written(&server);
    for _ in 0..3 {
        poll(&server).await;
    }
    let requests = forge.gitlab.requests();
    // Each poll requested the first page, and nothing else.
    assert!(requests.len() >= 3, "{requests:?}");
    assert_eq!(requests.len(), forge.requests_of("GroupProjects").len());
    assert_eq!(forge.later_pages().len(), 0, "{requests:?}");
    assert_eq!(forge.requests_by_id(), 0, "{requests:?}");
    assert_eq!(self::written(&server), written);
}

/// Returns what was written since the database was opened: the write-ahead log.
fn written(server: &TestServer) -> Vec<u8> {
    let log = fs_err::read(server.data().join("buildbtw.sqlite3-wal")).unwrap();
    assert!(!log.is_empty());
    log
}

/// Enough that a project of an hour ago is on the third page.
const OTHERS: usize = 210;

#[tokio::test(flavor = "multi_thread")]
async fn detects_push_without_new_timestamp() {
    let forge = Forge::new().await;
    let clock = forge.gitlab.clock();
    clock.advance(SignedDuration::from_hours(3));
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    clock.advance(SignedDuration::from_mins(10));
    forge
        .gitlab
        .import_texts(many("other", OTHERS), GROUP)
        .unwrap();
    clock.advance(SignedDuration::from_mins(40));
    let server = forge.server().await;
    poll(&server).await;
    // Within an hour of its last push GitLab does not move the project: it stays behind all the
    // others.
    forge.push(&Srcinfo::new("libgreet", "2-1"));
    forge.gitlab.clear_requests();
    poll(&server).await;
    server.source_at("libgreet", "2-1").await;
    assert_eq!(forge.later_pages().len(), 2);
    // A much later poll does not help either, and other projects move on meanwhile.
    forge.push(&Srcinfo::new("libgreet", "3-1"));
    clock.advance(SignedDuration::from_hours(5));
    forge.push(&Srcinfo::new("anchor", "2-1"));
    poll(&server).await;
    server.source_at("libgreet", "3-1").await;
    // After that hour, one page is enough again.
    clock.advance(SignedDuration::from_hours(2));
    poll(&server).await;
    forge.gitlab.clear_requests();
    poll(&server).await;
    assert!(!forge.requests_of("GroupProjects").is_empty());
    assert_eq!(forge.later_pages().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_changes_a_poll_finds_outside_its_window() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    forge.gitlab.clock().advance(SignedDuration::from_hours(9));
    let server = forge.server().await;
    server.namespace("n", &["libgreet/main"]).await;
    let text = Srcinfo::new("libgreet", "2-1").text();
    let files: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(text.as_bytes()))];
    let project = forge.project("libgreet");
    let pushed = forge
        .gitlab
        .push_without_event(project, "main", &files, "x")
        .unwrap();
    poll(&server).await;
    eventually("a new iteration", async || {
        let now = server.iteration("n").await.origins;
        (now[0].commit.as_str() == pushed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detects_project_removed_during_downtime() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("going", "1-1"));
    let mut server = forge.server().await;
    server.stop().await;
    forge.gitlab.delete(forge.project("going")).unwrap();
    server.start_again().await;
    poll(&server).await;
    eventually("gone", async || {
        server.source("going").await.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frees_pkgbase_when_its_project_was_renamed() {
    let forge = Forge::new().await;
    let gitlab = &forge.gitlab;
    forge.push(&Srcinfo::new("foo", "1-1"));
    let mut options = forge.options();
    options.sweep_seconds = 1;
    let server = forge.server_with(options).await;
    gitlab.create_group(&format!("{GROUP}/sub")).unwrap();
    forge.push_to("sub/foo", "main", &Srcinfo::new("foo", "2-1"));
    let refused = |source: &SourceRepositorySummary| !is_usable(source);
    server.source_that("sub/foo", "refused", refused).await;
    // Its path goes to a project without commits before the server detects the new one.
    let foo = forge.project("foo");
    gitlab.rename(foo, &format!("{GROUP}/bar")).unwrap();
    gitlab.create_project(&format!("{GROUP}/foo")).unwrap();
    server.source_that("sub/foo", "usable", is_usable).await;
    let misnamed = |source: &SourceRepositorySummary| {
        source.problem_kind == Some(SourceProblemKind::Misnamed)
            && source
                .problem
                .as_deref()
                .is_some_and(|p| p.contains("named `bar`"))
    };
    server.source_that("bar", "misnamed", misnamed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_initial_sync_when_its_cursor_is_unknown() {
    let forge = Forge::new().await;
    forge.gitlab.import_texts(many("p", 250), GROUP).unwrap();
    let rule = forge.gitlab.faults().add(
        On::Operation("GroupProjects".into()),
        Times::Every(2),
        Fault::RateLimited { retry_after: 3000 },
    );
    let mut server = TestServer::start_with(forge.options(), |_| {}).await;
    eventually("an outage", async || overview(&server).await.outage).await;
    server.crash().await;
    forge.gitlab.faults().remove(rule);
    server
        .sql("update source_progress set cursor = 'bm9uc2Vuc2U' where cursor is not null")
        .await;
    server.start_again().await;
    super::complete(&server).await;
    assert_eq!(overview(&server).await.usable, 251);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_resync_detects_push_with_lost_event() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    forge.gitlab.clock().advance(SignedDuration::from_hours(3));
    let mut options = forge.options();
    options.sweep_seconds = 1;
    let server = forge.server_with(options).await;
    let text = Srcinfo::new("libgreet", "2-1").text();
    let files: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(text.as_bytes()))];
    let project = forge.project("libgreet");
    forge
        .gitlab
        .push_without_event(project, "main", &files, "x")
        .unwrap();
    server.source_at("libgreet", "2-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_renamed_moved_archived_and_deleted_projects() {
    let forge = Forge::new().await;
    let gitlab = &forge.gitlab;
    gitlab.create_group(&format!("{GROUP}/sub")).unwrap();
    for name in ["moving", "dropping", "going", "leaving"] {
        forge.push(&Srcinfo::new(name, "1-1"));
    }
    // Two projects swap their paths.
    forge.push(&Srcinfo::new("one", "1-1"));
    forge.push(&Srcinfo::new("two", "1-1"));
    let mut options = forge.options();
    options.sweep_seconds = 1;
    let server = forge.server_with(options).await;
    let id = |name: &str| forge.project(name);
    gitlab
        .rename(id("moving"), &format!("{GROUP}/sub/moving"))
        .unwrap();
    gitlab.archive(id("dropping"), true).unwrap();
    gitlab.delete(id("going")).unwrap();
    gitlab.create_group("elsewhere").unwrap();
    gitlab.rename(id("leaving"), "elsewhere/leaving").unwrap();
    let (one, two) = (id("one"), id("two"));
    gitlab.rename(one, &format!("{GROUP}/three")).unwrap();
    gitlab.rename(two, &format!("{GROUP}/one")).unwrap();
    gitlab.rename(one, &format!("{GROUP}/two")).unwrap();

    server.source_that("sub/moving", "usable", is_usable).await;
    server
        .source_that("dropping", "archived", |source| {
            source.problem_kind == Some(SourceProblemKind::Archived)
        })
        .await;
    for path in ["two", "one"] {
        server
            .source_that(path, "misnamed", |source| {
                source.problem_kind == Some(SourceProblemKind::Misnamed)
            })
            .await;
    }
    for path in ["going", "leaving", "moving"] {
        eventually(path, async || {
            server.source(path).await.is_none().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_interrupted_initial_sync() {
    let forge = Forge::new().await;
    forge.gitlab.import_texts(many("p", 450), GROUP).unwrap();
    // Long enough ago that polls do not cover it.
    forge.gitlab.clock().advance(SignedDuration::from_hours(3));
    // The sync gets two pages, and then GitLab is unreachable.
    let rule = forge.gitlab.faults().add(
        On::Operation("GroupProjects".into()),
        Times::Every(3),
        Fault::RateLimited { retry_after: 3000 },
    );
    let mut server = TestServer::start_with(forge.options(), |_| {}).await;
    eventually("an outage", async || overview(&server).await.outage).await;
    let stopped = overview(&server).await;
    assert!(!stopped.complete);
    assert_eq!(stopped.progress.unwrap().seen, 200);
    assert_eq!(stopped.progress.unwrap().total, Some(451));
    assert!(stopped.outage.unwrap().message.contains("retry after"));
    // Planning with a part of the packages is rejected.
    let refused = server
        .admin_request(reqwest::Method::POST, "/api/v1/namespaces")
        .json(&serde_json::json!({ "changesets": ["p1/main"] }))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    let text = refused.text().await.unwrap();
    assert!(text.contains("not finished (200 of 451 so far)"), "{text}");

    server.crash().await;
    forge.gitlab.faults().remove(rule);
    forge.gitlab.clear_requests();
    server.start_again().await;
    super::complete(&server).await;
    // Three of five pages were left.
    assert_eq!(forge.later_pages().len(), 3);
    assert_eq!(overview(&server).await.usable, 451);
}
