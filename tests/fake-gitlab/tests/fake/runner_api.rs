use std::time::Duration;

use buildbtw_fake_gitlab::{JobId, RunnerOptions, Status};
use jiff::SignedDuration;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Fixture, ONE_JOB};

/// The request of a runner.
struct Runner<'a> {
    fixture: &'a Fixture,
    token: String,
}

impl<'a> Runner<'a> {
    fn new(fixture: &'a Fixture, tags: &[&str]) -> Self {
        Self {
            fixture,
            token: fixture.gitlab.create_runner(tags),
        }
    }

    async fn request(&self, last_update: Option<&str>) -> Response {
        let body = json!({
            "info": {
                "executor": "custom",
                "features": { "two_phase_job_commit": true, "cancel_gracefully": true },
            },
            "token": self.token,
            "system_id": "s_0123456789ab",
            "last_update": last_update,
        });
        self.fixture
            .http
            .post(format!("{}/api/v4/jobs/request", self.fixture.gitlab.url()))
            .header("RUNNER-TOKEN", &self.token)
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    async fn job(&self) -> Value {
        let response = self.request(None).await;
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }
}

fn url(fixture: &Fixture, job: &Value, rest: &str) -> String {
    format!("{}/api/v4/jobs/{}{rest}", fixture.gitlab.url(), job["id"])
}

async fn put(fixture: &Fixture, job: &Value, mut body: Value) -> Response {
    body["token"] = job["token"].clone();
    let request = fixture.http.put(url(fixture, job, "")).json(&body);
    request.send().await.unwrap()
}

async fn patch(fixture: &Fixture, job: &Value, start: usize, text: &str) -> Response {
    fixture
        .http
        .patch(url(fixture, job, "/trace"))
        .header("JOB-TOKEN", job["token"].as_str().unwrap())
        .header(
            "Content-Range",
            format!("{start}-{}", start + text.len() - 1),
        )
        .body(text.to_owned())
        .send()
        .await
        .unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

fn id_of(job: &Value) -> JobId {
    JobId(job["id"].as_u64().unwrap())
}

const WITH_ALL: &str = "
build:
  stage: build
  tags: [big]
  timeout: 10 minutes
  variables: {GIT_STRATEGY: none, OWN: '1'}
  id_tokens: {ID: {aud: 'https://build.example'}}
  before_script: [echo before]
  script: [echo script]
  after_script: [echo after]
  artifacts: {paths: [out], expire_in: 1 week}
";

#[tokio::test]
async fn describes_job_as_runners_expect() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/s/a", WITH_ALL);
    let (pipeline, id) = fixture.pipeline(project);
    let other = Runner::new(&fixture, &["small"]);
    assert_eq!(other.request(None).await.status(), 204);
    let runner = Runner::new(&fixture, &["big", "fast"]);
    let job = runner.job().await;
    assert_eq!(job["id"], id.0);
    assert_eq!(job["job_info"]["project_full_path"], "g/s/a");
    assert_eq!(job["job_info"]["pipeline_id"], pipeline.0);
    assert_eq!(
        job["job_info"]["project_jobs_running_on_instance_runners_count"],
        "0"
    );
    assert!(job.get("run").is_none());
    assert_eq!(job["runner_info"]["timeout"], 600);
    assert_eq!(job["git_info"]["repo_url"], fixture.gitlab.git_url("g/s/a"));
    assert_eq!(job["git_info"]["protected"], true);
    assert_eq!(job["steps"][0]["name"], "script");
    assert_eq!(
        job["steps"][0]["script"],
        json!(["echo before", "echo script"])
    );
    assert_eq!(job["steps"][1]["name"], "after_script");
    assert_eq!(job["artifacts"][0]["paths"], json!(["out"]));
    assert_eq!(job["artifacts"][0]["artifact_format"], "zip");
    let value = |key: &str| {
        let mut variables = job["variables"].as_array().unwrap().iter();
        let found = variables.find(|variable| variable["key"] == key);
        found.unwrap_or_else(|| panic!("no {key}")).clone()
    };
    let head = fixture.gitlab.head(project, None).unwrap().unwrap();
    for (key, wanted) in [
        ("CI_JOB_ID", id.to_string().as_str()),
        ("CI_PIPELINE_ID", &pipeline.to_string()),
        ("CI_PROJECT_ID", "1"),
        ("CI_PROJECT_PATH", "g/s/a"),
        ("CI_SERVER_URL", fixture.gitlab.url()),
        ("CI_SERVER_HOST", "127.0.0.1"),
        ("CI_API_V4_URL", &format!("{}/api/v4", fixture.gitlab.url())),
        ("CI_COMMIT_SHA", &head),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_COMMIT_REF_PROTECTED", "true"),
        ("CI_PIPELINE_SOURCE", "api"),
        ("CI_JOB_NAME", "build"),
        ("CI_JOB_STAGE", "build"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("GIT_STRATEGY", "none"),
        ("OWN", "1"),
    ] {
        assert_eq!(value(key)["value"], wanted, "{key}");
    }
    assert_eq!(value("CI_JOB_TOKEN")["masked"], true);
    assert_eq!(value("CI_JOB_TOKEN")["value"], job["token"]);
    assert_eq!(value("ID")["masked"], true);
    let managers = fixture.gitlab.runner_managers(&runner.token);
    assert_eq!(managers[0].system_id, "s_0123456789ab");
}

#[tokio::test]
async fn keeps_job_pending_until_runner_confirms() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let (pipeline, id) = fixture.pipeline(project);
    let runner = Runner::new(&fixture, &[]);
    let job = runner.job().await;
    let status = || fixture.gitlab.job(id).unwrap().status;
    assert_eq!(status(), Status::Pending);
    assert_eq!(runner.request(None).await.status(), 204);
    // The runner lost the response: the job is pending again.
    fixture
        .gitlab
        .set_acknowledge_within(SignedDuration::from_secs(30));
    fixture
        .gitlab
        .clock()
        .advance(SignedDuration::from_secs(31));
    fixture.gitlab.check_timeouts().unwrap();
    let again = runner.job().await;
    assert_eq!(again["id"], job["id"]);
    let response = put(&fixture, &again, json!({ "state": "running" })).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "job-status"), "running");
    assert_eq!(status(), Status::Running);
    assert_eq!(
        fixture.gitlab.pipeline(pipeline).unwrap().status,
        Status::Running
    );
    let end = json!({ "state": "failed", "failure_reason": "script_failure", "exit_code": 3 });
    assert_eq!(put(&fixture, &again, end).await.status(), 200);
    let view = fixture.gitlab.job(id).unwrap();
    assert_eq!(view.status, Status::Failed);
    assert_eq!(view.failure_reason.as_deref(), Some("script_failure"));
    assert_eq!(view.exit_code, Some(3));
    let response = put(&fixture, &again, json!({ "state": "running" })).await;
    assert_eq!(response.status(), 403);
    assert_eq!(header(&response, "job-status"), "failed");
}

