use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Fixture, srcinfo};

const PAGE: &str = "query Page($after: String, $first: Int) { group(fullPath: \"pkgs\") {
    projects(sort: ACTIVITY_DESC, includeSubgroups: true, first: $first, after: $after) {
        count
        nodes { fullPath lastActivityAt }
        pageInfo { hasNextPage hasPreviousPage endCursor }
    }
} }";

async fn walk(fixture: &Fixture, mut between: impl FnMut(usize)) -> Vec<String> {
    let mut seen = Vec::new();
    let mut after = Value::Null;
    for page in 0.. {
        let data = fixture
            .data(PAGE, json!({ "after": after, "first": 100 }))
            .await;
        let projects = &data["group"]["projects"];
        assert_eq!(projects["pageInfo"]["hasPreviousPage"], page > 0);
        let nodes = projects["nodes"].as_array().unwrap();
        seen.extend(
            nodes
                .iter()
                .map(|node| node["fullPath"].as_str().unwrap().to_owned()),
        );
        if projects["pageInfo"]["hasNextPage"] == false {
            return seen;
        }
        after = projects["pageInfo"]["endCursor"].clone();
        between(page);
    }
    seen
}

#[tokio::test]
async fn pagination_returns_every_project_once_unless_one_moves() {
    let fixture = Fixture::new().await;
    fixture.import(250);
    let seen = walk(&fixture, |_| {}).await;
    assert_eq!(seen.len(), 250);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 250);
    // All are equally old, so the highest id is first.
    assert_eq!(seen[0], "pkgs/p249");
    assert_eq!(seen[249], "pkgs/p0");

    fixture
        .gitlab
        .clock()
        .advance(SignedDuration::from_hours(2));
    let last = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let seen = walk(&fixture, |page| {
        if page == 0 {
            let files: [(&str, Option<&[u8]>); 1] = [("a", Some(b"1"))];
            fixture
                .gitlab
                .commit(last, "main", &files, "Change")
                .unwrap();
        }
    })
    .await;
    // It moved to the front after that page was read.
    assert_eq!(seen.len(), 249);
    assert!(!seen.contains(&"pkgs/p0".to_owned()));
    assert_eq!(walk(&fixture, |_| {}).await[0], "pkgs/p0");
}

#[tokio::test]
async fn clamps_pages_and_paginates_backwards() {
    let fixture = Fixture::new().await;
    fixture.import(130);
    let data = fixture.data(PAGE, json!({ "first": 1_000 })).await;
    let projects = &data["group"]["projects"];
    assert_eq!(projects["nodes"].as_array().unwrap().len(), 100);
    assert_eq!(projects["count"], 130);
    let query = "query($before: String) { group(fullPath: \"PKGS\") {
        projects(last: 2, before: $before) {
            edges { cursor node { path } } pageInfo { hasNextPage hasPreviousPage startCursor }
        } } }";
    let data = fixture.data(query, json!({})).await;
    let projects = &data["group"]["projects"];
    let paths = |projects: &Value| {
        let edges = projects["edges"].as_array().unwrap();
        edges
            .iter()
            .map(|edge| edge["node"]["path"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(projects), ["p1", "p0"]);
    assert_eq!(projects["pageInfo"]["hasNextPage"], false);
    assert_eq!(projects["pageInfo"]["hasPreviousPage"], true);
    let before = &projects["pageInfo"]["startCursor"];
    let data = fixture.data(query, json!({ "before": before })).await;
    assert_eq!(paths(&data["group"]["projects"]), ["p3", "p2"]);
    let response = fixture.query(query, json!({ "before": "nonsense" })).await;
    assert_eq!(response["data"], json!({ "group": null }));
    assert!(
        response["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("cursor"),
        "{response}"
    );
}

#[tokio::test]
async fn throttles_push_timestamps() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let query = "{ project(fullPath: \"pkgs/p0\") { updatedAt lastActivityAt } }";
    let mut minute = 0;
    for (at, updated, activity) in [
        (3, "00:00", "00:00"),
        (10, "00:10", "00:00"),
        (14, "00:10", "00:00"),
        (61, "01:01", "01:01"),
        (65, "01:01", "01:01"),
        (70, "01:10", "01:01"),
    ] {
        fixture
            .gitlab
            .clock()
            .advance(SignedDuration::from_mins(at - minute));
        minute = at;
        let text = at.to_string();
        let files: [(&str, Option<&[u8]>); 1] = [("a", Some(text.as_bytes()))];
        fixture
            .gitlab
            .commit(project, "main", &files, "Change")
            .unwrap();
        let data = fixture.data(query, json!({})).await;
        let time = |text| format!("2026-01-01T{text}:00Z");
        assert_eq!(data["project"]["updatedAt"], time(updated), "{at}");
        assert_eq!(data["project"]["lastActivityAt"], time(activity), "{at}");
    }
    let before = fixture.data(query, json!({})).await;
    fixture
        .gitlab
        .clock()
        .advance(SignedDuration::from_hours(9));
    let head = fixture.gitlab.head(project, None).unwrap();
    fixture
        .gitlab
        .push_without_event(project, "main", &[("a", None)], "Lost")
        .unwrap();
    assert_ne!(fixture.gitlab.head(project, None).unwrap(), head);
    assert_eq!(fixture.data(query, json!({})).await, before);
}

const FILES: &str = "query($path: ID!, $ref: String, $paths: [String!]!) { project(fullPath: $path) {
    repository {
        rootRef empty exists
        tree(ref: $ref) { lastCommit { sha shortId title committedDate } blobs { nodes { path mode } } }
        blobs(ref: $ref, paths: $paths) {
            nodes { path name oid mode size rawTextBlob }
        }
    }
} }";

