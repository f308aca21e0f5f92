//! Two thousand workers report at the same moment, each of them twice.

use std::sync::Arc;

use buildbtw_model::api::Outcome;
use buildbtw_model::client::Client;
use buildbtw_model::{
    AttemptId, AttemptStatus, BuildStatus, EventId, EventKind, IterationStatus, NamespaceName,
};
use buildbtw_tests::worker_pool::{Packages, claim, create, done, persist, report};
use buildbtw_tests::{Server, Sources, pacman_upgrades_some};
use tokio::sync::Barrier;

const REPORTS: usize = 2_000;
/// For this many builds pacman has the packages in an old version. Creating them takes time.
const INSTALLED: usize = 20;

async fn report_outcome(client: &Client, attempt: AttemptId, outcome: &Outcome) -> AttemptStatus {
    let accepted = persist(|| client.report_outcome(attempt, outcome));
    accepted.await.status
}

#[test]
fn keeps_all_concurrent_and_repeated_reports() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    sources.write_graph((0..=REPORTS).map(|number| match number {
        0 => Vec::new(),
        _ => vec![0],
    }));
    let server = Server::start_for_many_clients(folder.path(), &sources, 600);
    let packages = Arc::new(Packages::new(folder.path()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = server.client();
        create(&client, "p0/main", "all").await;
        let first = claim(&client, "first", 50).await.unwrap();
        let uploaded = packages.upload(&client, &first).await;
        report(&client, &first, uploaded).await;

        let all_are_ready = Arc::new(Barrier::new(REPORTS));
        // Limits the connections of this process.
        let uploading = Arc::new(tokio::sync::Semaphore::new(64));
        let workers: Vec<_> = (0..REPORTS)
            .map(|number| {
                let (client, packages) = (client.clone(), Arc::clone(&packages));
                let (ready, uploading) = (Arc::clone(&all_are_ready), Arc::clone(&uploading));
                tokio::spawn(async move {
                    let permit = uploading.acquire().await.unwrap();
                    let name = format!("worker{number}");
                    let build = claim(&client, &name, 50).await.unwrap();
                    let packages = packages.upload(&client, &build).await;
                    drop(permit);
                    ready.wait().await;
                    let outcome = Outcome::Succeeded { packages };
                    let (one, two) = tokio::join!(
                        report_outcome(&client, build.attempt, &outcome),
                        report_outcome(&client, build.attempt, &outcome)
                    );
                    (one, two)
                })
            })
            .collect();
        for worker in workers {
            let responses = worker.await.unwrap();
            assert_eq!(
                responses,
                (AttemptStatus::Succeeded, AttemptStatus::Succeeded)
            );
        }
        done(&client, "all").await;
        let name: NamespaceName = "all".parse().unwrap();
        let iteration = client.iteration(&name, None).await.unwrap();
        assert_eq!(iteration.summary.status, IterationStatus::Done);
        assert_eq!(iteration.builds.len(), REPORTS + 1);
        for build in &iteration.builds {
            assert_eq!(build.status, BuildStatus::Built, "{}", build.pkgbase);
        }
        // One event for each, however often it was reported.
        let mut events = client.events(&name, Some(EventId(0))).await.unwrap();
        let mut built = 0;
        while let Some(event) = events.next().await.unwrap() {
            built += usize::from(event.kind.build_status() == Some(BuildStatus::Built));
            if event.kind == EventKind::Iteration(IterationStatus::Done) {
                break;
            }
        }
        assert_eq!(built, REPORTS + 1);
    });
    pacman_upgrades_some(folder.path(), &server, "all", INSTALLED);
}
