use buildbtw_fake_gitlab::{
    Fault, HookOptions, HookScope, On, ProjectId, Role, Status, Times, VariablesRole,
};
use serde_json::{Value, json};

use crate::support::{Fixture, ONE_JOB};

const TEMPLATE: &str = r#"
spec:
  inputs:
    attempt: {type: string, regex: '/^[0-9a-f-]{36}$/'}
    tags: {type: array, default: [buildbtw]}
    timeout: {type: string, default: "6 hours"}
---
workflow:
  name: 'buildbtw $[[ inputs.attempt ]]'
  rules:
    - if: $CI_PIPELINE_SOURCE == "api"
build:
  stage: build
  tags: $[[ inputs.tags ]]
  timeout: $[[ inputs.timeout ]]
  variables: {BUILDBTW_ATTEMPT: '$[[ inputs.attempt ]]'}
  script: [echo build]
"#;

const ATTEMPT: &str = "01890000-0000-7000-8000-000000000000";

/// Creates a project whose CI configuration is in another one.
async fn with_template() -> (Fixture, ProjectId) {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let template = fixture.gitlab.create_project("ci/templates").unwrap();
    let files: [(&str, Option<&[u8]>); 1] = [("build.yml", Some(TEMPLATE.as_bytes()))];
    fixture
        .gitlab
        .commit(template, "main", &files, "Begin")
        .unwrap();
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    fixture
        .gitlab
        .set_ci_config_path(project, "build.yml@ci/templates")
        .unwrap();
    (fixture, project)
}

fn base(response: &Value) -> &str {
    response["message"]["base"][0].as_str().unwrap()
}

#[tokio::test]
async fn creates_pipeline_from_template_of_another_project() {
    let (fixture, project) = with_template().await;
    let body = json!({ "ref": "main", "inputs": { "attempt": ATTEMPT, "tags": ["a"] } });
    let (status, created) = fixture.send("POST", "/projects/1/pipeline", &body).await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["status"], "pending");
    assert_eq!(created["source"], "api");
    assert_eq!(created["ref"], "main");
    assert_eq!(created["name"], format!("buildbtw {ATTEMPT}"));
    assert_eq!(created["user"]["username"], "buildbtw");
    assert_eq!(created["detailed_status"]["group"], "pending");
    let head = fixture.gitlab.head(project, None).unwrap().unwrap();
    assert_eq!(created["sha"], *head);
    let id = &created["id"];
    assert_ne!(created["iid"], *id);
    let jobs = fixture
        .json(&format!("/projects/1/pipelines/{id}/jobs"))
        .await;
    assert_eq!(jobs[0]["name"], "build");
    assert_eq!(jobs[0]["tag_list"], json!(["a"]));
    assert_eq!(
        fixture.json(&format!("/projects/1/pipelines/{id}")).await,
        created
    );
    let views = fixture.gitlab.pipelines(project);
    assert_eq!(views[0].inputs["attempt"], ATTEMPT);
    assert_eq!(views[0].status, Status::Pending);
}