#[tokio::test]
async fn reads_files_at_any_kind_of_ref() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let imported = fixture.gitlab.head(project, None).unwrap().unwrap();
    let read = async |name: Value| {
        let variables = json!({
            "path": "pkgs/p0", "ref": name, "paths": [".SRCINFO", "missing", "sub/data"],
        });
        let mut data = fixture.data(FILES, variables).await;
        data["project"]["repository"].take()
    };
    let in_memory = read(Value::Null).await;
    assert_eq!(in_memory["rootRef"], "main");
    assert_eq!(in_memory["tree"]["lastCommit"]["sha"], *imported);
    assert_eq!(in_memory["blobs"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(in_memory["blobs"]["nodes"][0]["rawTextBlob"], srcinfo(0));

    let files: [(&str, Option<&[u8]>); 1] = [("sub/data", Some(b"\0\x01"))];
    let second = fixture
        .gitlab
        .commit(project, "side", &files, "Add data")
        .unwrap();
    fixture
        .gitlab
        .tag(project, "v1", Some("side"), Some("One"))
        .unwrap();
    assert_eq!(
        fixture.gitlab.head(project, None).unwrap().unwrap(),
        imported
    );
    // On disk now, with the same content.
    assert_eq!(read(Value::Null).await, in_memory);
    let number = fixture
        .gitlab
        .open_merge_request(project, "main", project, "side", "Data")
        .unwrap();
    assert_eq!(number, 1);
    for name in [
        "side",
        "refs/heads/side",
        "v1",
        "refs/tags/v1",
        "refs/merge-requests/1/head",
        second.as_str(),
        &second[..10],
    ] {
        let found = read(json!(name)).await;
        assert_eq!(found["tree"]["lastCommit"]["sha"], *second, "{name}");
        let data = &found["blobs"]["nodes"][1];
        assert_eq!(data["path"], "sub/data");
        assert_eq!(data["rawTextBlob"], Value::Null);
        assert_eq!(data["size"], "2");
    }
    let missing = read(json!("refs/heads/none")).await;
    assert_eq!(missing["tree"], Value::Null);
    assert_eq!(missing["blobs"]["nodes"], json!([]));
}

#[tokio::test]
async fn imports_git_object_ids() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let head = fixture.gitlab.head(project, None).unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = fixture
        .gitlab
        .git_url("pkgs/p0")
        .replace("//", &format!("//x:{}@", fixture.token));
    crate::git::git_async(folder.path(), &["clone", "--quiet", &url, "clone"])
        .await
        .unwrap();
    let clone = folder.path().join("clone");
    assert_eq!(
        crate::git::git(&clone, &["rev-parse", "HEAD"]).unwrap(),
        head
    );
    crate::git::git(&clone, &["fsck", "--strict"]).unwrap();
    let text = fs_err::read_to_string(Path::new(&clone).join(".SRCINFO")).unwrap();
    assert_eq!(text, srcinfo(0));
}

#[tokio::test]
async fn handles_empty_and_hidden_repositories() {
    let fixture = Fixture::new().await;
    fixture.gitlab.create_project("pkgs/empty").unwrap();
    let variables = json!({ "path": "pkgs/empty", "paths": ["a"] });
    let data = fixture.data(FILES, variables.clone()).await;
    assert_eq!(
        data["project"]["repository"],
        json!({
            "rootRef": null, "empty": true, "exists": true, "tree": null, "blobs": { "nodes": [] },
        })
    );
    fixture
        .gitlab
        .set_code_access(&fixture.token, false)
        .unwrap();
    let data = fixture.data(FILES, variables).await;
    assert_eq!(data, json!({ "project": { "repository": null } }));
}

