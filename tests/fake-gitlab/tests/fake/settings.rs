use buildbtw_fake_gitlab::{Role, VariablesRole};
use serde_json::{Value, json};

use crate::support::{Fixture, ONE_JOB};

#[tokio::test]
async fn allows_maintainers_to_set_config_path() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let put = async |body: Value| fixture.send("PUT", "/projects/1", &body).await;
    let path = "build.yml@ci/templates:main";
    let (status, response) = put(json!({ "ci_config_path": path })).await;
    assert_eq!((status, &response["ci_config_path"]), (200, &json!(path)));
    assert_eq!(fixture.json("/projects/1").await["ci_config_path"], path);
    let query = "{ project(fullPath: \"g/a\") { ciConfigPathOrDefault } }";
    let data = fixture.data(query, json!({})).await;
    assert_eq!(data["project"]["ciConfigPathOrDefault"], path);
    fixture.gitlab.set_role(project, Role::Developer).unwrap();
    assert_eq!(put(json!({ "ci_config_path": "" })).await.0, 403);
    assert_eq!(
        fixture.gitlab.ci_config_path(project).unwrap().as_deref(),
        Some(path)
    );
    fixture.gitlab.set_role(project, Role::Maintainer).unwrap();
    let (_, response) = put(json!({ "ci_config_path": "" })).await;
    assert!(response["ci_config_path"].is_null());
}

#[tokio::test]
async fn sets_minimum_role_for_variables() {
    let fixture = Fixture::new().await;
    fixture
        .gitlab
        .set_variables_role_of_new_projects(VariablesRole::NoOneAllowed);
    let project = fixture.project("g/a", ONE_JOB);
    let key = "ci_pipeline_variables_minimum_override_role";
    assert_eq!(fixture.json("/projects/1").await[key], "no_one_allowed");
    let put = async |role: &str| {
        fixture
            .send("PUT", "/projects/1", &json!({ key: role }))
            .await
            .0
    };
    assert_eq!(put("developer").await, 400);
    fixture.gitlab.set_role(project, Role::Owner).unwrap();
    assert_eq!(put("developer").await, 200);
    assert_eq!(put("unknown").await, 400);
    assert_eq!(fixture.json("/projects/1").await[key], "developer");
}

#[tokio::test]
async fn protects_branches() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    fixture.gitlab.set_branch(project, "other", "main").unwrap();
    let protected = async |name: &str| {
        let path = format!("/projects/1/repository/branches/{name}");
        fixture.json(&path).await["protected"].as_bool().unwrap()
    };
    assert!(protected("main").await);
    assert!(!protected("other").await);
    let path = "/projects/1/protected_branches";
    let (status, _) = fixture
        .send("POST", path, &json!({ "name": "other" }))
        .await;
    assert_eq!(status, 201);
    assert!(protected("other").await);
    let (status, _) = fixture
        .send("POST", path, &json!({ "name": "other" }))
        .await;
    assert_eq!(status, 409);
    let (status, _) = fixture
        .send("DELETE", &format!("{path}/main"), &json!({}))
        .await;
    assert_eq!(status, 204);
    assert!(!protected("main").await);
}

#[tokio::test]
async fn paginates_group_projects_by_offset_and_keyset() {
    let fixture = Fixture::new().await;
    fixture.import(5);
    fixture.gitlab.create_project("pkgs/sub/inner").unwrap();
    let archived = fixture.gitlab.project_id("pkgs/p3").unwrap();
    fixture.gitlab.archive(archived, true).unwrap();
    let paths = async |query: &str| {
        let mut next = Some(format!("/groups/pkgs/projects?{query}"));
        let mut paths = Vec::new();
        while let Some(path) = next {
            let response = fixture.get(&path).await;
            assert_eq!(response.status(), 200, "{path}");
            let link = response.headers().get("link");
            let link = link.map(|link| link.to_str().unwrap().to_owned());
            next = link.and_then(|link| {
                let next = link.split(", ").find(|one| one.ends_with("rel=\"next\""))?;
                let url = next.split(['<', '>']).nth(1)?.to_owned();
                url.split_once("/api/v4").map(|(_, path)| path.to_owned())
            });
            let page: Value = response.json().await.unwrap();
            for project in page.as_array().unwrap() {
                paths.push(project["path"].as_str().unwrap().to_owned());
            }
        }
        paths
    };
    let all = ["p0", "p1", "p2", "p3", "p4", "inner"];
    let upwards = "order_by=id&sort=asc&include_subgroups=true&per_page=2";
    assert_eq!(paths(upwards).await, all);
    assert_eq!(paths(&format!("pagination=keyset&{upwards}")).await, all);
    assert_eq!(
        paths("pagination=keyset&order_by=id&per_page=2&archived=false").await,
        ["p4", "p2", "p1", "p0"]
    );
    assert_eq!(paths("archived=true").await, ["p3"]);
    let response = fixture.get("/groups/none/projects").await;
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn creates_and_updates_notes() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    fixture.gitlab.set_branch(project, "other", "main").unwrap();
    let iid = fixture
        .gitlab
        .open_merge_request(project, "main", project, "other", "Change")
        .unwrap();
    let path = format!("/projects/1/merge_requests/{iid}/notes");
    let (status, note) = fixture.send("POST", &path, &json!({ "body": "one" })).await;
    assert_eq!((status, &note["body"]), (201, &json!("one")));
    assert_eq!(fixture.send("POST", &path, &json!({})).await.0, 400);
    let own = format!("{path}/{}", note["id"]);
    let (status, note) = fixture.send("PUT", &own, &json!({ "body": "two" })).await;
    assert_eq!((status, &note["body"]), (200, &json!("two")));
    let user = fixture.gitlab.create_user("other");
    let token = fixture.gitlab.create_token_for(user, &["api"]);
    let body = json!({ "body": "three" });
    assert_eq!(fixture.send_as(&token, "PUT", &own, &body).await.0, 403);
    let notes = fixture.json(&path).await;
    assert_eq!(notes[0]["body"], "two");
    let path = "/projects/1/merge_requests/99/notes";
    assert_eq!(fixture.send("POST", path, &body).await.0, 404);
}
