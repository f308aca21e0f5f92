//! Sources in a GitLab group, tested against a stand-in that behaves like GitLab.

mod access;
mod anonymous;
mod ci_config;
mod doctor;
mod faults;
mod following;
mod origins;
mod pipelines;
mod reports;
mod watching;
mod webhooks;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use buildbtw_fake_gitlab::{
    FakeGitlab, HookOptions, HookScope, ImportedText, Options, ProjectId, RequestRecord,
};
use buildbtw_model::api::SourcesOverview;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{ServerOptions, Srcinfo, TestServer, eventually};

/// The group that is watched.
const GROUP: &str = "packaging/packages";
/// The secret token of webhooks.
const SECRET: &str = "hook-s3cret";
/// The signing token of webhooks, and the key it contains.
const SIGNING: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A GitLab stand-in with the group, and the files that a server needs to access it.
pub(crate) struct Forge {
    pub(crate) gitlab: FakeGitlab,
    token: String,
    folder: TempDir,
}

impl Forge {
    /// Starts a stand-in whose group has one package, so that a plan is always possible.
    async fn new() -> Self {
        let this = Self::empty().await;
        this.push(&Srcinfo::new("anchor", "1-1"));
        this
    }

    /// Starts a stand-in with an empty group.
    async fn empty() -> Self {
        let gitlab = FakeGitlab::start(Options::default()).await.unwrap();
        gitlab.create_group(GROUP).unwrap();
        let token = gitlab.create_token(&["read_api"]);
        let this = Self {
            gitlab,
            token: token.clone(),
            folder: tempfile::tempdir().unwrap(),
        };
        this.write("token", &token);
        this.write("secret", SECRET);
        this.write("signing", SIGNING);
        this
    }

    fn write(&self, name: &str, text: &str) {
        fs_err::write(self.file(name), text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the options of a server that polls only on request.
    fn options(&self) -> ServerOptions {
        self.options_for(GROUP)
    }

    fn options_for(&self, group: &str) -> ServerOptions {
        let file = |name| self.file(name).display().to_string();
        let gitlab = [
            ("--gitlab-url", self.gitlab.url().to_owned()),
            ("--gitlab-group", group.to_owned()),
            ("--gitlab-token-file", file("token")),
            ("--gitlab-poll-seconds", "3600".to_owned()),
            ("--gitlab-webhook-secret-file", file("secret")),
            ("--gitlab-webhook-signing-token-file", file("signing")),
        ];
        let gitlab = gitlab
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]);
        ServerOptions {
            gitlab: gitlab.collect(),
            sweep_seconds: 7 * 86_400,
            ..ServerOptions::default()
        }
    }

    /// Starts a server without webhooks, and waits for its initial sync.
    async fn server(&self) -> TestServer {
        self.server_with(self.options()).await
    }

    async fn server_with(&self, options: ServerOptions) -> TestServer {
        let server = TestServer::start_with(options, |_| {}).await;
        complete(&server).await;
        server
    }

    /// Sends webhooks of all events to a server.
    fn hook(&self, server: &TestServer, signed: bool) {
        let url = format!("{}/api/v1/webhooks/gitlab", server.url());
        let options = HookOptions {
            token: (!signed).then(|| SECRET.to_owned()),
            signing_token: signed.then(|| SIGNING.to_owned()),
            ..HookOptions::everything(url)
        };
        self.gitlab.add_hook(HookScope::System, options).unwrap();
    }

    /// Pushes a package to the default branch of its project; creates the project if necessary.
    fn push(&self, srcinfo: &Srcinfo) -> String {
        self.push_to(&srcinfo.pkgbase, "main", srcinfo)
    }

    fn push_to(&self, project: &str, branch: &str, srcinfo: &Srcinfo) -> String {
        let path = format!("{GROUP}/{project}");
        let project = self
            .gitlab
            .project_id(&path)
            .unwrap_or_else(|| self.gitlab.create_project(&path).unwrap());
        let text = srcinfo.text();
        let files: [(&str, Option<&[u8]>); 2] = [
            (".SRCINFO", Some(text.as_bytes())),
            ("PKGBUILD", Some(b"#\n")),
        ];
        self.gitlab
            .commit(project, branch, &files, "change")
            .unwrap()
    }

    fn project(&self, path: &str) -> ProjectId {
        self.gitlab
            .project_id(&format!("{GROUP}/{path}"))
            .unwrap_or_else(|| panic!("project `{path}` does not exist"))
    }

    /// Returns the requests of one GraphQL query.
    fn requests_of(&self, operation: &str) -> Vec<RequestRecord> {
        let all = self.gitlab.requests().into_iter();
        all.filter(|request| request.operation.as_deref() == Some(operation))
            .collect()
    }

    /// Returns the later pages of projects that were requested, without duplicates.
    fn later_pages(&self) -> BTreeSet<String> {
        let after = |request: &RequestRecord| {
            let variables = request.variables.as_ref()?;
            Some(variables.get("after")?.as_str()?.to_owned())
        };
        let requests = self.requests_of("GroupProjects");
        requests.iter().filter_map(after).collect()
    }

    /// Returns the number of requests for single projects, which webhooks cause.
    fn requests_by_id(&self) -> usize {
        let has_ids = |request: &RequestRecord| {
            let variables = request.variables.as_ref();
            variables.is_some_and(|variables| variables["ids"].is_array())
        };
        let requests = self.requests_of("GroupProjects");
        requests.into_iter().filter(has_ids).count()
    }
}

/// After this time a plan uses the known state, whether its poll is finished or not.
const MAX_CATCH_UP: Duration = Duration::from_secs(5);

async fn overview(server: &TestServer) -> SourcesOverview {
    server.public().sources_overview().await.unwrap()
}

/// Waits for the end of the initial sync.
async fn complete(server: &TestServer) {
    eventually("the initial sync", async || {
        let now = overview(server).await;
        (now.complete && now.progress.is_none()).then_some(())
    })
    .await;
}

/// Has a server poll now, and waits for it: a plan causes a poll. On a busy machine that may take
/// several polls, so tests must not count them.
async fn poll(server: &TestServer) {
    let body = json!({ "changesets": ["anchor/main"], "scope": "origin" });
    eventually("a poll in time", async || {
        let started = tokio::time::Instant::now();
        let request = server.admin_request(Method::POST, "/api/v1/plans");
        let response = request.json(&body).send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{:?}",
            response.text().await
        );
        (started.elapsed() < MAX_CATCH_UP).then_some(())
    })
    .await;
}

/// Returns packages `name0`, `name1` …
fn many(name: &str, count: usize) -> impl Iterator<Item = ImportedText> {
    (0..count).map(move |number| {
        let pkgbase = format!("{name}{number}");
        ImportedText {
            srcinfo: Srcinfo::new(&pkgbase, "1-1").text().into_bytes(),
            pkgbase,
        }
    })
}

/// Sends the webhook of a push to a server.
async fn deliver_push(forge: &Forge, server: &TestServer, project: &str) {
    let id = forge.project(project).0;
    let body = json!({
        "object_kind": "push", "project_id": id,
        "project": {"id": id, "path_with_namespace": format!("{GROUP}/{project}")},
    });
    let response = server
        .request(Method::POST, "/api/v1/webhooks/gitlab")
        .header("X-Gitlab-Token", SECRET)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert!(
        response.status().is_success(),
        "{:?}",
        response.text().await
    );
}
