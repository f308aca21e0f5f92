//! Helpers of the tests.

use buildbtw_fake_gitlab::{FakeGitlab, ImportedText, JobId, Options, PipelineId, ProjectId};
use reqwest::{Client, Response};
use serde_json::{Value, json};

/// A stand-in with a token, and a client of it.
pub(crate) struct Fixture {
    pub(crate) gitlab: FakeGitlab,
    pub(crate) token: String,
    pub(crate) http: Client,
}

pub(crate) const START: &str = "2026-01-01T00:00:00Z";

impl Fixture {
    /// Starts a stand-in whose clock is stopped.
    pub(crate) async fn new() -> Self {
        let gitlab = FakeGitlab::start(Options::default()).await.unwrap();
        gitlab.clock().set(START.parse().unwrap());
        Self {
            token: gitlab.create_token(&["api", "read_repository", "write_repository"]),
            gitlab,
            http: Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn import(&self, count: usize) {
        let texts = (0..count).map(|number| ImportedText {
            pkgbase: format!("p{number}"),
            srcinfo: srcinfo(number).into_bytes(),
        });
        assert_eq!(self.gitlab.import_texts(texts, "pkgs").unwrap(), count);
    }

    pub(crate) async fn post(&self, body: &Value) -> reqwest::Result<Response> {
        self.http
            .post(format!("{}/api/graphql", self.gitlab.url()))
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .await
    }

    /// Sends a query and returns the whole response.
    pub(crate) async fn query(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let response = self.post(&body).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// Sends a query and returns the data of its response, which must have no errors.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut response = self.query(query, variables).await;
        assert!(response.get("errors").is_none(), "{response:#}");
        response["data"].take()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http
            .get(format!("{}/api/v4{path}", self.gitlab.url()))
            .header("PRIVATE-TOKEN", &self.token)
            .send()
            .await
            .unwrap()
    }

    /// Sends a request with another method than GET, and returns status and JSON of the response.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.send_as(&self.token, method, path, body).await
    }

    pub(crate) async fn send_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let response = self
            .http
            .request(
                method.parse().unwrap(),
                format!("{}/api/v4{path}", self.gitlab.url()),
            )
            .header("PRIVATE-TOKEN", token)
            .json(body)
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    /// Creates a project with this CI configuration.
    pub(crate) fn project(&self, path: &str, configuration: &str) -> ProjectId {
        let id = self.gitlab.create_project(path).unwrap();
        let files: [(&str, Option<&[u8]>); 1] =
            [(".gitlab-ci.yml", Some(configuration.as_bytes()))];
        self.gitlab.commit(id, "main", &files, "Begin").unwrap();
        id
    }

    /// Creates a pipeline of a project, and returns it with its first job.
    pub(crate) fn pipeline(&self, project: ProjectId) -> (PipelineId, JobId) {
        let id = self
            .gitlab
            .create_pipeline(project, "main", &[], &json!({}))
            .unwrap();
        (id, self.gitlab.jobs(id)[0].id)
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }
}

pub(crate) fn srcinfo(number: usize) -> String {
    format!("pkgbase = p{number}\n\tpkgver = 1\n\npkgname = p{number}\n")
}

/// One job without special settings.
pub(crate) const ONE_JOB: &str = "build: {script: echo build}\n";