#[tokio::test]
async fn filters_renames_and_deletes_projects() {
    let fixture = Fixture::new().await;
    let make = |path| fixture.gitlab.create_project(path).unwrap();
    let (a, b, c, d) = (make("g/a"), make("g/b"), make("g/sub/c"), make("g/d"));
    fixture.gitlab.archive(a, true).unwrap();
    fixture.gitlab.mark_for_deletion(b).unwrap();
    fixture.gitlab.rename(d, "g/Dee").unwrap();
    let list = async |args: &str| {
        let query =
            format!("{{ group(fullPath: \"g\") {{ projects({args}) {{ nodes {{ path }} }} }} }}");
        let data = fixture.data(&query, json!({})).await;
        let nodes = data["group"]["projects"]["nodes"]
            .as_array()
            .unwrap()
            .clone();
        let paths = nodes
            .iter()
            .map(|node| node["path"].as_str().unwrap().to_owned());
        paths.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list("first: 9").await, "Dee b a");
    assert_eq!(list("includeSubgroups: true").await, "Dee c b a");
    assert_eq!(list("includeArchived: false").await, "Dee b");
    assert_eq!(list("archivedOnly: true").await, "a");
    assert_eq!(list("notAimedForDeletion: true").await, "Dee a");
    assert_eq!(list("search: \"DE\"").await, "Dee");
    assert_eq!(
        list(&format!("ids: [\"gid://gitlab/Project/{}\"]", b.0)).await,
        "b"
    );
    let query =
        "query($path: ID!) { project(fullPath: $path) { id fullPath group { parent { path } } } }";
    let data = fixture.data(query, json!({ "path": "G/D" })).await;
    assert_eq!(data["project"]["fullPath"], "g/Dee");
    let data = fixture.data(query, json!({ "path": "g/sub/c" })).await;
    assert_eq!(data["project"]["group"]["parent"]["path"], "g");
    fixture.gitlab.delete(c).unwrap();
    let data = fixture.data(query, json!({ "path": "g/sub/c" })).await;
    assert_eq!(data["project"], Value::Null);
    let query = "query($ids: [ID!]) { projects(ids: $ids, sort: \"id_asc\") { nodes { path } } }";
    let ids = [d, a].map(|id| format!("gid://gitlab/Project/{id}"));
    let data = fixture.data(query, json!({ "ids": ids })).await;
    assert_eq!(
        data["projects"]["nodes"],
        json!([{ "path": "a" }, { "path": "Dee" }])
    );
}

