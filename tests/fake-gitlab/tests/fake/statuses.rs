use buildbtw_fake_gitlab::{Role, Source};
use serde_json::{Value, json};

use crate::support::{Fixture, ONE_JOB};

#[tokio::test]
async fn commit_status_creates_or_joins_pipeline() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let sha = fixture.gitlab.head(project, None).unwrap().unwrap();
    let path = format!("/projects/1/statuses/{sha}");
    let say = async |body: Value| fixture.send("POST", &path, &body).await;
    let first = json!({
        "state": "pending", "context": "buildbtw", "target_url": "https://build.example/1",
        "description": "Waits",
    });
    let (status, created) = say(first.clone()).await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["name"], "buildbtw");
    assert_eq!(created["status"], "pending");
    assert_eq!(created["ref"], "main");
    assert_eq!(created["target_url"], "https://build.example/1");
    assert_eq!(created["author"]["username"], "buildbtw");
    let pipelines = fixture.gitlab.pipelines(project);
    assert_eq!(pipelines.len(), 1);
    assert_eq!(pipelines[0].source, Source::External);
    let (status, again) = say(first).await;
    assert_eq!(status, 400);
    assert_eq!(
        again["message"],
        "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition \
         via \"enqueue\")"
    );
    let (status, running) = say(json!({ "state": "running", "name": "buildbtw" })).await;
    assert_eq!((status, &running["id"]), (201, &created["id"]));
    assert_eq!(running["description"], "Waits");
    let (_, done) = say(json!({ "state": "failed", "name": "buildbtw" })).await;
    assert_eq!(done["id"], created["id"]);
    assert_eq!(fixture.gitlab.pipelines(project)[0].status.name(), "failed");
    // A finished one is superseded.
    let (status, new) = say(json!({ "state": "success", "name": "buildbtw" })).await;
    assert_eq!(status, 201);
    assert_ne!(new["id"], created["id"]);
    assert_eq!(
        fixture.gitlab.pipelines(project)[0].status.name(),
        "success"
    );
    let list = format!("/projects/1/repository/commits/{sha}/statuses");
    let shown = fixture.json(&list).await;
    assert_eq!(shown.as_array().unwrap().len(), 1);
    let all = fixture
        .json(&format!("{list}?all=true&name=buildbtw"))
        .await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    // The status of another user is separate.
    let user = fixture.gitlab.create_user("other");
    let token = fixture.gitlab.create_token_for(user, &["api"]);
    say(json!({ "state": "running", "name": "two" })).await;
    let body = json!({ "state": "running", "name": "two" });
    let (status, _) = fixture.send_as(&token, "POST", &path, &body).await;
    assert_eq!(status, 201);
    let both = fixture.json(&format!("{list}?name=two")).await;
    assert_eq!(both.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn reports_errors_of_commit_status() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let sha = fixture.gitlab.head(project, None).unwrap().unwrap();
    let path = format!("/projects/1/statuses/{sha}");
    let say = async |path: &str, body: Value| {
        let (status, response) = fixture.send("POST", path, &body).await;
        (status, response.to_string())
    };
    let good = json!({ "state": "pending" });
    for (path, body, status, text) in [
        (path.as_str(), json!({}), 400, "State is required"),
        (
            &path,
            json!({ "state": "odd" }),
            400,
            "state does not have a valid value",
        ),
        (
            &path,
            json!({ "state": "pending", "description": "x".repeat(256) }),
            400,
            "is too long",
        ),
        (
            "/projects/1/statuses/0123",
            good.clone(),
            404,
            "404 Commit Not Found",
        ),
        (
            &path,
            json!({ "state": "pending", "pipeline_id": 1 }),
            404,
            "404 Pipeline for pipeline_id, sha and ref Not Found",
        ),
        (
            "/projects/9/statuses/0123",
            good.clone(),
            404,
            "404 Project Not Found",
        ),
    ] {
        let found = say(path, body).await;
        assert_eq!(found.0, status, "{found:?}");
        assert!(found.1.contains(text), "{found:?}");
    }
    fixture.gitlab.lock_commit_statuses(1);
    assert_eq!(say(&path, good.clone()).await.0, 409);
    assert_eq!(say(&path, good.clone()).await.0, 201);
    fixture.gitlab.set_role(project, Role::Reporter).unwrap();
    assert_eq!(say(&path, good).await.0, 403);
}
