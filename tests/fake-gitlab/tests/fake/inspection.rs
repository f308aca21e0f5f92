//! What an operator asks about a group: members, runners, and deliveries of webhooks.

use buildbtw_fake_gitlab::{HookOptions, HookScope, Role};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::Fixture;

async fn request_job(fixture: &Fixture, token: &str) {
    let body = json!({ "token": token, "system_id": "s_0123456789ab", "info": {} });
    let url = format!("{}/api/v4/jobs/request", fixture.gitlab.url());
    let request = fixture.http.post(url).header("RUNNER-TOKEN", token);
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 204);
}

#[tokio::test]
async fn filters_runners_of_a_group() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let token = fixture.gitlab.create_runner(&["buildbtw", "x86_64"]);
    let online = "/groups/pkgs/runners?status=online&paused=false&tag_list=buildbtw,x86_64";
    assert_eq!(fixture.json(online).await, json!([]));
    request_job(&fixture, &token).await;
    let found = fixture.json(online).await;
    assert_eq!(found[0]["status"], "online");
    let other = fixture
        .json("/groups/pkgs/runners?tag_list=buildbtw,aarch64")
        .await;
    assert_eq!(other, json!([]));
    fixture.gitlab.pause_runner(&token, true).unwrap();
    assert_eq!(fixture.json(online).await, json!([]));
    fixture.gitlab.pause_runner(&token, false).unwrap();
    fixture
        .gitlab
        .clock()
        .advance(SignedDuration::from_hours(3));
    assert_eq!(fixture.json(online).await, json!([]));
}

#[tokio::test]
async fn shows_role_of_a_member() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let user = fixture.json("/user").await["id"].as_u64().unwrap();
    let path = format!("/groups/pkgs/members/all/{user}");
    assert_eq!(fixture.json(&path).await["access_level"], 50);
    fixture.gitlab.set_group_role(Some(Role::Developer));
    assert_eq!(fixture.json(&path).await["access_level"], 30);
    fixture.gitlab.set_group_role(None);
    assert_eq!(fixture.get(&path).await.status(), 404);
}

#[tokio::test]
async fn lists_deliveries_of_a_hook() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let scope = HookScope::Group("pkgs".into());
    // Nothing listens there.
    let options = HookOptions::everything("http://127.0.0.1:9/hook");
    let hook = fixture.gitlab.add_hook(scope, options).unwrap().0;
    let path = format!("/groups/pkgs/hooks/{hook}/events");
    assert_eq!(fixture.json(&path).await, json!([]));
    let webhooks = fixture.gitlab.webhooks();
    webhooks.set_attempts(1, std::time::Duration::ZERO);
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let files: [(&str, Option<&[u8]>); 1] = [("a", Some(b"a"))];
    fixture.gitlab.commit(project, "main", &files, "a").unwrap();
    fixture.gitlab.deliveries_done().await;
    let events: Value = fixture.json(&path).await;
    assert_eq!(events[0]["trigger"], "push_hooks");
    assert_eq!(events[0]["response_status"], "internal error");
    fixture.gitlab.set_group_hooks(false);
    assert_eq!(fixture.get("/groups/pkgs/hooks").await.status(), 404);
}