#[tokio::test]
async fn returns_merge_requests() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let target = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let fork = fixture.gitlab.create_project("me/fork").unwrap();
    let files: [(&str, Option<&[u8]>); 1] = [("a", Some(b"1"))];
    fixture
        .gitlab
        .commit(fork, "main", &files, "First")
        .unwrap();
    let head = fixture.gitlab.head(fork, None).unwrap().unwrap();
    let iid = fixture
        .gitlab
        .open_merge_request(target, "main", fork, "main", "Draft: A")
        .unwrap();
    let query = "{ project(fullPath: \"pkgs/p0\") {
        mergeRequest(iid: \"1\") { iid state draft diffHeadSha sourceProject { fullPath } }
        mergeRequests(state: opened, sourceBranches: [\"main\"]) { count nodes { iid } }
        repository { tree(ref: \"refs/merge-requests/1/head\") { lastCommit { sha } } }
    } }";
    let data = fixture.data(query, json!({})).await;
    assert_eq!(
        data["project"],
        json!({
            "mergeRequest": {
                "iid": "1", "state": "opened", "draft": true, "diffHeadSha": head,
                "sourceProject": { "fullPath": "me/fork" },
            },
            "mergeRequests": { "count": 1, "nodes": [{ "iid": "1" }] },
            "repository": { "tree": { "lastCommit": { "sha": head } } },
        })
    );
    fixture.gitlab.close(target, iid).unwrap();
    let data = fixture.data(query, json!({})).await;
    assert_eq!(data["project"]["mergeRequest"]["state"], "closed");
    assert_eq!(data["project"]["mergeRequests"]["count"], 0);
}

#[tokio::test]
async fn merges_merge_request() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let files: [(&str, Option<&[u8]>); 1] = [("a", Some(b"1"))];
    fixture
        .gitlab
        .commit(project, "side", &files, "First")
        .unwrap();
    let iid = fixture
        .gitlab
        .open_merge_request(project, "main", project, "side", "A")
        .unwrap();
    let merged = fixture.gitlab.merge(project, iid).unwrap();
    assert_eq!(fixture.gitlab.head(project, None).unwrap().unwrap(), merged);
    let query =
        "{ project(fullPath: \"pkgs/p0\") { mergeRequest(iid: \"1\") { state mergeCommitSha } } }";
    let data = fixture.data(query, json!({})).await;
    let row = &data["project"]["mergeRequest"];
    assert_eq!(*row, json!({ "state": "merged", "mergeCommitSha": merged }));
}

#[tokio::test]
async fn rejects_queries_over_complexity_limit() {
    let fixture = Fixture::new().await;
    let query = "{ group(fullPath: \"g\") { a: projects { nodes { a: repository { blobs(paths: [\"a\", \"b\"]) { nodes { path name oid mode size rawSize rawBlob } } } repository { tree { blobs { nodes { path mode sha id name } } } } } } \
        c: projects(sort: ACTIVITY_DESC) { nodes { id name path fullPath archived updatedAt createdAt lastActivityAt webUrl description repository { rootRef empty exists tree { blobs { nodes { id name path sha mode type } } } } } } \
        b: projects(search: \"x\") { nodes { id repository { blobs(paths: [\"a\"]) { nodes { oid } } } } } } }";
    let reply = fixture.query(query, json!({})).await;
    let message = reply["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Query has complexity of ")
            && message.ends_with(", which exceeds max complexity of 250"),
        "{message}"
    );
    assert!(reply.get("data").is_none());
    fixture.gitlab.set_complexity_limits(10_000, 10_000);
    assert_eq!(
        fixture.data(query, json!({})).await,
        json!({ "group": null })
    );
    let record = fixture.gitlab.requests().pop().unwrap();
    assert!(record.complexity.unwrap() > 250);

    let data = fixture
        .data("query Q { queryComplexity { score limit } }", json!({}))
        .await;
    assert_eq!(
        data["queryComplexity"],
        json!({ "score": 3, "limit": 10_000 })
    );
    let record = fixture.gitlab.requests().pop().unwrap();
    assert_eq!(record.operation.as_deref(), Some("Q"));
    assert_eq!((record.complexity, record.status), (Some(3), Some(200)));

    let mut deep = "id".to_owned();
    for _ in 0..20 {
        deep = format!("parent {{ {deep} }}");
    }
    let reply = fixture
        .query(
            &format!("{{ group(fullPath: \"g\") {{ {deep} }} }}"),
            json!({}),
        )
        .await;
    assert_eq!(
        reply["errors"][0]["message"],
        "Query has depth of 22, which exceeds max depth of 20"
    );
    let long = format!("{{ metadata {{ version }} }} # {}", "x".repeat(10_000));
    let response = fixture.post(&json!({ "query": long })).await.unwrap();
    assert_eq!(response.status(), 422);
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({ "errors": [{ "message": "Query too large" }] })
    );
}