#[tokio::test]
async fn responds_immediately_to_runner_without_new_state() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let runner = Runner::new(&fixture, &[]);
    let response = runner.request(None).await;
    assert_eq!(response.status(), 204);
    let seen = header(&response, "x-gitlab-last-update").to_owned();
    let response = runner.request(Some(&seen)).await;
    assert_eq!(header(&response, "x-gitlab-last-update"), seen);
    fixture.pipeline(project);
    assert_eq!(runner.request(Some(&seen)).await.status(), 201);
}

#[tokio::test]
async fn long_polls_for_jobs() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    fixture.gitlab.set_long_poll(Duration::from_secs(600));
    let runner = Runner::new(&fixture, &[]);
    let response = runner.request(None);
    let (response, _) = tokio::join!(response, async {
        tokio::task::yield_now().await;
        fixture.pipeline(project)
    });
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn assigns_jobs_by_runner_permissions() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let other = fixture.project("g/b", ONE_JOB);
    fixture.gitlab.unprotect_branch(project, "main").unwrap();
    fixture.pipeline(project);
    let refuse = async |options: RunnerOptions| {
        let token = fixture.gitlab.create_runner_with(options);
        let runner = Runner {
            fixture: &fixture,
            token,
        };
        assert_eq!(runner.request(None).await.status(), 204);
    };
    let usual = RunnerOptions::default;
    refuse(RunnerOptions {
        run_untagged: false,
        ..usual()
    })
    .await;
    refuse(RunnerOptions {
        protected_only: true,
        ..usual()
    })
    .await;
    refuse(RunnerOptions {
        projects: Some(vec![other]),
        ..usual()
    })
    .await;
    let runner = Runner::new(&fixture, &[]);
    fixture.gitlab.pause_runner(&runner.token, true).unwrap();
    assert_eq!(runner.request(None).await.status(), 204);
    fixture.gitlab.pause_runner(&runner.token, false).unwrap();
    assert_eq!(runner.request(None).await.status(), 201);
}

