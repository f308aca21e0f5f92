//! Repeated `kill -9` of the server, half of the time exactly between "created at GitLab" and
//! "recorded here": no attempt ever has a second pipeline, and everything is built in the end.
//!
//! `just pipeline-kill-test KILLS [SEED]` repeats it more often.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use buildbtw_fake_gitlab::{Fault, On, Source, Times};
use buildbtw_model::api::{BuildDetail, BuildSummary, IterationDetail};
use buildbtw_model::{BuildStatus, IterationStatus, NamespaceName};
use buildbtw_tests::forge::GROUP;
use buildbtw_tests::{Forge, Runner, Server, pacman_upgrades, public_folder};

use super::kills::Random;

const PACKAGES: u64 = 8;
/// How long GitLab takes to respond to a finished creation.
const RESPONSE_TIME: Duration = Duration::from_millis(60);
/// If no pipeline is created for this long, the kill comes at any moment.
const PATIENCE: Duration = Duration::from_millis(400);

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect(name),
        Err(_) => default,
    }
}

fn push(forge: &Forge, package: u64, version: u64, random: &mut Random) {
    let depends: String = (0..package)
        .filter(|_| random.below(2) == 0)
        .chain(package.checked_sub(1))
        .map(|need| format!("\tdepends = p{need}\n"))
        .collect();
    let name = format!("p{package}");
    let srcinfo = format!(
        "pkgbase = {name}\n\tpkgver = {version}\n\tpkgrel = 1\n\tarch = x86_64\n{depends}\n\
         pkgname = {name}\n"
    );
    forge.push(&name, &srcinfo, "#\n");
}

/// Returns all pipelines that were created through the API, by their names.
fn pipelines(forge: &Forge) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for package in 0..PACKAGES {
        let project = forge.gitlab.project_id(&format!("{GROUP}/p{package}"));
        for pipeline in forge.gitlab.pipelines(project.unwrap()) {
            assert_eq!(pipeline.source, Source::Api);
            *names.entry(pipeline.name.unwrap()).or_default() += 1;
        }
    }
    names
}

/// Waits for the creation of a pipeline, or for a random moment if there is none.
fn wait_for_a_moment(forge: &Forge, random: &mut Random) {
    let until = Instant::now() + PATIENCE;
    let before = pipelines(forge).len();
    if random.below(2) == 0 {
        while Instant::now() < until && pipelines(forge).len() == before {
            std::thread::sleep(Duration::from_millis(1));
        }
    } else {
        let pause = random.below(u64::try_from(PATIENCE.as_millis()).unwrap());
        std::thread::sleep(Duration::from_millis(pause));
    }
}

/// Returns whether an iteration contains the last push.
fn builds_version(iteration: &IterationDetail, version: u64) -> bool {
    let wanted = format!("{version}-1");
    iteration
        .builds
        .iter()
        .any(|build| build.pkgbase.as_str() == "p0" && build.version.as_str() == wanted)
}

async fn attempts_of_failed(server: &Server, builds: &[BuildSummary]) -> Vec<BuildDetail> {
    let mut details = Vec::new();
    for build in builds {
        if build.status == BuildStatus::Failed {
            details.push(server.client().build(build.id).await.unwrap());
        }
    }
    details
}

#[test]
fn creates_no_pipeline_twice() {
    let (kills, seed) = (number("KILLS", 20), number("SEED", 5));
    println!("{kills} kills with seed {seed}");
    let mut random = Random(seed);
    let folder = public_folder();
    let forge = Forge::that_builds(folder.path());
    for package in 0..PACKAGES {
        push(&forge, package, 1, &mut random);
    }
    let mut server = Server::start_with_frequent_polls(folder.path(), &forge);
    server.wait_until_logged("finished a full resync");
    forge.hook(&server.url());
    let slow = Fault::SlowResponse(RESPONSE_TIME);
    forge
        .gitlab
        .faults()
        .add(On::PipelineCreation, Times::Always, slow);
    let _runner = Runner::simulated(&forge, &server, folder.path(), 3);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let name: NamespaceName = "bump".parse().unwrap();
    let request = serde_json::from_value(serde_json::json!({
        "changesets": ["p0/main"], "name": name,
    }));
    let created = server.client();
    let created = created.create_namespace(request.as_ref().unwrap());
    runtime.block_on(created).unwrap();
    let newest = |server: &Server| {
        runtime
            .block_on(server.client().iteration(&name, None))
            .unwrap()
    };
    let mut version = 1;
    for _ in 0..kills {
        wait_for_a_moment(&forge, &mut random);
        server.kill_hard();
        server.start_again();
        if newest(&server).summary.status.is_final() {
            version += 1;
            push(&forge, 0, version, &mut random);
        }
    }
    // The end of the remaining builds, without kills.
    let done = runtime.block_on(async {
        let client = server.client();
        loop {
            let events = client.events(&name, None);
            let mut events = events.await.unwrap();
            let iteration = client.iteration(&name, None).await.unwrap();
            // An iteration that a later push superseded ends immediately, and the next replaces it.
            if iteration.summary.status.is_final() && builds_version(&iteration, version) {
                break iteration;
            }
            while let Some(event) = events.next().await.unwrap() {
                if event.kind.is_about_iteration() {
                    break;
                }
            }
        }
    });
    assert_eq!(
        done.summary.status,
        IterationStatus::Done,
        "{:#?}",
        runtime.block_on(attempts_of_failed(&server, &done.builds))
    );
    let has_packages = |status: BuildStatus| status.has_packages();
    assert!(done.builds.iter().all(|build| has_packages(build.status)));
    let twice: Vec<_> = pipelines(&forge)
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .collect();
    assert_eq!(twice, [], "pipelines that were created twice");
    pacman_upgrades(folder.path(), &server, "bump");
    println!(
        "{} pipelines, {} iterations, {kills} kills",
        pipelines(&forge).len(),
        done.summary.number
    );
}
