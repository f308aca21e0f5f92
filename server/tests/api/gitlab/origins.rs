//! Origins are resolved on demand: branches, tags, commits and merge requests.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Forge, GROUP, poll};
use crate::support::{Srcinfo, TestServer};

/// Requests a plan, and returns the version of the origin in it, or the error.
async fn plan(server: &TestServer, origin: &str) -> Result<String, Value> {
    let body = json!({ "changesets": [origin], "scope": "origin", "format": "json" });
    let response = server
        .admin_request(Method::POST, "/api/v1/plans")
        .json(&body)
        .send()
        .await
        .unwrap();
    let is_good = response.status().is_success();
    let response: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    if is_good {
        Ok(response.to_string())
    } else {
        Err(response)
    }
}

async fn title(server: &TestServer, origin: &str) -> String {
    let problem = plan(server, origin).await.unwrap_err();
    problem["title"].as_str().unwrap().to_owned()
}

/// Returns the commit that a namespace of this origin is planned at.
async fn commit_of(server: &TestServer, name: &str, origin: &str) -> String {
    server.namespace(name, &[origin]).await;
    let build = server.iteration(name).await;
    build.origins[0].commit.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn resolves_branches_tags_and_commits_without_clone() {
    let forge = Forge::new().await;
    let first = forge.push(&Srcinfo::new("libgreet", "1-1"));
    let project = forge.project("libgreet");
    forge.gitlab.tag(project, "v1", None, None).unwrap();
    forge
        .gitlab
        .tag(project, "v1-signed", None, Some("first"))
        .unwrap();
    let branch = forge.push_to("libgreet", "next/big", &Srcinfo::new("libgreet", "2-1"));
    let main = forge.push(&Srcinfo::new("libgreet", "1.1-1"));
    let server = forge.server().await;
    for (number, (origin, expected)) in [
        ("libgreet/main".to_owned(), &main),
        ("libgreet/next/big".to_owned(), &branch),
        ("libgreet/v1".to_owned(), &first),
        ("libgreet/v1-signed".to_owned(), &first),
        (format!("libgreet/{first}"), &first),
        (format!("libgreet/{}", &branch[..12]), &branch),
    ]
    .into_iter()
    .enumerate()
    {
        let found = commit_of(&server, &format!("n{number}"), &origin).await;
        assert_eq!(found, *expected, "{origin}");
    }
    assert!(title(&server, "libgreet/nope").await.contains("`nope`"));
    assert!(
        title(&server, "libgreet/0123456")
            .await
            .contains("no branch")
    );
    assert!(title(&server, "nothing/main").await.contains("`nothing`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn resolves_push_made_just_before() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    // The server received no webhook about it.
    let pushed = forge.push(&Srcinfo::new("anchor", "2-1"));
    assert_eq!(commit_of(&server, "n", "anchor/main").await, pushed);
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_renamed_project() {
    let forge = Forge::new().await;
    let pushed = forge.push(&Srcinfo::new("libgreet", "1-1"));
    let server = forge.server().await;
    let group = format!("{GROUP}/sub");
    forge.gitlab.create_group(&group).unwrap();
    let project = forge.project("libgreet");
    forge
        .gitlab
        .rename(project, &format!("{group}/libgreet"))
        .unwrap();
    assert_eq!(commit_of(&server, "n", "libgreet/main").await, pushed);
}

#[tokio::test(flavor = "multi_thread")]
async fn resolves_merge_request_by_url() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    let proposed = forge.push_to("libgreet", "bump", &Srcinfo::new("libgreet", "2-1"));
    let project = forge.project("libgreet");
    let gitlab = &forge.gitlab;
    let own = gitlab
        .open_merge_request(project, "main", project, "bump", "Bump")
        .unwrap();
    // A fork by another user.
    gitlab.create_group("contributor").unwrap();
    let fork = gitlab.create_project("contributor/libgreet").unwrap();
    let text = Srcinfo::new("libgreet", "3-1").text();
    let files: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(text.as_bytes()))];
    let forked = gitlab.commit(fork, "mine", &files, "mine").unwrap();
    let foreign = gitlab
        .open_merge_request(project, "main", fork, "mine", "Mine")
        .unwrap();
    let server = forge.server().await;
    let url = |iid| format!("{}/{GROUP}/libgreet/-/merge_requests/{iid}", gitlab.url());
    assert_eq!(commit_of(&server, "own", &url(own)).await, proposed);
    assert_eq!(commit_of(&server, "foreign", &url(foreign)).await, forked);
    let origins = server.iteration("own").await.origins;
    assert_eq!(origins[0].changeset.to_string(), "libgreet/bump");
    let origins = server.iteration("foreign").await.origins;
    assert_eq!(
        origins[0].changeset.to_string(),
        format!("libgreet/merge-requests/{foreign}/head")
    );

    // A new push to it is followed.
    let pushed = forge.push_to("libgreet", "bump", &Srcinfo::new("libgreet", "2.1-1"));
    poll(&server).await;
    crate::support::eventually("a new iteration", async || {
        let now = server.iteration("own").await.origins;
        (now[0].commit.as_str() == pushed).then_some(())
    })
    .await;

    gitlab.merge(project, own).unwrap();
    let merged = plan(&server, &url(own)).await.unwrap_err();
    assert!(
        merged["title"].as_str().unwrap().contains("is merged"),
        "{merged}"
    );
    assert!(
        merged["hint"].as_str().unwrap().contains("libgreet/main"),
        "{merged}"
    );
    assert!(
        title(&server, &url(99))
            .await
            .contains("/merge_requests/99 not found")
    );
    let other = "https://gitlab.example.org/a/b/-/merge_requests/1";
    assert!(
        title(&server, other)
            .await
            .contains("not a URL of this server's GitLab")
    );
    let outside = format!("{}/contributor/libgreet/-/merge_requests/1", gitlab.url());
    assert!(title(&server, &outside).await.contains("merge request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_fetch_url_to_workers() {
    for (clone_by, expected) in [("https", "http://"), ("ssh", "ssh://git@")] {
        let forge = Forge::new().await;
        let pushed = forge.push(&Srcinfo::new("libgreet", "1-1"));
        let mut options = forge.options();
        options
            .gitlab
            .extend(["--gitlab-clone".to_owned(), clone_by.to_owned()]);
        let server = forge.server_with(options).await;
        server.namespace("n", &["libgreet/main"]).await;
        let job = server.worker("w").await.claims().await;
        let source = &job.claimed.source;
        assert_eq!(source.commit.as_str(), pushed);
        assert!(
            source.clone_url.starts_with(expected),
            "{}",
            source.clone_url
        );
        assert!(
            source.clone_url.ends_with("/libgreet.git"),
            "{}",
            source.clone_url
        );
        // A claim contains no secret.
        assert!(!source.clone_url.contains(&forge.token));
    }
}