#[tokio::test]
async fn appends_log_in_order() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let (_, id) = fixture.pipeline(project);
    fixture.gitlab.set_trace_update_interval(7);
    let runner = Runner::new(&fixture, &[]);
    let job = runner.job().await;
    put(&fixture, &job, json!({ "state": "running" })).await;
    let response = patch(&fixture, &job, 0, "hello ").await;
    assert_eq!(response.status(), 202);
    assert_eq!(header(&response, "range"), "0-6");
    assert_eq!(header(&response, "x-gitlab-trace-update-interval"), "7");
    let response = patch(&fixture, &job, 0, "hello ").await;
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&response, "range"), "0-6");
    patch(&fixture, &job, 6, "world").await;
    assert_eq!(fixture.gitlab.job_trace(id), "hello world");
    let text = fixture.get(&format!("/projects/1/jobs/{id}/trace")).await;
    assert_eq!(text.text().await.unwrap(), "hello world");
    let end = |checksum: String| json!({ "state": "success", "output": { "checksum": checksum, "bytesize": 11 } });
    let response = put(&fixture, &job, end("crc32:00000000".to_owned())).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(fixture.gitlab.job_trace(id), "");
    patch(&fixture, &job, 0, "hello world").await;
    fixture.gitlab.hold_final_updates(1);
    let checksum = format!("crc32:{:08x}", crc32fast::hash(b"hello world"));
    let response = put(&fixture, &job, end(checksum.clone())).await;
    assert_eq!(response.status(), 202);
    assert_eq!(put(&fixture, &job, end(checksum)).await.status(), 200);
    assert_eq!(fixture.gitlab.job(id).unwrap().status, Status::Success);
}

#[tokio::test]
async fn cancellation_waits_for_the_runner() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let (pipeline, id) = fixture.pipeline(project);
    let runner = Runner::new(&fixture, &[]);
    let job = runner.job().await;
    put(&fixture, &job, json!({ "state": "running" })).await;
    let path = format!("/projects/1/pipelines/{pipeline}/cancel");
    let (status, cancelled) = fixture.send("POST", &path, &json!({})).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("canceling")));
    let response = patch(&fixture, &job, 0, "bye").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "job-status")),
        (202, "canceling")
    );
    let end = json!({ "state": "failed", "failure_reason": "unknown_failure" });
    assert_eq!(put(&fixture, &job, end).await.status(), 200);
    assert_eq!(fixture.gitlab.job(id).unwrap().status, Status::Canceled);
    assert_eq!(
        fixture.gitlab.pipeline(pipeline).unwrap().status,
        Status::Canceled
    );
}

#[tokio::test]
async fn fails_job_of_silent_runner() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", "build: {script: x, timeout: 10 minutes}");
    let runner = Runner::new(&fixture, &[]);
    let fails_after = async |minutes: i64, keeps_talking: bool| {
        let (_, id) = fixture.pipeline(project);
        let job = runner.job().await;
        put(&fixture, &job, json!({ "state": "running" })).await;
        fixture
            .gitlab
            .clock()
            .advance(SignedDuration::from_mins(minutes));
        if keeps_talking {
            put(&fixture, &job, json!({ "state": "running" })).await;
        }
        fixture.gitlab.check_timeouts().unwrap();
        assert_eq!(id, id_of(&job));
        fixture.gitlab.job(id).unwrap().failure_reason
    };
    fixture
        .gitlab
        .set_silence_limit(SignedDuration::from_mins(5));
    assert_eq!(fails_after(4, false).await, None);
    let silent = fails_after(6, false).await;
    assert_eq!(silent.as_deref(), Some("stuck_or_timeout_failure"));
    let slow = fails_after(12, true).await;
    assert_eq!(slow.as_deref(), Some("job_execution_timeout"));
}

