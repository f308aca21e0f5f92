use super::*;
use buildbtw_gitlab::GitlabErrorKind;

const SECOND: Duration = Duration::from_secs(1);

fn gitlab(kind: GitlabErrorKind) -> Failure {
    Failure::Gitlab(GitlabError {
        request: "projects",
        about: "packages".into(),
        request_id: None,
        kind,
    })
}

fn outage(longest: Duration) -> Outage {
    let pauses = Pauses::growing(2 * SECOND, longest);
    Outage::new("no GitLab", pauses, &Clock::default())
}

#[test]
fn pauses_longer_after_each_failure_until_recovery() {
    let outage = outage(5 * SECOND);
    let pauses = [2, 4, 5, 5].map(|seconds| seconds * SECOND);
    assert_eq!(
        [(); 4].map(|()| outage.failed(&gitlab(GitlabErrorKind::Timeout))),
        pauses
    );
    let since = outage.current().unwrap().since;
    outage.failed(&gitlab(GitlabErrorKind::Timeout));
    assert_eq!(outage.current().unwrap().since, since);
    outage.recovered();
    assert_eq!(outage.current(), None);
    assert_eq!(outage.failed(&gitlab(GitlabErrorKind::Timeout)), 2 * SECOND);
}

#[test]
fn pauses_for_as_long_as_gitlab_asks() {
    let outage = outage(60 * SECOND);
    let paused = gitlab(GitlabErrorKind::Paused {
        status: 429,
        pause: Some(90 * SECOND),
    });
    assert_eq!(outage.failed(&paused), 90 * SECOND);
}

#[test]
fn causes_match_snapshot() {
    let failures = [
        gitlab(GitlabErrorKind::InvalidToken("401 Unauthorized".to_owned())),
        Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull)),
        Failure::ProjectsMissing {
            shown: 3,
            known: 700,
        },
        Failure::DiskReserve {
            free: 1 << 30,
            reserve: 5 << 30,
        },
    ];
    for failure in &failures {
        match failure {
            Failure::Gitlab(_)
            | Failure::Server(_)
            | Failure::ProjectsMissing { .. }
            | Failure::DiskReserve { .. } => {}
        }
    }
    let causes = failures.map(|failure| failure.explanation().to_string());
    let panicked = panic_message("index out of bounds");
    insta::assert_snapshot!(format!("{}\n\n{panicked}", causes.join("\n\n")));
}

#[test]
fn hides_local_failures_from_the_outage_of_gitlab() {
    let outage = outage(60 * SECOND);
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert_eq!(outage.failed(&Failure::from(full)), SECOND);
    assert!(outage.current().is_some());
    assert_eq!(outage.remote(), None);
    outage.failed(&gitlab(GitlabErrorKind::Timeout));
    assert!(outage.remote().unwrap().contains("timed out"));
}
