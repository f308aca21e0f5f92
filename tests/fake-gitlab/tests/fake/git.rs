use std::path::Path;
use std::process::Command;

use buildbtw_fake_gitlab::FakeGitlab;
use serde_json::json;

use crate::support::Fixture;

/// Runs git and returns its output or its error.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.invalid",
        ])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "http.postBuffer=70000",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("http_proxy")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// Runs git without blocking the stand-in.
pub(crate) async fn git_async(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let folder = folder.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        git(&folder, &arguments)
    })
    .await
    .unwrap()
}

fn url(gitlab: &FakeGitlab, path: &str, token: &str) -> String {
    gitlab
        .git_url(path)
        .replace("//", &format!("//user:{token}@"))
}

#[tokio::test]
async fn serves_clone_push_and_shallow_fetch() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let folder = tempfile::tempdir().unwrap();
    let url = url(&fixture.gitlab, "pkgs/p0", &fixture.token);
    git_async(folder.path(), &["clone", "-q", &url, "one"])
        .await
        .unwrap();
    let one = folder.path().join("one");
    // Larger than the limit up to which git sends a request unchunked.
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs_err::write(one.join("data"), &noise).unwrap();
    git(&one, &["add", "data"]).unwrap();
    git(&one, &["commit", "-q", "-m", "First"]).unwrap();
    let first = git(&one, &["rev-parse", "HEAD"]).unwrap();
    git(&one, &["commit", "-q", "--allow-empty", "-m", "Second"]).unwrap();
    fixture
        .gitlab
        .clock()
        .advance(jiff::SignedDuration::from_mins(30));
    git_async(&one, &["push", "-q", "origin", "main"])
        .await
        .unwrap();
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let head = git(&one, &["rev-parse", "HEAD"]).unwrap();
    assert_eq!(fixture.gitlab.head(project, None).unwrap(), Some(head));
    let project = fixture.json("/projects/1").await;
    assert_eq!(project["updated_at"], "2026-01-01T00:30:00Z");
    assert_eq!(project["last_activity_at"], "2026-01-01T00:00:00Z");

    git(folder.path(), &["init", "-q", "two"]).unwrap();
    let two = folder.path().join("two");
    git_async(&two, &["fetch", "-q", "--depth", "1", &url, &first])
        .await
        .unwrap();
    assert_eq!(git(&two, &["rev-parse", "FETCH_HEAD"]).unwrap(), first);
    assert_eq!(
        git(&two, &["rev-list", "--count", "FETCH_HEAD"]).unwrap(),
        "1"
    );
}

#[tokio::test]
async fn first_push_sets_default_branch() {
    let fixture = Fixture::new().await;
    let id = fixture.gitlab.create_project("a/b").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = url(&fixture.gitlab, "a/b", &fixture.token);
    git(folder.path(), &["init", "-q", "-b", "trunk"]).unwrap();
    git(
        folder.path(),
        &["commit", "-q", "--allow-empty", "-m", "First"],
    )
    .unwrap();
    git_async(folder.path(), &["push", "-q", &url, "trunk"])
        .await
        .unwrap();
    let query = "{ project(fullPath: \"a/b\") { repository { rootRef } } }";
    let data = fixture.data(query, json!({})).await;
    assert_eq!(data["project"]["repository"]["rootRef"], "trunk");
    let head = git(folder.path(), &["rev-parse", "HEAD"]).unwrap();
    assert_eq!(fixture.gitlab.head(id, None).unwrap(), Some(head));
}

#[tokio::test]
async fn authorizes_git_by_token() {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let id = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let read = fixture.gitlab.create_token(&["read_repository"]);
    let api = fixture.gitlab.create_token(&["read_api"]);
    let list = async |url: String| git_async(path, &["ls-remote", &url]).await;
    assert!(
        list(url(&fixture.gitlab, "pkgs/p0", &read))
            .await
            .unwrap()
            .contains("refs/heads/main")
    );
    let error = list(url(&fixture.gitlab, "pkgs/p0", "wrong"))
        .await
        .unwrap_err();
    assert!(error.contains("Authentication failed"), "{error}");
    let error = list(fixture.gitlab.git_url("pkgs/p0")).await.unwrap_err();
    assert!(error.contains("could not read Username"), "{error}");
    let error = list(url(&fixture.gitlab, "pkgs/p0", &api))
        .await
        .unwrap_err();
    assert!(error.contains("403"), "{error}");
    let error = list(url(&fixture.gitlab, "pkgs/none", &read))
        .await
        .unwrap_err();
    assert!(error.contains("not found"), "{error}");
    git_async(
        path,
        &["clone", "-q", &url(&fixture.gitlab, "pkgs/p0", &read), "c"],
    )
    .await
    .unwrap();
    let clone = path.join("c");
    let error = git_async(&clone, &["push", "-q", "origin", "HEAD:other"])
        .await
        .unwrap_err();
    assert!(error.contains("403"), "{error}");
    fixture.gitlab.archive(id, true).unwrap();
    let full = url(&fixture.gitlab, "pkgs/p0", &fixture.token);
    let error = git_async(&clone, &["push", "-q", &full, "HEAD:other"])
        .await
        .unwrap_err();
    assert!(error.contains("403"), "{error}");
    fixture.gitlab.set_public(id, true).unwrap();
    assert!(list(fixture.gitlab.git_url("pkgs/p0")).await.is_ok());
}

#[tokio::test]
async fn adopts_existing_repository() {
    let fixture = Fixture::new().await;
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "-b", "devel", "work"]).unwrap();
    let work = folder.path().join("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "First"]).unwrap();
    git(
        folder.path(),
        &["clone", "-q", "--bare", "work", "bare.git"],
    )
    .unwrap();
    let id = fixture
        .gitlab
        .adopt(&folder.path().join("bare.git"), "a/b")
        .unwrap();
    let head = git(&work, &["rev-parse", "HEAD"]).unwrap();
    assert_eq!(fixture.gitlab.head(id, None).unwrap(), Some(head));
    fixture.gitlab.delete(id).unwrap();
    assert!(folder.path().join("bare.git/HEAD").exists());
}

#[tokio::test]
async fn accepts_compressed_request() {
    use std::io::Write as _;
    let fixture = Fixture::new().await;
    fixture.import(1);
    let id = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let head = fixture.gitlab.head(id, None).unwrap().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write!(encoder, "0032want {head}\n00000009done\n").unwrap();
    let response = fixture
        .http
        .post(format!(
            "{}/git-upload-pack",
            fixture.gitlab.git_url("pkgs/p0")
        ))
        .basic_auth("user", Some(&fixture.token))
        .header("Content-Type", "application/x-git-upload-pack-request")
        .header("Content-Encoding", "gzip")
        .body(encoder.finish().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let body = response.bytes().await.unwrap();
    assert!(body.starts_with(b"0008NAK\nPACK"), "{body:?}");
}