#[tokio::test]
async fn stores_and_returns_artifacts() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let (_, id) = fixture.pipeline(project);
    let runner = Runner::new(&fixture, &[]);
    let job = runner.job().await;
    put(&fixture, &job, json!({ "state": "running" })).await;
    let boundary = "xxx";
    let form = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"artifacts.zip\"\r\n\r\nPK-data\r\n--{boundary}--\r\n"
    );
    let upload = async |token: &str| {
        let upload = fixture.http.post(url(
            &fixture,
            &job,
            "/artifacts?artifact_format=zip&artifact_type=archive&expire_in=1+week",
        ));
        let upload = upload
            .header("JOB-TOKEN", token)
            .header(
                "Content-Type",
                format!("multipart/form-data; boundary={boundary}"),
            )
            .body(form.clone());
        upload.send().await.unwrap().status().as_u16()
    };
    assert_eq!(upload("wrong").await, 403);
    assert_eq!(upload(job["token"].as_str().unwrap()).await, 201);
    let kept = fixture.gitlab.job_artifacts(id).unwrap();
    assert_eq!(kept.file_name, "artifacts.zip");
    assert_eq!(kept.expire_in.as_deref(), Some("1 week"));
    let response = fixture
        .get(&format!("/projects/1/jobs/{id}/artifacts"))
        .await;
    assert_eq!(header(&response, "content-type"), "application/zip");
    assert_eq!(response.bytes().await.unwrap(), "PK-data");
    let download = fixture
        .http
        .get(url(&fixture, &job, "/artifacts"))
        .header("JOB-TOKEN", job["token"].as_str().unwrap());
    assert_eq!(
        download.send().await.unwrap().bytes().await.unwrap(),
        "PK-data"
    );
}

#[tokio::test]
async fn authenticates_runners_by_token() {
    let fixture = Fixture::new().await;
    let token = fixture.gitlab.create_runner(&[]);
    assert!(token.starts_with("glrt-"));
    let send = async |method: &str, path: &str, body: Value| {
        fixture.send_as("", method, path, &body).await
    };
    let verify = json!({ "token": token, "system_id": "s_000000000000" });
    let (status, response) = send("POST", "/runners/verify", verify).await;
    assert_eq!(status, 200);
    assert_eq!(response["token"], *token);
    assert!(response["token_expires_at"].is_null() && response["id"].as_u64().unwrap() > 0);
    assert_eq!(
        send("POST", "/runners/verify", json!({ "token": "x" }))
            .await
            .0,
        403
    );
    assert_eq!(
        send("POST", "/jobs/request", json!({ "token": "x" }))
            .await
            .0,
        403
    );
    assert_eq!(
        send("POST", "/runners", json!({ "token": "x" })).await.0,
        410
    );
    let managers = "/runners/managers";
    assert_eq!(
        send("DELETE", managers, json!({ "token": token })).await.0,
        400
    );
    let known = json!({ "token": token, "system_id": "s_000000000000" });
    assert_eq!(send("DELETE", managers, known.clone()).await.0, 204);
    assert_eq!(send("DELETE", managers, known).await.0, 404);
    let reset = "/runners/reset_authentication_token";
    let (status, response) = send("POST", reset, json!({ "token": token })).await;
    assert_eq!(status, 201);
    let new = response["token"].as_str().unwrap();
    assert_eq!(
        send("POST", "/jobs/request", json!({ "token": token }))
            .await
            .0,
        403
    );
    assert_eq!(
        send("POST", "/jobs/request", json!({ "token": new }))
            .await
            .0,
        204
    );
    let discovery = fixture
        .http
        .get(format!(
            "{}/api/v4/runners/router/discovery",
            fixture.gitlab.url()
        ))
        .header("RUNNER-TOKEN", new);
    assert_eq!(discovery.send().await.unwrap().status(), 501);
}
