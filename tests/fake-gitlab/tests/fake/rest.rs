use buildbtw_fake_gitlab::RateLimit;
use serde_json::{Value, json};

use crate::support::{World, srcinfo};

#[tokio::test]
async fn serves_projects_commits_branches_and_files() {
    let world = World::new().await;
    world.import(2);
    let project = world.json("/projects/pkgs%2Fp1").await;
    assert_eq!(project["id"], 2);
    assert_eq!(project["path_with_namespace"], "pkgs/p1");
    assert_eq!(project["default_branch"], "main");
    let id = world.gitlab.project_id("pkgs/p1").unwrap();
    for number in 0..3 {
        let text = format!("{number}");
        let files: [(&str, Option<&[u8]>); 1] = [("sub/file", Some(text.as_bytes()))];
        world
            .gitlab
            .commit(id, "main", &files, &format!("Number {number}"))
            .unwrap();
    }
    let head = world.gitlab.head(id, None).unwrap().unwrap();
    let response = world
        .get("/projects/2/repository/commits?ref_name=main&per_page=1")
        .await;
    let link = response.headers()["link"].to_str().unwrap().to_owned();
    let commits: Value = response.json().await.unwrap();
    assert_eq!(commits.as_array().unwrap().len(), 1);
    assert_eq!(commits[0]["id"], *head);
    assert_eq!(commits[0]["title"], "Number 2");
    let next = link
        .split(", ")
        .find(|link| link.ends_with("rel=\"next\""))
        .unwrap();
    let next = next.split(['<', '>']).nth(1).unwrap();
    let path = next
        .strip_prefix(&format!("{}/api/v4", world.gitlab.url()))
        .unwrap();
    assert_eq!(world.json(path).await[0]["title"], "Number 1");
    let branch = world.json("/projects/2/repository/branches/main").await;
    assert_eq!(branch["commit"]["id"], *head);
    let response = world
        .get("/projects/2/repository/files/sub%2Ffile/raw?ref=main")
        .await;
    assert_eq!(response.headers()["x-gitlab-commit-id"], *head);
    assert_eq!(response.headers()["x-gitlab-size"], "1");
    assert_eq!(response.text().await.unwrap(), "2");
    let response = world.get("/projects/1/repository/files/.SRCINFO/raw").await;
    assert_eq!(response.text().await.unwrap(), srcinfo(0));
    for (path, message) in [
        ("/projects/9", "404 Project Not Found"),
        ("/projects/none%2Fsuch", "404 Project Not Found"),
        (
            "/projects/1/repository/branches/none",
            "404 Branch Not Found",
        ),
        (
            "/projects/1/repository/files/none/raw",
            "404 File Not Found",
        ),
    ] {
        let response = world.get(path).await;
        assert_eq!(response.status(), 404);
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({ "message": message })
        );
    }
}

#[tokio::test]
async fn redirects_moved_project() {
    let world = World::new().await;
    world.import(1);
    let id = world.gitlab.project_id("pkgs/p0").unwrap();
    world.gitlab.rename(id, "other/name").unwrap();
    let response = world
        .get("/projects/pkgs%2Fp0/repository/branches/main")
        .await;
    assert_eq!(response.status(), 301);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        location,
        format!(
            "{}/api/v4/projects/1/repository/branches/main",
            world.gitlab.url()
        )
    );
    let response = world.get("/projects/1").await;
    assert_eq!(
        response.json::<Value>().await.unwrap()["path_with_namespace"],
        "other/name"
    );
}

