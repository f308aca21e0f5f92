use buildbtw_fake_gitlab::{Role, VariablesRole};
use serde_json::{Value, json};

use crate::support::{ONE_JOB, World};

#[tokio::test]
async fn allows_maintainers_to_set_config_path() {
    let world = World::new().await;
    let project = world.project("g/a", ONE_JOB);
    let put = async |body: Value| world.send("PUT", "/projects/1", &body).await;
    let path = "build.yml@ci/templates:main";
    let (status, response) = put(json!({ "ci_config_path": path })).await;
    assert_eq!((status, &response["ci_config_path"]), (200, &json!(path)));
    assert_eq!(world.json("/projects/1").await["ci_config_path"], path);
    let query = "{ project(fullPath: \"g/a\") { ciConfigPathOrDefault } }";
    let data = world.data(query, json!({})).await;
    assert_eq!(data["project"]["ciConfigPathOrDefault"], path);
    world.gitlab.set_role(project, Role::Developer).unwrap();
    assert_eq!(put(json!({ "ci_config_path": "" })).await.0, 403);
    assert_eq!(
        world.gitlab.ci_config_path(project).unwrap().as_deref(),
        Some(path)
    );
    world.gitlab.set_role(project, Role::Maintainer).unwrap();
    let (_, response) = put(json!({ "ci_config_path": "" })).await;
    assert!(response["ci_config_path"].is_null());
}

#[tokio::test]
async fn sets_minimum_role_for_variables() {
    let world = World::new().await;
    world
        .gitlab
        .set_variables_role_of_new_projects(VariablesRole::NoOneAllowed);
    let project = world.project("g/a", ONE_JOB);
    let key = "ci_pipeline_variables_minimum_override_role";
    assert_eq!(world.json("/projects/1").await[key], "no_one_allowed");
    let put = async |role: &str| {
        world
            .send("PUT", "/projects/1", &json!({ key: role }))
            .await
            .0
    };
    assert_eq!(put("developer").await, 400);
    world.gitlab.set_role(project, Role::Owner).unwrap();
    assert_eq!(put("developer").await, 200);
    assert_eq!(put("nobody").await, 400);
    assert_eq!(world.json("/projects/1").await[key], "developer");
}

#[tokio::test]
async fn protects_branches() {
    let world = World::new().await;
    let project = world.project("g/a", ONE_JOB);
    world.gitlab.set_branch(project, "other", "main").unwrap();
    let protected = async |name: &str| {
        let path = format!("/projects/1/repository/branches/{name}");
        world.json(&path).await["protected"].as_bool().unwrap()
    };
    assert!(protected("main").await);
    assert!(!protected("other").await);
    let path = "/projects/1/protected_branches";
    let (status, _) = world.send("POST", path, &json!({ "name": "other" })).await;
    assert_eq!(status, 201);
    assert!(protected("other").await);
    let (status, _) = world.send("POST", path, &json!({ "name": "other" })).await;
    assert_eq!(status, 409);
    let (status, _) = world
        .send("DELETE", &format!("{path}/main"), &json!({}))
        .await;
    assert_eq!(status, 204);
    assert!(!protected("main").await);
}

#[tokio::test]
async fn paginates_group_projects_by_offset_and_keyset() {
    let world = World::new().await;
    world.import(5);
    world.gitlab.create_project("pkgs/sub/inner").unwrap();
    let archived = world.gitlab.project_id("pkgs/p3").unwrap();
    world.gitlab.archive(archived, true).unwrap();
    let paths = async |query: &str| {
        let mut next = Some(format!("/groups/pkgs/projects?{query}"));
        let mut paths = Vec::new();
        while let Some(path) = next {
            let response = world.get(&path).await;
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
    let response = world.get("/groups/none/projects").await;
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn creates_and_updates_notes() {
    let world = World::new().await;
    let project = world.project("g/a", ONE_JOB);
    world.gitlab.set_branch(project, "other", "main").unwrap();
    let iid = world
        .gitlab
        .open_merge_request(project, "main", project, "other", "Change")
        .unwrap();
    let path = format!("/projects/1/merge_requests/{iid}/notes");
    let (status, note) = world.send("POST", &path, &json!({ "body": "one" })).await;
    assert_eq!((status, &note["body"]), (201, &json!("one")));
    assert_eq!(world.send("POST", &path, &json!({})).await.0, 400);
    let own = format!("{path}/{}", note["id"]);
    let (status, note) = world.send("PUT", &own, &json!({ "body": "two" })).await;
    assert_eq!((status, &note["body"]), (200, &json!("two")));
    let user = world.gitlab.create_user("other");
    let token = world.gitlab.create_token_for(user, &["api"]);
    let body = json!({ "body": "three" });
    assert_eq!(world.send_as(&token, "PUT", &own, &body).await.0, 403);
    let notes = world.json(&path).await;
    assert_eq!(notes[0]["body"], "two");
    let path = "/projects/1/merge_requests/99/notes";
    assert_eq!(world.send("POST", path, &body).await.0, 404);
}