#[tokio::test]
async fn reports_pipeline_errors_like_gitlab() {
    let (fixture, project) = with_template().await;
    let good = json!({ "attempt": ATTEMPT });
    for (body, text) in [
        (
            json!({ "ref": "none", "inputs": good }),
            "Reference not found",
        ),
        (
            json!({ "ref": fixture.gitlab.head(project, None).unwrap(), "inputs": good }),
            "Reference not found",
        ),
        (
            json!({ "ref": "main" }),
            "`attempt` input: required value has not been provided",
        ),
        (
            json!({ "ref": "main", "inputs": { "attempt": 7 } }),
            "`attempt` input: provided value is not a string",
        ),
        (
            json!({ "ref": "main", "inputs": { "attempt": ATTEMPT, "more": 1 } }),
            "unknown input arguments: more",
        ),
        (
            json!({ "ref": "main", "inputs": good, "variables": [
                { "key": "A", "value": "1" }, { "key": "A", "value": "2" },
            ] }),
            "Duplicate variable name: A",
        ),
    ] {
        let (status, response) = fixture.send("POST", "/projects/1/pipeline", &body).await;
        assert_eq!((status, base(&response)), (400, text));
    }
    let body = json!({ "ref": "main", "inputs": good });
    let refuse = async |text: &str| {
        let (status, response) = fixture.send("POST", "/projects/1/pipeline", &body).await;
        assert_eq!((status, base(&response)), (400, text));
    };
    let gitlab = &fixture.gitlab;
    for (path, text) in [
        (
            "other.yml@ci/templates",
            "Project `ci/templates` file `other.yml` does not exist!",
        ),
        (
            "build.yml@ci/templates:old",
            "Project `ci/templates` reference `old` does not exist!",
        ),
        (
            "build.yml@ci/none",
            "Project `ci/none` not found or access denied! Make sure any includes in the pipeline \
             configuration are correctly defined.",
        ),
        ("", "Missing CI config file"),
    ] {
        gitlab.set_ci_config_path(project, path).unwrap();
        refuse(text).await;
    }
    gitlab
        .set_ci_config_path(project, "build.yml@ci/templates:main")
        .unwrap();
    gitlab.set_too_many_pipelines(true);
    refuse("Too many pipelines created in the last minute. Try again later.").await;
    gitlab.set_too_many_pipelines(false);
    assert!(gitlab.pipelines(project).is_empty());
    let (status, response) = fixture
        .send("POST", "/projects/1/pipeline", &json!({}))
        .await;
    assert_eq!(
        (status, response),
        (400, json!({ "error": "ref is missing" }))
    );
    let (status, _) = fixture
        .send_as("wrong", "POST", "/projects/1/pipeline", &body)
        .await;
    assert_eq!(status, 401);
    let (status, _) = fixture.send("POST", "/projects/99/pipeline", &body).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn checks_permission_to_create_pipelines() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let body = json!({ "ref": "main" });
    let with_variable = json!({ "ref": "main", "variables": [{ "key": "A", "value": "1" }] });
    let make = async |body: &Value| fixture.send("POST", "/projects/1/pipeline", body).await;
    fixture.gitlab.set_role(project, Role::Reporter).unwrap();
    assert_eq!(make(&body).await.0, 403);
    fixture.gitlab.set_role(project, Role::Developer).unwrap();
    let (status, response) = make(&body).await;
    assert_eq!(status, 400);
    let text = base(&response);
    assert!(
        text.starts_with("You do not have sufficient permission to run a pipeline on 'main'."),
        "{text}"
    );
    fixture.gitlab.unprotect_branch(project, "main").unwrap();
    assert_eq!(make(&body).await.0, 201);
    let refused = "Insufficient permissions to set pipeline variables";
    let (status, response) = make(&with_variable).await;
    assert_eq!((status, base(&response)), (400, refused));
    fixture
        .gitlab
        .set_variables_role(project, VariablesRole::Developer)
        .unwrap();
    let (status, created) = make(&with_variable).await;
    assert_eq!(status, 201);
    let path = format!("/projects/1/pipelines/{}/variables", created["id"]);
    let variables = fixture.json(&path).await;
    assert_eq!(variables[0]["key"], "A");
    assert_eq!(variables[0]["variable_type"], "env_var");
    fixture.gitlab.set_role(project, Role::Owner).unwrap();
    fixture
        .gitlab
        .set_variables_role(project, VariablesRole::NoOneAllowed)
        .unwrap();
    assert_eq!(make(&with_variable).await.0, 400);
}

