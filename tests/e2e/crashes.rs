//! `kill -9` during a rebuild: it continues, and no finished build runs again.

use buildbtw_model::api::Event;
use buildbtw_model::client::Client;
use buildbtw_model::{
    AttemptStatus, BuildStatus, EventId, EventKind, IterationStatus, NamespaceName,
};

use buildbtw_tests::{Server, Sources, Worker, cli, pacman_upgrades, printed};

/// Waits for the next event of this kind, from the first event of the namespace on.
async fn wait_for_event(client: &Client, namespace: &NamespaceName, kind: &str) -> Event {
    let kind = EventKind::from(kind);
    let mut events = client.events(namespace, Some(EventId(0))).await.unwrap();
    loop {
        let event = events
            .next()
            .await
            .unwrap()
            .expect("the stream continues while the server runs");
        if event.kind == kind {
            return event;
        }
    }
}

/// Checks the invariants at the end, however the processes died: every build has packages, from exactly one
/// successful attempt.
async fn assert_nothing_built_twice(client: &Client, namespace: &NamespaceName) {
    let iteration = client.iteration(namespace, None).await.unwrap();
    assert_eq!(iteration.summary.status, IterationStatus::Done);
    for build in &iteration.builds {
        let detail = client.build(build.id).await.unwrap();
        assert_eq!(build.status, BuildStatus::Built, "{}", build.pkgbase);
        let succeeded = detail.attempts.iter();
        let succeeded = succeeded
            .filter(|attempt| attempt.status == AttemptStatus::Succeeded)
            .count();
        assert_eq!(succeeded, 1, "{}: {:#?}", build.pkgbase, detail.attempts);
        assert!(!detail.packages.is_empty(), "{}", build.pkgbase);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn killing_the_server_mid_build_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_chain(folder.path(), 4);
    let mut server = Server::start(folder.path(), &sources);
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), 1, "0.5");
    let namespace: NamespaceName = "chain".parse().unwrap();
    let output = cli(&server, &["new", "p0/main", "--name", "chain"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    runtime().block_on(async {
        let client = server.client();
        wait_for_event(&client, &namespace, "build.built").await;
        let before = client.iteration(&namespace, None).await.unwrap();
        server.kill_hard();
        server.start_again();

        let output = cli(&server, &["watch", "chain"]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        assert_nothing_built_twice(&client, &namespace).await;
        // Builds from before the crash kept their attempts.
        let after = client.iteration(&namespace, None).await.unwrap();
        for build in before
            .builds
            .iter()
            .filter(|build| build.status == BuildStatus::Built)
        {
            let same = after
                .builds
                .iter()
                .find(|other| other.id == build.id)
                .unwrap();
            assert_eq!(
                same.attempt, build.attempt,
                "{} was built again",
                build.pkgbase
            );
        }
        // The worker survived, so even the build that ran meanwhile needed no second attempt.
        for build in &after.builds {
            let attempts = client.build(build.id).await.unwrap().attempts.len();
            assert_eq!(attempts, 1, "{}", build.pkgbase);
        }
    });
    pacman_upgrades(folder.path(), &server, "chain");
}

#[test]
fn restarted_worker_releases_its_build_immediately() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_chain(folder.path(), 1);
    // A lease that does not expire within this test.
    let server = Server::start_with_lease(folder.path(), &sources, 3600);
    let scratch = folder.path().join("scratch");
    let first = Worker::simulated(&server, &scratch, 1, "3600");
    let namespace: NamespaceName = "chain".parse().unwrap();
    let output = cli(&server, &["new", "p0/main", "--name", "chain"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    runtime().block_on(async {
        let client = server.client();
        wait_for_event(&client, &namespace, "build.building").await;
        first.process.kill_hard();
        let _again = Worker::simulated(&server, &scratch, 1, "0");
        let output = cli(&server, &["watch", "chain"]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        assert_nothing_built_twice(&client, &namespace).await;
    });
    pacman_upgrades(folder.path(), &server, "chain");
}
