//! The cost of building with GitLab: the overhead of a job, and the work of following a thousand pipelines. Prints
//! figures; asserts nothing about time.
//!
//! Server and executor are processes of their own; the stand-ins for GitLab and its runner share another one with this.
//! `just bench` compiles the programs first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "panics abort the benchmark; it prints its figures"
)]

use std::time::{Duration, Instant};

use buildbtw_fake_gitlab::{ImportedText, JobId, PipelineId};
use buildbtw_fake_runner::{FakeRunner, RunnerConfig};
use buildbtw_tests::forge::GROUP;
use buildbtw_tests::{Forge, Server, program};
use tokio::runtime::Runtime;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    overhead(15);
    following(1_000);
}

fn srcinfo(pkgbase: &str) -> String {
    format!(
        "pkgbase = {pkgbase}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = {pkgbase}\n"
    )
}

/// Returns a stand-in for GitLab that builds the packages `p0`, `p1` …, and a server that has read them.
fn start(folder: &std::path::Path, packages: usize, more: &[&str]) -> (Forge, Server) {
    let forge = Forge::that_builds(folder);
    let texts = (0..packages).map(|number| {
        let pkgbase = format!("p{number}");
        ImportedText {
            srcinfo: srcinfo(&pkgbase).into_bytes(),
            pkgbase,
        }
    });
    forge.gitlab.import_texts(texts, GROUP).unwrap();
    forge.build_all((0..packages).map(|number| format!("p{number}")));
    let mut server = Server::start_with_gitlab_and(folder, &forge, more);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    (forge, server)
}

/// Requests builds of all packages, which do not depend on each other.
fn build_all(runtime: &Runtime, server: &Server, packages: usize) {
    let changesets: Vec<String> = (0..packages)
        .map(|number| format!("p{number}/main"))
        .collect();
    let request = serde_json::from_value(serde_json::json!({
        "changesets": changesets, "scope": "origin", "name": "bench", "max_builds": packages,
    }));
    let client = server.client();
    let created = client.create_namespace(request.as_ref().unwrap());
    runtime.block_on(created).unwrap();
}

/// Measures every run of the executor for a job, with a builder that takes no time.
fn overhead(jobs: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (forge, server) = start(folder.path(), jobs, &[]);
    let config = folder.path().join("executor.toml");
    let helper = folder.path().join("gitlab-runner");
    std::os::unix::fs::symlink(program("fake-runner"), &helper).unwrap();
    let settings = format!(
        "server = {:?}\nstate_dir = {:?}\nname = \"bench\"\narchitectures = [\"x86_64\"]\n\
         gitlab_runner = {helper:?}\nbuilder = {{ simulated = {{ seconds = 0 }} }}\n",
        server.url(),
        folder.path().join("executor"),
    );
    std::fs::write(&config, settings).unwrap();
    let runtime = Runtime::new().unwrap();
    let runner = runtime.block_on(async {
        let token = forge.runner_token.clone().unwrap();
        let executor = program("buildbtw-executor");
        let builds = folder.path().join("builds");
        let path = config.display().to_string();
        FakeRunner::start(RunnerConfig {
            env: vec![("BUILDBTW_EXECUTOR_CONFIG".to_owned(), path)],
            helper: Some(program("fake-runner")),
            poll_interval: Duration::from_millis(20),
            trace_interval: Some(Duration::from_millis(200)),
            ..RunnerConfig::new(forge.gitlab.url(), token, executor, builds)
        })
        .unwrap()
    });
    build_all(&runtime, &server, jobs);
    let ids = all_jobs(&forge, jobs);
    let mut totals = Vec::new();
    for id in ids {
        runtime.block_on(runner.wait_for_job(id.0));
        let calls = runner.calls().into_iter().filter(|call| call.job == id.0);
        let took = calls.map(|call| (call.what.name().to_owned(), call.took.unwrap()));
        totals.push(took.collect::<Vec<_>>());
    }
    let sum =
        |calls: &Vec<(String, Duration)>| calls.iter().map(|(_, took)| *took).sum::<Duration>();
    totals.sort_by_key(sum);
    let median = &totals[totals.len() / 2];
    println!(
        "executor, all stages of a job     {:.0?} median",
        sum(median)
    );
    for (name, took) in median {
        println!("    {name:<28}  {took:.1?}");
    }
    runtime.block_on(runner.stop());
}

/// Returns the jobs of all packages, once they all exist.
fn all_jobs(forge: &Forge, packages: usize) -> Vec<JobId> {
    loop {
        let jobs: Vec<JobId> = (0..packages)
            .flat_map(|number| {
                let project = forge.gitlab.project_id(&format!("{GROUP}/p{number}"));
                forge.gitlab.pipelines(project.unwrap())
            })
            .flat_map(|pipeline| job(forge, pipeline.id))
            .collect();
        if jobs.len() >= packages {
            return jobs;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn job(forge: &Forge, pipeline: PipelineId) -> Option<JobId> {
    forge.gitlab.jobs(pipeline).first().map(|job| job.id)
}

/// Measures the work of following running pipelines to which nothing happens.
fn following(pipelines: usize) {
    const WATCHED: Duration = Duration::from_secs(60);
    let folder = tempfile::tempdir().unwrap();
    let fast = ["--gitlab-pipelines-per-minute=60000"];
    let (forge, server) = start(folder.path(), pipelines, &fast);
    let runtime = Runtime::new().unwrap();
    let started = Instant::now();
    build_all(&runtime, &server, pipelines);
    let jobs = all_jobs(&forge, pipelines);
    println!(
        "{pipelines} pipelines created          {:.1?}",
        started.elapsed()
    );
    for job in jobs {
        forge.gitlab.begin_job(job).unwrap();
    }
    // Their webhooks have been processed by then.
    std::thread::sleep(Duration::from_secs(20));
    forge.gitlab.clear_requests();
    let before = server.processor_time();
    std::thread::sleep(WATCHED);
    let used = server.processor_time().saturating_sub(before);
    println!(
        "{pipelines} pipelines followed         {:.2} % of a core, {} requests in {:?}, {} MiB of memory",
        100.0 * used.as_secs_f64() / WATCHED.as_secs_f64(),
        forge.gitlab.requests().len(),
        WATCHED,
        server.memory_kib() / 1024,
    );
}