#[tokio::test]
async fn describes_own_token() {
    let world = World::new().await;
    let token = world.json("/personal_access_tokens/self").await;
    assert_eq!(
        token["scopes"],
        json!(["api", "read_repository", "write_repository"])
    );
    assert_eq!(
        (&token["active"], &token["expires_at"]),
        (&json!(true), &Value::Null)
    );
    world
        .gitlab
        .expire_token(&world.token, Some("2026-01-02T00:00:00Z".parse().unwrap()))
        .unwrap();
    let token = world.json("/personal_access_tokens/self").await;
    assert_eq!(token["expires_at"], "2026-01-02");
    world
        .gitlab
        .clock()
        .advance(jiff::SignedDuration::from_hours(24));
    let response = world.get("/personal_access_tokens/self").await;
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.json::<Value>().await.unwrap()["error"],
        "invalid_token"
    );
    let url = format!("{}/api/v4/version", world.gitlab.url());
    let response = world.http.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({ "message": "401 Unauthorized" })
    );
    let weak = world.gitlab.create_token(&["read_repository"]);
    let response = world
        .http
        .get(&url)
        .bearer_auth(&weak)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(
        response.json::<Value>().await.unwrap()["error"],
        "insufficient_scope"
    );
}

#[tokio::test]
async fn creates_groups_projects_and_hooks() {
    let world = World::new().await;
    let admin = world.gitlab.create_admin_token(&["api"]);
    let post = async |token: &str, path: &str, body: Value| {
        let url = format!("{}/api/v4{path}", world.gitlab.url());
        let response = world
            .http
            .post(url)
            .header("PRIVATE-TOKEN", token)
            .json(&body);
        let response = response.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let (status, group) = post(&world.token, "/groups", json!({ "path": "g" })).await;
    assert_eq!(status, 201);
    let new = json!({ "path": "p", "namespace_id": group["id"] });
    let (status, project) = post(&world.token, "/projects", new.clone()).await;
    assert_eq!(
        (status, &project["path_with_namespace"]),
        (201, &json!("g/p"))
    );
    assert_eq!(post(&world.token, "/projects", new).await.0, 400);
    let hook = json!({ "url": "http://127.0.0.1:1/", "token": "t" });
    assert_eq!(post(&world.token, "/hooks", hook.clone()).await.0, 403);
    assert_eq!(post(&admin, "/hooks", hook.clone()).await.0, 201);
    let (status, created) = post(&world.token, "/projects/g%2Fp/hooks", hook.clone()).await;
    assert_eq!((status, &created["token_present"]), (201, &json!(true)));
    assert!(created.get("token").is_none());
    assert_eq!(post(&world.token, "/groups/g/hooks", hook).await.0, 201);
    let wrong = json!({ "url": "nonsense" });
    assert_eq!(post(&world.token, "/groups/g/hooks", wrong).await.0, 422);
    let url = format!("{}/api/v4/projects/1/hooks", world.gitlab.url());
    let form = "url=http%3A%2F%2F127.0.0.1%3A1%2F&push_events=false";
    let sent = world.http.post(url).bearer_auth(&world.token).body(form);
    let sent = sent
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send()
        .await;
    let second: Value = sent.unwrap().json().await.unwrap();
    assert_eq!(second["push_events"], false, "{second}");
    let response = world.get("/projects/1/hooks").await;
    assert_eq!(response.headers()["x-total"], "2");
    let url = format!(
        "{}/api/v4/projects/1/hooks/{}",
        world.gitlab.url(),
        created["id"]
    );
    let delete = async || {
        world
            .http
            .delete(&url)
            .bearer_auth(&world.token)
            .send()
            .await
            .unwrap()
    };
    assert_eq!(delete().await.status(), 204);
    assert_eq!(delete().await.status(), 404);
}

#[tokio::test]
async fn rate_limits_requests() {
    let world = World::new().await;
    world.gitlab.set_rate_limit(Some(RateLimit {
        requests: 2,
        seconds: 60,
    }));
    let first = world.get("/version").await;
    assert_eq!(first.headers()["ratelimit-remaining"], "1");
    world.get("/version").await;
    let third = world.get("/version").await;
    assert_eq!(third.status(), 429);
    assert_eq!(third.headers()["retry-after"], "60");
    assert_eq!(
        third.headers()["ratelimit-resettime"],
        "Thu, 01 Jan 2026 00:01:00 GMT"
    );
    assert_eq!(third.text().await.unwrap().trim(), "Retry later");
    world
        .gitlab
        .clock()
        .advance(jiff::SignedDuration::from_secs(60));
    assert_eq!(world.get("/version").await.status(), 200);
}