#[tokio::test]
async fn filters_pipelines() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let first = fixture.pipeline(project).0;
    fixture.gitlab.set_branch(project, "other", "main").unwrap();
    fixture
        .gitlab
        .clock()
        .advance(jiff::SignedDuration::from_mins(1));
    let second = fixture
        .gitlab
        .create_pipeline(project, "other", &[], &json!({}))
        .unwrap();
    fixture.gitlab.cancel_pipeline(first).unwrap();
    let ids = async |query: &str| {
        let rows = fixture
            .json(&format!("/projects/1/pipelines?{query}"))
            .await;
        let ids = rows.as_array().unwrap().iter();
        ids.map(|row| row["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let head = fixture.gitlab.head(project, None).unwrap().unwrap();
    let (first, second) = (first.0, second.0);
    for (query, wanted) in [
        ("", vec![second, first]),
        ("sort=asc", vec![first, second]),
        ("ref=other", vec![second]),
        ("status=canceled", vec![first]),
        ("scope=finished", vec![first]),
        ("source=push", vec![]),
        (&format!("sha={head}&source=api"), vec![second, first]),
        ("created_after=2026-01-01T00:01:00Z", vec![second]),
        ("created_before=2026-01-01T00:00:59Z", vec![first]),
        ("username=buildbtw", vec![second, first]),
        ("username=other", vec![]),
        ("per_page=1&page=2", vec![first]),
    ] {
        assert_eq!(ids(query).await, wanted, "{query}");
    }
    let response = fixture.get("/projects/1/pipelines?per_page=1").await;
    let link = response.headers()["link"].to_str().unwrap();
    assert!(link.contains("page=2&per_page=1>; rel=\"next\""), "{link}");
    assert_eq!(
        fixture
            .get("/projects/1/pipelines?status=odd")
            .await
            .status(),
        400
    );
    let latest = fixture.json("/projects/1/pipelines/latest?ref=other").await;
    assert_eq!(latest["id"], second);
    let response = fixture.get("/projects/1/pipelines/latest?ref=none").await;
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn cancels_retries_and_deletes_pipelines() {
    let fixture = Fixture::new().await;
    let project = fixture.project(
        "g/a",
        "a: {stage: build, script: x}\nb: {stage: test, script: y}\n",
    );
    let (pipeline, job) = fixture.pipeline(project);
    let gitlab = &fixture.gitlab;
    let path = format!("/projects/1/pipelines/{pipeline}");
    assert_eq!(gitlab.take_job().unwrap(), Some(job));
    assert_eq!(fixture.json(&path).await["status"], "running");
    gitlab
        .finish_job(job, Status::Failed, Some("script_failure"))
        .unwrap();
    assert_eq!(fixture.json(&path).await["status"], "failed");
    let statuses = |views: Vec<buildbtw_fake_gitlab::JobView>| {
        views.iter().map(|view| view.status).collect::<Vec<_>>()
    };
    assert_eq!(
        statuses(gitlab.jobs(pipeline)),
        [Status::Failed, Status::Skipped]
    );
    let nothing = json!({});
    let (status, _) = fixture
        .send("POST", &format!("{path}/cancel"), &nothing)
        .await;
    assert_eq!(status, 200);
    let (status, retried) = fixture
        .send("POST", &format!("{path}/retry"), &nothing)
        .await;
    assert_eq!((status, &retried["status"]), (201, &json!("pending")));
    let jobs = gitlab.jobs(pipeline);
    assert_eq!(jobs.len(), 3);
    assert!(jobs[0].retried && jobs[2].name == "a" && jobs[2].id != job);
    assert_eq!(
        statuses(jobs),
        [Status::Failed, Status::Created, Status::Pending]
    );
    let again = gitlab.take_job().unwrap().unwrap();
    gitlab.finish_job(again, Status::Success, None).unwrap();
    let second = gitlab.take_job().unwrap().unwrap();
    gitlab.finish_job(second, Status::Success, None).unwrap();
    assert_eq!(fixture.json(&path).await["status"], "success");
    let scope = format!("{path}/jobs?scope[]=failed");
    assert_eq!(fixture.json(&scope).await, json!([]));
    let failed = fixture.json(&format!("{scope}&include_retried=true")).await;
    assert_eq!(failed[0]["id"], job.0);
    let job_path = format!("/projects/1/jobs/{second}");
    let (status, new) = fixture
        .send("POST", &format!("{job_path}/retry"), &nothing)
        .await;
    assert_eq!(status, 201);
    assert_eq!(fixture.json(&path).await["status"], "running");
    let new_path = format!("/projects/1/jobs/{}", new["id"]);
    let (status, new) = fixture
        .send("POST", &format!("{new_path}/cancel"), &nothing)
        .await;
    assert_eq!((status, &new["status"]), (201, &json!("canceled")));
    assert_eq!(fixture.json(&path).await["status"], "canceled");
    let (status, _) = fixture.send("DELETE", &path, &nothing).await;
    assert_eq!(status, 403);
    gitlab.set_role(project, Role::Owner).unwrap();
    let (status, _) = fixture.send("DELETE", &path, &nothing).await;
    assert_eq!(status, 204);
    assert_eq!(fixture.get(&path).await.status(), 404);
    assert!(gitlab.pipelines(project).is_empty());
}

#[tokio::test]
async fn manual_jobs_wait_for_play() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", "a: {script: x, when: manual}\nb: {script: y}\n");
    let (pipeline, _) = fixture.pipeline(project);
    let jobs = fixture.gitlab.jobs(pipeline);
    let manual = jobs.iter().find(|job| job.name == "a").unwrap();
    assert_eq!(manual.status, Status::Manual);
    let path = format!("/projects/1/jobs/{}/play", manual.id);
    let (status, played) = fixture.send("POST", &path, &json!({})).await;
    assert_eq!((status, &played["status"]), (200, &json!("pending")));
    assert_eq!(fixture.send("POST", &path, &json!({})).await.0, 400);
}

#[tokio::test]
async fn lost_response_leaves_a_pipeline() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let faults = fixture.gitlab.faults();
    let body = json!({ "ref": "main" });
    let send = || {
        fixture
            .http
            .post(format!(
                "{}/api/v4/projects/1/pipeline",
                fixture.gitlab.url()
            ))
            .header("PRIVATE-TOKEN", &fixture.token)
            .json(&body)
            .send()
    };
    faults.add(On::PipelineCreation, Times::Next(1), Fault::LoseResponse);
    assert!(send().await.is_err());
    assert_eq!(fixture.gitlab.pipelines(project).len(), 1);
    let busy = Fault::RateLimited { retry_after: 7 };
    faults.add(On::PipelineCreation, Times::Next(2), busy);
    for _ in 0..2 {
        let response = send().await.unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "7");
    }
    // Other requests of the project are not affected.
    faults.add(On::PipelineCreation, Times::Always, Fault::status(500));
    assert_eq!(fixture.get("/projects/1/pipelines").await.status(), 200);
    faults.clear();
    assert_eq!(send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn graphql_lists_and_creates_pipelines() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    let create = "mutation($input: PipelineCreateInput!) { pipelineCreate(input: $input) {
        clientMutationId errors pipeline { id status source jobs { nodes { name status } } } } }";
    let input = json!({ "input": {
        "projectPath": "g/a", "ref": "main", "clientMutationId": "7",
        "variables": [{ "key": "A", "value": "1", "variableType": "ENV_VAR" }],
    } });
    let created = fixture.data(create, input).await["pipelineCreate"].take();
    assert_eq!(created["clientMutationId"], "7");
    assert_eq!(created["errors"], json!([]));
    assert_eq!(created["pipeline"]["status"], "PENDING");
    assert_eq!(created["pipeline"]["jobs"]["nodes"][0]["name"], "build");
    let id = created["pipeline"]["id"].as_str().unwrap().to_owned();
    let input = json!({ "input": { "projectPath": "g/a", "ref": "none" } });
    let refused = fixture.data(create, input).await;
    assert_eq!(
        refused["pipelineCreate"],
        json!({ "clientMutationId": null, "errors": ["Reference not found"], "pipeline": null })
    );
    let second = fixture.pipeline(project);
    let query = "query($id: CiPipelineID) { project(fullPath: \"g/a\") {
        ciConfigPathOrDefault
        one: pipeline(id: $id) { iid ref sha path totalJobs cancelable retryable latest }
        pipelines(source: \"api\", ref: \"main\", first: 1) { count nodes { id stuck
            jobs(statuses: [PENDING]) { nodes { id name tags stage { name } } } } }
        other: pipelines(source: \"push\") { nodes { id } }
    } }";
    let found = fixture.data(query, json!({ "id": id })).await["project"].take();
    assert_eq!(found["ciConfigPathOrDefault"], ".gitlab-ci.yml");
    assert_eq!(found["one"]["latest"], false);
    assert_eq!(found["one"]["totalJobs"], 1);
    assert_eq!(found["one"]["cancelable"], true);
    assert_eq!(found["pipelines"]["count"], 2);
    let newest = &found["pipelines"]["nodes"][0];
    assert_eq!(
        newest["id"],
        format!("gid://gitlab/Ci::Pipeline/{}", second.0)
    );
    assert_eq!(newest["stuck"], true);
    assert_eq!(newest["jobs"]["nodes"][0]["stage"]["name"], "test");
    assert_eq!(found["other"]["nodes"], json!([]));
    let act = |name: &str| format!("mutation {{ {name}(input: {{id: \"{id}\"}}) {{ errors }} }}");
    for name in ["pipelineCancel", "pipelineRetry"] {
        let data = fixture.data(&act(name), json!({})).await;
        assert_eq!(data[name]["errors"], json!([]));
    }
    let first = &fixture.gitlab.pipelines(project)[0];
    assert_eq!(first.status, Status::Pending);
    assert_eq!(fixture.gitlab.jobs(first.id).len(), 2);
}

