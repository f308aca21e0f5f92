use buildbtw_fake_gitlab::RateLimit;
use serde_json::{Value, json};

use crate::support::{Fixture, srcinfo};

#[tokio::test]
async fn serves_projects_commits_branches_and_files() {
    let fixture = Fixture::new().await;
    fixture.import(2);
    let project = fixture.json("/projects/pkgs%2Fp1").await;
    assert_eq!(project["id"], 2);
    assert_eq!(project["path_with_namespace"], "pkgs/p1");
    assert_eq!(project["default_branch"], "main");
    let id = fixture.gitlab.project_id("pkgs/p1").unwrap();
    for number in 0..3 {
        let text = format!("{number}");
        let files: [(&str, Option<&[u8]>); 1] = [("sub/file", Some(text.as_bytes()))];
        fixture
            .gitlab
            .commit(id, "main", &files, &format!("Number {number}"))
            .unwrap();
    }
    let head = fixture.gitlab.head(id, None).unwrap().unwrap();
    let response = fixture
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
        .strip_prefix(&format!("{}/api/v4", fixture.gitlab.url()))
        .unwrap();
    assert_eq!(fixture.json(path).await[0]["title"], "Number 1");
    let branch = fixture.json("/projects/2/repository/branches/main").await;
    assert_eq!(branch["commit"]["id"], *head);
    let response = fixture
        .get("/projects/2/repository/files/sub%2Ffile/raw?ref=main")
        .await;
    assert_eq!(response.headers()["x-gitlab-commit-id"], *head);
    assert_eq!(response.headers()["x-gitlab-size"], "1");
    assert_eq!(response.text().await.unwrap(), "2");
    let response = fixture
        .get("/projects/1/repository/files/.SRCINFO/raw")
        .await;
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
        let response = fixture.get(path).await;
        assert_eq!(response.status(), 404);
        assert_eq!(
            response.json::<Value>().await.unwrap(),
            json!({ "message": message })
        );
    }
}

#[tokio::test]
async fn redirects_moved_project() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let id = fixture.gitlab.project_id("pkgs/p0").unwrap();
    fixture.gitlab.rename(id, "other/name").unwrap();
    let response = fixture
        .get("/projects/pkgs%2Fp0/repository/branches/main")
        .await;
    assert_eq!(response.status(), 301);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        location,
        format!(
            "{}/api/v4/projects/1/repository/branches/main",
            fixture.gitlab.url()
        )
    );
    let response = fixture.get("/projects/1").await;
    assert_eq!(
        response.json::<Value>().await.unwrap()["path_with_namespace"],
        "other/name"
    );
}

#[tokio::test]
async fn describes_own_token() {
    let fixture = Fixture::new().await;
    let token = fixture.json("/personal_access_tokens/self").await;
    assert_eq!(
        token["scopes"],
        json!(["api", "read_repository", "write_repository"])
    );
    assert_eq!(
        (&token["active"], &token["expires_at"]),
        (&json!(true), &Value::Null)
    );
    fixture
        .gitlab
        .expire_token(
            &fixture.token,
            Some("2026-01-02T00:00:00Z".parse().unwrap()),
        )
        .unwrap();
    let token = fixture.json("/personal_access_tokens/self").await;
    assert_eq!(token["expires_at"], "2026-01-02");
    fixture
        .gitlab
        .clock()
        .advance(jiff::SignedDuration::from_hours(24));
    let response = fixture.get("/personal_access_tokens/self").await;
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.json::<Value>().await.unwrap()["error"],
        "invalid_token"
    );
    let url = format!("{}/api/v4/version", fixture.gitlab.url());
    let response = fixture.http.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({ "message": "401 Unauthorized" })
    );
    let weak = fixture.gitlab.create_token(&["read_repository"]);
    let response = fixture
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
    let fixture = Fixture::new().await;
    let admin = fixture.gitlab.create_admin_token(&["api"]);
    let post = async |token: &str, path: &str, body: Value| {
        let url = format!("{}/api/v4{path}", fixture.gitlab.url());
        let response = fixture
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
    let (status, group) = post(&fixture.token, "/groups", json!({ "path": "g" })).await;
    assert_eq!(status, 201);
    let new = json!({ "path": "p", "namespace_id": group["id"] });
    let (status, project) = post(&fixture.token, "/projects", new.clone()).await;
    assert_eq!(
        (status, &project["path_with_namespace"]),
        (201, &json!("g/p"))
    );
    assert_eq!(post(&fixture.token, "/projects", new).await.0, 400);
    let hook = json!({ "url": "http://127.0.0.1:1/", "token": "t" });
    assert_eq!(post(&fixture.token, "/hooks", hook.clone()).await.0, 403);
    assert_eq!(post(&admin, "/hooks", hook.clone()).await.0, 201);
    let (status, created) = post(&fixture.token, "/projects/g%2Fp/hooks", hook.clone()).await;
    assert_eq!((status, &created["token_present"]), (201, &json!(true)));
    assert!(created.get("token").is_none());
    assert_eq!(post(&fixture.token, "/groups/g/hooks", hook).await.0, 201);
    let wrong = json!({ "url": "nonsense" });
    assert_eq!(post(&fixture.token, "/groups/g/hooks", wrong).await.0, 422);
    let url = format!("{}/api/v4/projects/1/hooks", fixture.gitlab.url());
    let form = "url=http%3A%2F%2F127.0.0.1%3A1%2F&push_events=false";
    let sent = fixture
        .http
        .post(url)
        .bearer_auth(&fixture.token)
        .body(form);
    let sent = sent
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send()
        .await;
    let second: Value = sent.unwrap().json().await.unwrap();
    assert_eq!(second["push_events"], false, "{second}");
    let response = fixture.get("/projects/1/hooks").await;
    assert_eq!(response.headers()["x-total"], "2");
    let url = format!(
        "{}/api/v4/projects/1/hooks/{}",
        fixture.gitlab.url(),
        created["id"]
    );
    let delete = async || {
        fixture
            .http
            .delete(&url)
            .bearer_auth(&fixture.token)
            .send()
            .await
            .unwrap()
    };
    assert_eq!(delete().await.status(), 204);
    assert_eq!(delete().await.status(), 404);
}

#[tokio::test]
async fn rate_limits_requests() {
    let fixture = Fixture::new().await;
    fixture.gitlab.set_rate_limit(Some(RateLimit {
        requests: 2,
        seconds: 60,
    }));
    let first = fixture.get("/version").await;
    assert_eq!(first.headers()["ratelimit-remaining"], "1");
    fixture.get("/version").await;
    let third = fixture.get("/version").await;
    assert_eq!(third.status(), 429);
    assert_eq!(third.headers()["retry-after"], "60");
    assert_eq!(
        third.headers()["ratelimit-resettime"],
        "Thu, 01 Jan 2026 00:01:00 GMT"
    );
    assert_eq!(third.text().await.unwrap().trim(), "Retry later");
    fixture
        .gitlab
        .clock()
        .advance(jiff::SignedDuration::from_secs(60));
    assert_eq!(fixture.get("/version").await.status(), 200);
}
