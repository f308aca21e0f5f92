//! When rebuilds are expected to end.

use super::fake::{Fake, TOKEN};
use super::program::run;

/// Returns the line of a command that begins with a word, after three builds are expected to end at these times, and
/// the durations of some are unknown.
async fn line(args: &[&str], word: &str, times: [Option<&str>; 3], unknown: u64) -> String {
    let (fake, home) = (
        Fake::start(&["a", "b", "c"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.change(|inner| {
        let summary = &mut inner.iteration.summary;
        let times = times.map(|time| time.map(|time| time.parse().unwrap()));
        [summary.eta_from, summary.eta, summary.eta_to] = times;
        summary.unknown_durations = unknown;
    });
    let token = format!("--token={TOKEN}");
    let args: Vec<&str> = args.iter().copied().chain([token.as_str()]).collect();
    let ran = run(home.path(), &fake.url, &args).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut lines = ran.stdout.lines();
    let line = lines.find(|line| line.starts_with(word));
    line.unwrap_or_default().trim_end().to_owned()
}

const AFTERNOON: [Option<&str>; 3] = [
    Some("2099-12-01T14:01:00Z"),
    Some("2099-12-01T14:31:00Z"),
    Some("2099-12-01T15:29:00Z"),
];

#[tokio::test]
async fn shows_the_expected_end_as_a_range() {
    let shown = line(&["show", "space"], "ETA", AFTERNOON, 0).await;
    assert_eq!(shown, "ETA         2099-12-01 14:00 to 15:30");
    let status = line(&["status"], "space", AFTERNOON, 0).await;
    assert!(status.ends_with("2099-12-01 14:00 to 15:30"), "{status}");
}

#[tokio::test]
async fn says_which_durations_are_unknown() {
    let shown = line(&["show", "space"], "ETA", AFTERNOON, 2).await;
    let expected = "ETA         2099-12-01 14:00 to 15:30 (2 of 3 durations unknown)";
    assert_eq!(shown, expected);
    let shown = line(&["show", "space"], "ETA", [None; 3], 3).await;
    assert_eq!(shown, "ETA         unknown (3 of 3 durations unknown)");
    let status = line(&["status"], "space", [None; 3], 3).await;
    assert!(status.ends_with("unknown"), "{status}");
    // Nothing is expected without workers.
    assert_eq!(line(&["show", "space"], "ETA", [None; 3], 0).await, "");
}
