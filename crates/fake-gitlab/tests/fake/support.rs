//! What the tests share.

use buildbtw_fake_gitlab::{FakeGitlab, ImportedText, Options};
use reqwest::{Client, Response};
use serde_json::{Value, json};

/// A stand-in with a token, and a client of it.
pub(crate) struct World {
    pub(crate) gitlab: FakeGitlab,
    pub(crate) token: String,
    pub(crate) http: Client,
}

pub(crate) const START: &str = "2026-01-01T00:00:00Z";

impl World {
    /// The clock stands still.
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

    /// The whole answer to a query.
    pub(crate) async fn query(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let response = self.post(&body).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// The data of an answer without errors.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.query(query, variables).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].take()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http
            .get(format!("{}/api/v4{path}", self.gitlab.url()))
            .header("PRIVATE-TOKEN", &self.token)
            .send()
            .await
            .unwrap()
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
