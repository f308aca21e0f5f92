//! `workers` and `token list`: lists that fit the screen.

use serde_json::{Value, json};

use super::fake::{Fake, TOKEN, valid_tokens, worker};
use super::program::{CommandOutput, buildbtw, run};

/// Starts a server with a building worker `w1`, a drained one, and `more` others.
async fn start(more: usize) -> Fake {
    let fake = Fake::start(&["libgreet"]).await;
    fake.change(|inner| {
        let mut drained = worker("w2", "drained");
        drained["builds"] = json!([]);
        drained["drained_at"] = "2026-11-29T09:00:00Z".into();
        drained["drained_by"] = "cleo".into();
        drained["drain_reason"] = "new memory".into();
        inner.workers.push(drained);
        let more = (0..more).map(|number| worker(&format!("more{number}"), "idle"));
        inner.workers.extend(more);
    });
    fake
}

async fn ran(fake: &Fake, args: &[&str]) -> CommandOutput {
    let home = tempfile::tempdir().unwrap();
    let token = format!("--token={TOKEN}");
    let args = [args, &[token.as_str()]].concat();
    run(home.path(), &fake.url, &args).await
}

#[tokio::test]
async fn lists_workers_in_80_columns_with_the_reasons_of_drained_ones() {
    let (fake, home) = (start(0).await, tempfile::tempdir().unwrap());
    let mut command = buildbtw(home.path(), &fake.url, &["workers"]);
    let output = command.env("COLUMNS", "80").output().await.unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "WORKER  STATE     BUILDS  LOAD  MEMORY   DISK FREE  SEEN     TAGS\n\
         w1      building  1/2     2.2   8.0 GiB  10.0 GiB   3 h ago  big\n\
         w2      drained   0/2     2.2   8.0 GiB  10.0 GiB   3 h ago  big\n\
         w2 drained by cleo: new memory\n"
    );
}

#[tokio::test]
async fn shows_one_worker_and_suggests_names() {
    let fake = start(0).await;
    let shown = ran(&fake, &["workers", "w1"]).await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    for line in [
        "worker        w1\nstate         building\n",
        "\nversion       0.1.0\ncores         16\n",
        "\nbuilds        1 of 2\n  space libgreet x86_64  starting\n",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {}", shown.stdout);
    }
    let json = ran(&fake, &["workers", "w2", "--json=name,drained_by"]).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{ "name": "w2", "drained_by": "cleo" }])
    );
    let unknown = ran(&fake, &["workers", "w22"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (3, ""));
    assert_eq!(
        unknown.stderr,
        "error: worker `w22` not found\n\
         hint: did you mean `w2`? `buildbtw workers` lists all workers\n"
    );
}

#[tokio::test]
async fn lists_of_workers_and_tokens_fit_the_screen() {
    let fake = start(100).await;
    fake.change(|inner| inner.tokens = valid_tokens(50));
    for (command, total) in [(&["workers"][..], 102), (&["token", "list"], 50)] {
        let count = async |args: &[&str]| {
            let listed = ran(&fake, &[command, args].concat()).await;
            assert_eq!(listed.code, 0, "{}", listed.stderr);
            let rows = listed.stdout.lines().skip(1);
            let is_row = |line: &&str| !line.starts_with("and ") && !line.contains("drained by");
            (listed.stdout.lines().count(), rows.filter(is_row).count())
        };
        let (lines, rows) = count(&[]).await;
        assert!(lines < 24 && rows > 15, "{command:?}: {lines}, {rows}");
        assert_eq!(count(&["--limit", "3"]).await.1, 3);
        assert_eq!(count(&["--all"]).await.1, total);
    }
}
