//! Reports about rebuilds to GitLab, if enabled.

use buildbtw_fake_gitlab::{Fault, On, Times};
use buildbtw_model::{FailureKind, IterationStatus};
use serde_json::Value;

use super::Forge;
use crate::support::{Srcinfo, TestServer, eventually};

async fn forge() -> Forge {
    let mut forge = Forge::empty().await;
    forge.token = forge.gitlab.create_token(&["api"]);
    forge.write("token", &forge.token);
    forge.push(&Srcinfo::new("libgreet", "2.0-1"));
    forge.push(&Srcinfo::new("greeter", "1.0-1").depends(&["libgreet"]));
    forge
}

impl Forge {
    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/api/v4/{path}", self.gitlab.url());
        let request = reqwest::Client::new().get(url).bearer_auth(&self.token);
        let response = request.send().await.unwrap().error_for_status().unwrap();
        response.json().await.unwrap()
    }

    /// Returns the statuses of a commit, oldest first: state and description.
    async fn statuses(&self, pkgbase: &str, commit: &str) -> Vec<(String, String)> {
        let project = self.project(pkgbase);
        let path = format!("projects/{project}/repository/commits/{commit}/statuses?all=true");
        let rows = self.get(&path).await;
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let mut rows: Vec<_> = rows.as_array().unwrap().clone();
        rows.sort_by_key(|row| row["id"].as_u64());
        rows.iter()
            .map(|row| (text(row, "status"), text(row, "description")))
            .collect()
    }

    /// Waits until the newest status of a commit is this one.
    async fn status(&self, pkgbase: &str, commit: &str, state: &str) -> String {
        eventually("a commit status", async || {
            let all = self.statuses(pkgbase, commit).await;
            let (newest, description) = all.last()?.clone();
            (newest == state).then_some(description)
        })
        .await
    }

    async fn notes(&self, pkgbase: &str, iid: u64) -> Vec<String> {
        let project = self.project(pkgbase);
        let path = format!("projects/{project}/merge_requests/{iid}/notes");
        let rows = self.get(&path).await;
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["body"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn server(forge: &Forge, kinds: &str) -> TestServer {
    let mut options = forge.options();
    options.extra.push(format!("--gitlab-report={kinds}"));
    forge.server_with(options).await
}

#[tokio::test]
async fn reports_rebuild_state_on_origin_commit() {
    let forge = forge().await;
    let commit = forge.push(&Srcinfo::new("libgreet", "2.0-2"));
    let server = server(&forge, "commit-status").await;
    server.namespace("bump", &["libgreet/main"]).await;
    forge.status("libgreet", &commit, "pending").await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    forge.status("libgreet", &commit, "running").await;
    worker
        .claims_build_of("greeter")
        .await
        .fails(FailureKind::Package, "error: no")
        .await;
    let description = forge.status("libgreet", &commit, "failed").await;
    assert_eq!(description, "1 of 2 built, 1 failed");
    // A retry is a new status: GitLab does not reopen a final one.
    let retry = Default::default();
    let admin = server.admin();
    admin
        .retry_builds(&"bump".parse().unwrap(), &retry)
        .await
        .unwrap();
    worker.builds("greeter").await;
    let description = forge.status("libgreet", &commit, "success").await;
    assert_eq!(description, "2 of 2 built");
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn finishes_commit_status_of_superseded_iteration() {
    let forge = forge().await;
    let first = forge.push(&Srcinfo::new("libgreet", "2.0-2"));
    let server = server(&forge, "commit-status").await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    forge.status("libgreet", &first, "pending").await;
    let second = forge.push(&Srcinfo::new("libgreet", "2.0-3"));
    forge.status("libgreet", &first, "canceled").await;
    forge.status("libgreet", &second, "pending").await;
}

#[tokio::test]
async fn accepts_commit_status_that_gitlab_already_has() {
    let forge = forge().await;
    let commit = forge.push(&Srcinfo::new("libgreet", "2.0-2"));
    let server = server(&forge, "commit-status").await;
    let end = "/statuses/".to_owned() + &commit;
    let on = On::Method {
        method: "POST".into(),
        end,
    };
    forge
        .gitlab
        .faults()
        .add(on, Times::Next(1), Fault::LoseResponse);
    server.namespace("bump", &["libgreet/main"]).await;
    forge.status("libgreet", &commit, "pending").await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    worker.builds("greeter").await;
    forge.status("libgreet", &commit, "success").await;
}

#[tokio::test]
async fn keeps_one_current_note_per_merge_request() {
    let forge = forge().await;
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3.0-1"));
    let project = forge.project("libgreet");
    let iid = forge
        .gitlab
        .open_merge_request(project, "main", project, "next", "Update")
        .unwrap();
    let server = server(&forge, "merge-request-note").await;
    // The response to the first note is lost.
    let on = On::Method {
        method: "POST".into(),
        end: "/notes".into(),
    };
    forge
        .gitlab
        .faults()
        .add(on, Times::Next(1), Fault::LoseResponse);
    server.namespace("bump", &["libgreet/next"]).await;
    eventually("a note", async || {
        let notes = forge.notes("libgreet", iid).await;
        (!notes.is_empty()).then_some(())
    })
    .await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greeter").await;
    job.fails(FailureKind::Package, "greeter.c:3: error: no `greet`\nmore")
        .await;
    let note = eventually("the last state", async || {
        let notes = forge.notes("libgreet", iid).await;
        assert!(notes.len() == 1, "{notes:?}");
        notes.into_iter().find(|note| note.contains(": failed"))
    })
    .await;
    assert!(note.contains("1 of 2 built, 1 failed"), "{note}");
    assert!(note.contains("greeter.c:3: error: no greet"), "{note}");
    assert!(note.contains("[bump]\n"), "{note}");
    assert!(note.contains("| x86_64 | 1 | 0 | 0 | 1 | 0 |"), "{note}");
}

#[tokio::test]
async fn reports_on_new_commit_when_old_one_is_gone() {
    let forge = forge().await;
    let old = forge.push(&Srcinfo::new("libgreet", "2.0-2"));
    let server = server(&forge, "commit-status").await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    forge.status("libgreet", &old, "pending").await;
    let on = On::Method {
        method: "POST".into(),
        end: format!("/statuses/{old}"),
    };
    let refusal = Fault::Respond {
        status: 404,
        headers: vec![],
        body: r#"{"message":"404 Commit Not Found"}"#.into(),
    };
    forge.gitlab.faults().add(on, Times::Always, refusal);
    let new = forge.push(&Srcinfo::new("libgreet", "2.0-3"));
    forge.status("libgreet", &new, "pending").await;
}
