//! Commands about who did what, priorities and workers.

use super::fake::{Fake, TOKEN};
use super::program::{CommandOutput, run};

async fn ran(args: &[&str]) -> CommandOutput {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let token = format!("--token={TOKEN}");
    let args: Vec<&str> = args.iter().copied().chain([token.as_str()]).collect();
    run(home.path(), &fake.url, &args).await
}

#[tokio::test]
async fn lists_own_namespaces_by_the_name_of_the_token() {
    let listed = ran(&["list", "--mine"]).await;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains("space"), "{}", listed.stdout);
}

#[tokio::test]
async fn lists_activities_with_their_actors() {
    let all = ran(&["activity"]).await;
    let lines: Vec<&str> = all.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", all.stdout);
    for (line, words) in lines[1..].iter().zip([
        ["tester", "deleted", "old"],
        ["server", "done", "space 1"],
        ["tester", "drained", "worker w1"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    let own = ran(&["activity", "--mine"]).await;
    assert_eq!(own.stdout.lines().count(), 3, "{}", own.stdout);
    let others = ran(&["activity", "--by", "cleo"]).await;
    assert_eq!((others.code, others.stdout.as_str()), (0, ""));
    let expected = "nothing that happened matches these options\n";
    assert_eq!(others.stderr, expected);
}

#[tokio::test]
async fn drains_a_worker_and_says_what_it_finishes() {
    let drained = ran(&["worker", "drain", "w1", "-m", "new memory"]).await;
    let expected = "drained w1; it finishes 1 build and gets no new ones\n";
    assert_eq!((drained.code, drained.stdout.as_str()), (0, expected));
    let unknown = ran(&["worker", "drain", "nosuch"]).await;
    assert_eq!(unknown.code, 3);
    assert!(
        unknown.stderr.contains("worker `nosuch` not found"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn changes_priorities_and_refuses_unknown_ones() {
    let changed = ran(&["prioritize", "space", "high"]).await;
    assert!(
        changed.stdout.contains("space has the priority high"),
        "{}",
        changed.stdout
    );
    let unknown = ran(&["prioritize", "space", "highest"]).await;
    assert_eq!(unknown.code, 3);
    let expected = "expected one of: low normal high urgent";
    assert!(unknown.stderr.contains(expected), "{}", unknown.stderr);
}