#[tokio::test]
async fn rejects_unknown_fields() {
    let fixture = Fixture::new().await;
    let fields = "a b c d e f g";
    let query = format!("{{ project(fullPath: \"x\") {{ {fields} }} }}");
    let response = fixture.query(&query, json!({})).await;
    assert!(response.get("data").is_none());
    let errors = response["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 5);
    assert_eq!(
        errors[0]["message"],
        "Field 'a' doesn't exist on type 'Project'"
    );
    assert_eq!(
        errors[0]["extensions"],
        json!({ "code": "undefinedField", "typeName": "Project", "fieldName": "a" })
    );
    assert_eq!(errors[0]["locations"][0]["line"], 1);
    let response = fixture
        .query("{ project(fullPath: \"x\", wrong: 1) { id } }", json!({}))
        .await;
    assert_eq!(
        response["errors"][0]["extensions"]["code"], "argumentNotAccepted",
        "{response}"
    );
    let response = fixture.query("{ project { id } }", json!({})).await;
    assert_eq!(
        response["errors"][0]["extensions"]["code"], "missingRequiredArguments",
        "{response}"
    );
    let query = "{ group(fullPath: \"x\") { projects(sort: NO_SUCH) { count } } }";
    let response = fixture.query(query, json!({})).await;
    assert!(
        response.get("data").is_none() && response["errors"][0]["message"].is_string(),
        "{response}"
    );
    let response = fixture.query("{ nonsense", json!({})).await;
    assert!(response["errors"][0]["locations"].is_array(), "{response}");
    let query = "{ metadata { version @gl_introduced(version: \"18.0\") revision @gl_introduced(version: \"99.0\") } }";
    let data = fixture.data(query, json!({})).await;
    assert_eq!(
        data,
        json!({ "metadata": { "version": buildbtw_fake_gitlab::VERSION } })
    );
}

#[tokio::test]
async fn authorizes_queries_by_token() {
    let fixture = Fixture::new().await;
    let url = format!("{}/api/graphql", fixture.gitlab.url());
    let ask = async |token: Option<&str>, query: &str| {
        let mut request = fixture.http.post(&url).json(&json!({ "query": query }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(response.headers()["date"], "Thu, 01 Jan 2026 00:00:00 GMT");
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let user = "{ currentUser { username } }";
    assert_eq!(
        ask(None, user).await,
        (200, json!({ "data": { "currentUser": null } }))
    );
    let invalid = (401, json!({ "errors": [{ "message": "Invalid token" }] }));
    assert_eq!(ask(Some("wrong"), user).await, invalid);
    let token = fixture.gitlab.create_token(&["read_api"]);
    let reply = ask(Some(&token), user).await;
    assert_eq!(reply.1["data"]["currentUser"]["username"], "buildbtw");
    let weak = fixture.gitlab.create_token(&["read_user"]);
    let (status, reply) = ask(Some(&weak), user).await;
    assert_eq!(
        (status, &reply["error"]),
        (403, &json!("insufficient_scope"))
    );
    let mutation =
        "mutation { pipelineRetry(input: {id: \"gid://gitlab/Ci::Pipeline/1\"}) { errors } }";
    let (status, reply) = ask(Some(&token), mutation).await;
    assert_eq!(status, 200);
    let message = reply["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("The resource that you are attempting"),
        "{message}"
    );
    let (_, reply) = ask(Some(&fixture.token), mutation).await;
    let message = reply["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("The resource that you are attempting"),
        "{message}"
    );
    assert_eq!(reply["errors"][0]["path"], json!(["pipelineRetry"]));
    assert_eq!(reply["data"], json!({ "pipelineRetry": null }));
    fixture.gitlab.revoke_token(&token).unwrap();
    assert_eq!(ask(Some(&token), user).await, invalid);
    fixture.import(1);
    let project = "{ project(fullPath: \"pkgs/p0\") { id } group(fullPath: \"pkgs\") { id } }";
    let hidden = json!({ "data": { "project": null, "group": null } });
    assert_eq!(ask(None, project).await.1, hidden);
    let id = fixture.gitlab.project_id("pkgs/p0").unwrap();
    fixture.gitlab.set_public(id, true).unwrap();
    assert_eq!(
        ask(None, project).await.1["data"]["project"]["id"],
        "gid://gitlab/Project/1"
    );
}

#[tokio::test]
async fn responds_to_batch_in_order() {
    let fixture = Fixture::new().await;
    let body = json!([
        { "query": "query A { metadata { version } }" },
        { "query": "query B { nonsense }" },
        { "query": "query C($p: ID!) { group(fullPath: $p) { id } }", "variables": { "p": "none" } },
    ]);
    let response: Value = fixture.post(&body).await.unwrap().json().await.unwrap();
    assert_eq!(
        response[0]["data"]["metadata"]["version"],
        buildbtw_fake_gitlab::VERSION
    );
    assert_eq!(
        response[1]["errors"][0]["extensions"]["fieldName"],
        "nonsense"
    );
    assert_eq!(response[2], json!({ "data": { "group": null } }));
    let record = fixture.gitlab.requests().pop().unwrap();
    assert_eq!(record.operation.as_deref(), Some("A,B,C"));
}

#[tokio::test]
async fn limits_complexity_of_batch_to_one_query() {
    let fixture = Fixture::new().await;
    fixture.gitlab.set_complexity_limits(3, 3);
    let one = json!({ "query": "{ metadata { version } }" });
    let response: Value = fixture
        .post(&json!([one]))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(response[0].get("errors").is_none(), "{response}");
    let response: Value = fixture
        .post(&json!([one, one]))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for part in response.as_array().unwrap() {
        assert_eq!(
            part["errors"][0]["message"],
            "Query has complexity of 4, which exceeds max complexity of 3"
        );
    }
}
