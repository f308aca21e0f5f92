//! New commits lead to new iterations; unchanged builds are reused, also between namespaces.

use buildbtw_model::api::IterationDetail;
use buildbtw_model::client::Client;
use buildbtw_model::{BuildStatus, EventId, IterationStatus, NamespaceName};
use buildbtw_tests::{Package, Server, Sources, Worker, cli, pacman_upgrades, printed};

/// Waits until the iteration of this number is done.
pub(crate) async fn wait_until_done(
    client: &Client,
    name: &NamespaceName,
    number: u32,
) -> IterationDetail {
    let mut events = client.events(name, Some(EventId(0))).await.unwrap();
    loop {
        let event = events
            .next()
            .await
            .unwrap()
            .expect("the stream continues while the server runs");
        if event.iteration == Some(number) && event.kind.is_about_iteration() {
            let iteration = client.iteration(name, Some(number)).await.unwrap();
            if iteration.summary.status.is_final() {
                assert_eq!(
                    iteration.summary.status,
                    IterationStatus::Done,
                    "{iteration:#?}"
                );
                return iteration;
            }
        }
    }
}

pub(crate) fn status(iteration: &IterationDetail, pkgbase: &str) -> BuildStatus {
    let build = iteration
        .builds
        .iter()
        .find(|build| build.pkgbase.as_str() == pkgbase);
    build
        .unwrap_or_else(|| panic!("{pkgbase} is not in {iteration:#?}"))
        .status
}

#[test]
fn push_to_an_origin_rebuilds_only_what_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 2, "0");
    let output = cli(
        &server,
        &[
            "new",
            "libfoo/main",
            "other/main",
            "--name",
            "set",
            "--follow",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (client, name) = (server.client(), "set".parse().unwrap());
        sources.commit(&Package {
            pkgbase: "other",
            pkgver: "2",
            base: &[],
            packages: &[],
        });
        let second = wait_until_done(&client, &name, 2).await;
        assert_eq!(status(&second, "other"), BuildStatus::Built);
        for reused in ["libfoo", "left", "right", "top"] {
            assert_eq!(status(&second, reused), BuildStatus::Reused, "{reused}");
        }
        assert!(
            second.summary.reason.contains("other/main moved to"),
            "{}",
            second.summary.reason
        );
        let changed: Vec<_> = second
            .changes
            .iter()
            .map(|change| change.pkgbase.as_str())
            .collect();
        assert_eq!(changed, ["other"]);
        let first = client.iteration(&name, Some(1)).await.unwrap();
        assert_eq!(first.summary.superseded_by, Some(2));
    });

    // Another namespace with the same inputs has nothing to build.
    let output = cli(
        &server,
        &["new", "libfoo/main", "--name", "again", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "set");
    pacman_upgrades(folder.path(), &server, "again");
    let output = cli(&server, &["show", "again"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        text.matches("reused from namespace set").count(),
        4,
        "{text}"
    );
}

#[test]
fn gathers_and_plans_changes_of_default_branches() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 2, "0");
    let arguments = [
        "new",
        "libfoo/main",
        "--name",
        "set",
        "--follow-default",
        "1s",
        "--follow",
    ];
    let output = cli(&server, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (client, name) = (server.client(), "set".parse().unwrap());
        let left = Package {
            pkgbase: "left",
            pkgver: "2",
            base: &["depends = libfoo"],
            packages: &[],
        };
        sources.commit(&left);
        let second = wait_until_done(&client, &name, 2).await;
        // Its dependents are built against the new version; other packages are reused.
        assert_eq!(status(&second, "left"), BuildStatus::Built);
        assert_eq!(status(&second, "top"), BuildStatus::Built);
        assert_eq!(status(&second, "libfoo"), BuildStatus::Reused);
        assert_eq!(status(&second, "right"), BuildStatus::Reused);
        let top = second
            .builds
            .iter()
            .find(|build| build.pkgbase.as_str() == "top")
            .unwrap();
        assert_eq!(
            top.version.as_str(),
            "1-1.2",
            "above the release of the first iteration"
        );
    });
    pacman_upgrades(folder.path(), &server, "set");
}

#[test]
fn new_iteration_command_creates_one_and_why_explains_it() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start(folder.path(), &sources);
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 2, "0");
    let output = cli(
        &server,
        &["new", "libfoo/main", "--name", "set", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let output = cli(&server, &["new-iteration", "set"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let output = cli(&server, &["watch", "set"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "set");

    let output = cli(&server, &["why", "set", "top"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("libfoo is an origin\nleft depends on libfoo\ntop depends on left"),
        "{text}"
    );

    let plan = cli(&server, &["plan", "libfoo/main", "--format", "json"]);
    let offline = cli(
        &server,
        &[
            "plan",
            "libfoo",
            "--srcinfo",
            sources.folder().to_str().unwrap(),
            "--format",
            "json",
        ],
    );
    let (plan, offline): (serde_json::Value, serde_json::Value) = (
        serde_json::from_slice(&plan.stdout).unwrap_or_else(|_| panic!("{}", printed(&plan))),
        serde_json::from_slice(&offline.stdout).unwrap_or_else(|_| panic!("{}", printed(&offline))),
    );
    let order = |plan: &serde_json::Value| -> Vec<String> {
        let builds = plan["builds"].as_array().unwrap().iter();
        builds
            .map(|build| build["pkgbase"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(order(&plan), ["libfoo", "left", "right", "top"]);
    assert_eq!(
        order(&plan),
        order(&offline),
        "the server plans with the same code"
    );
}

#[test]
fn does_not_restart_running_build_of_superseded_iteration() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    // A worker learns of a cancellation after a third of the lease.
    let server = Server::start_with_lease(folder.path(), &sources, 15);
    let output = cli(
        &server,
        &[
            "new",
            "libfoo/main",
            "other/main",
            "--name",
            "set",
            "--scope",
            "origin",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    // Long enough that the push is noticed in that time, even on a busy machine.
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 2, "15");

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (client, name) = (server.client(), "set".parse().unwrap());
        let mut events = client.events(&name, Some(EventId(0))).await.unwrap();
        let mut building = 0;
        while building < 2 {
            let event = events.next().await.unwrap().unwrap();
            building += usize::from(event.kind.build_status() == Some(BuildStatus::Building));
        }
        sources.commit(&Package {
            pkgbase: "other",
            pkgver: "2",
            base: &[],
            packages: &[],
        });
        let second = wait_until_done(&client, &name, 2).await;
        assert_eq!(status(&second, "libfoo"), BuildStatus::Reused);
        assert_eq!(status(&second, "other"), BuildStatus::Built);
        let first = client.iteration(&name, Some(1)).await.unwrap();
        assert_eq!(
            status(&first, "libfoo"),
            BuildStatus::Built,
            "its attempt continued"
        );
        assert_eq!(
            status(&first, "other"),
            BuildStatus::Cancelled,
            "its build is no longer needed"
        );
    });
    pacman_upgrades(folder.path(), &server, "set");
}