#[tokio::test]
async fn sends_webhook_for_each_step() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/a", ONE_JOB);
    // The receiver does not exist; only the sent requests count.
    let options = HookOptions {
        push_events: false,
        pipeline_events: true,
        job_events: true,
        url: "http://127.0.0.1:1/".to_owned(),
        ..HookOptions::default()
    };
    fixture.gitlab.webhooks().set_drop(true);
    fixture.gitlab.add_hook(HookScope::System, options).unwrap();
    let pipeline = fixture
        .gitlab
        .create_pipeline(project, "main", &[("A", "1")], &json!({}))
        .unwrap();
    let job = fixture.gitlab.take_job().unwrap().unwrap();
    fixture
        .gitlab
        .finish_job(job, Status::Success, None)
        .unwrap();
    let sent: Vec<(String, Value)> = fixture
        .gitlab
        .webhooks()
        .deliveries()
        .into_iter()
        .map(|delivery| {
            (
                delivery.event,
                serde_json::from_slice(&delivery.body).unwrap(),
            )
        })
        .collect();
    let of = |event: &'static str| sent.iter().filter(move |(kind, _)| kind == event);
    let pipelines: Vec<&str> = of("Pipeline Hook")
        .map(|(_, body)| body["object_attributes"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(pipelines, ["created", "pending", "running", "success"]);
    let jobs: Vec<&str> = of("Job Hook")
        .map(|(_, body)| body["build_status"].as_str().unwrap())
        .collect();
    assert_eq!(jobs, ["created", "pending", "running", "success"]);
    let (_, last) = of("Pipeline Hook").next_back().unwrap();
    let attributes = &last["object_attributes"];
    assert_eq!(attributes["id"], pipeline.0);
    assert_eq!(attributes["created_at"], "2026-01-01 00:00:00 UTC");
    assert_eq!(
        attributes["variables"],
        json!([{ "key": "A", "value": "1" }])
    );
    assert_eq!(last["builds"][0]["id"], job.0);
    let (_, last) = of("Job Hook").next_back().unwrap();
    assert_eq!(last["object_kind"], "build");
    assert_eq!(last["commit"]["id"], pipeline.0);
    assert_eq!(last["build_id"], job.0);
}

#[tokio::test]
async fn handles_many_pipelines_cheaply() {
    let fixture = Fixture::new().await;
    fixture.import(1_000);
    let template = fixture.gitlab.create_project("ci/templates").unwrap();
    let files: [(&str, Option<&[u8]>); 1] = [("build.yml", Some(TEMPLATE.as_bytes()))];
    fixture
        .gitlab
        .commit(template, "main", &files, "Begin")
        .unwrap();
    let before = processor_time();
    for number in 0..1_000 {
        let project = fixture
            .gitlab
            .project_id(&format!("pkgs/p{number}"))
            .unwrap();
        fixture
            .gitlab
            .set_ci_config_path(project, "build.yml@ci/templates")
            .unwrap();
        let inputs = json!({ "attempt": ATTEMPT });
        fixture
            .gitlab
            .create_pipeline(project, "main", &[], &inputs)
            .unwrap();
    }
    let query = "query($path: ID!) { project(fullPath: $path) {
        pipelines(first: 1, source: \"api\") { nodes { id status jobs { nodes { id status } } } } } }";
    for number in 0..100 {
        let variables = json!({ "path": format!("pkgs/p{number}") });
        let found = fixture.data(query, variables).await;
        let status = &found["project"]["pipelines"]["nodes"][0]["status"];
        assert_eq!(*status, "PENDING");
    }
    // Seconds, not minutes, even in a debug build on a busy machine.
    let took = processor_time() - before;
    assert!(took < 60.0, "{took} s");
}

/// Returns the processor time of this thread in seconds (proc(5), `utime` and `stime`).
fn processor_time() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs_err::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}
