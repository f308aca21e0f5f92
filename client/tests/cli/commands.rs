//! Output of commands.

use std::os::unix::fs::PermissionsExt as _;

use buildbtw_model::api::{PlanNote, TaskOutage};
use buildbtw_model::{BackgroundTask, BuildStatus, NoteKind};

use super::fake::{Fake, TOKEN};
use super::program::run;

#[tokio::test]
async fn login_verifies_saves_and_uses_token() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let file = home.path().join("token");
    let path = file.to_str().unwrap();
    fs_err::write(&file, "wrong\n").unwrap();
    let ran = run(home.path(), &fake.url, &["login", "--token-file", path]).await;
    assert_eq!(ran.code, 3);
    assert!(!home.path().join(".config").exists());
    fs_err::write(&file, format!("{TOKEN}\n")).unwrap();
    let ran = run(home.path(), &fake.url, &["login", "--token-file", path]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("\"tester\" (scope client)"),
        "{}",
        ran.stdout
    );
    let saved = home.path().join(".config/buildbtw/config.toml");
    assert_eq!(
        saved.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Both address and token are saved.
    let ran = run(home.path(), "", &["token", "list"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[tokio::test]
async fn writes_new_token_to_requested_file_only() {
    let (fake, home) = (Fake::start(&[]).await, tempfile::tempdir().unwrap());
    let token = format!("--token={TOKEN}");
    let create = ["token", "create", "--scope=worker", "--name=w", &token];
    let ran = run(home.path(), &fake.url, &create).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "bbtw_new\n"));
    assert!(ran.stderr.contains("shown only once"), "{}", ran.stderr);
    let file = home.path().join("token");
    let output = format!("--output={}", file.display());
    let args = [&create[..], &[&output]].concat();
    let ran = run(home.path(), &fake.url, &args).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(!ran.stderr.contains("bbtw_new"), "{}", ran.stderr);
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "bbtw_new\n");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // A second login does not replace the first.
    let ran = run(home.path(), &fake.url, &args).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("already exists"), "{}", ran.stderr);
}

#[tokio::test]
async fn prints_plain_tables_in_a_pipe_and_unmodified_json() {
    let (fake, home) = (
        Fake::start(&["libgreet", "party"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.build("libgreet", BuildStatus::Building, None);
    fake.build("libgreet", BuildStatus::Built, None);
    let ran = run(home.path(), &fake.url, &["list"]).await;
    assert_eq!(
        ran.stdout,
        "NAMESPACE  STATE    BUILT  FAILED  CREATED           BY      ORIGINS\n\
         space      running  1/2    0       2023-11-14 22:13  tester  libgreet/main\n"
    );
    let ran = run(home.path(), &fake.url, &["show", "space"]).await;
    let table = "PKGBASE   VERSION  STATE  DURATION  NOTE\n\
                 libgreet  2.0-1    built  1.0 s     -\n\
                 party     2.0-1    ready  -         party\n\n";
    assert!(ran.stdout.starts_with(table), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with("\nstate       running\n"),
        "{}",
        ran.stdout
    );
    let ran = run(
        home.path(),
        &fake.url,
        &["show", "space", "--json", "builds"],
    )
    .await;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["builds"][0]["status"], "built");
    let always = ["list", "--color=always"];
    let ran = run(home.path(), &fake.url, &always).await;
    assert!(ran.stdout.contains("\x1b["), "{:?}", ran.stdout);
}

#[tokio::test]
async fn list_warns_of_outages_if_the_token_may_read_them() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let token = format!("--token={TOKEN}");
    let ran = run(home.path(), &fake.url, &["list", &token]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    fake.change(|inner| {
        inner.outages.push(TaskOutage {
            task: BackgroundTask::Retention,
            title: "cannot remove old iterations".into(),
            message: "no space\n\x1b[31mleft".into(),
            hint: Some("free\nspace".into()),
            since: "2026-11-30T03:18:05Z".parse().unwrap(),
        });
    });
    let ran = run(home.path(), &fake.url, &["list", &token]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("\nspace "), "{}", ran.stdout);
    assert_eq!(
        ran.stderr,
        "warning: outage of the server since 2026-11-30 03:18: cannot remove old iterations: \
         no space  [31mleft\nhint: free space\n"
    );
    for args in [&["list"][..], &["list", "--token=wrong"]] {
        let ran = run(home.path(), &fake.url, args).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    }
}

#[tokio::test]
async fn retry_lists_newer_commits_and_builds_them_with_latest() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let token = format!("--token={TOKEN}");
    let ran = run(home.path(), &fake.url, &["retry", "space", &token]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("libgreet for x86_64 will be retried"),
        "{}",
        ran.stdout
    );
    for part in [
        "libgreet aaaaaaaaaa -> bbbbbbbbbb",
        "buildbtw retry space --latest",
        "buildbtw new-iteration space",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let ran = run(
        home.path(),
        &fake.url,
        &["retry", "space", "--latest", &token],
    )
    .await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let planned = "iteration 2 builds newer commits: libgreet aaaaaaaaaa -> bbbbbbbbbb";
    assert!(ran.stdout.contains(planned), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("libgreet for x86_64 will be built"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stderr.contains("will not be built"), "{}", ran.stderr);
    let ran = run(
        home.path(),
        &fake.url,
        &["retry", "space", "--json=all", &token],
    )
    .await;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["newer"][0]["pkgbase"], "libgreet");
    assert_eq!(json["is_new"], false);
}

#[tokio::test]
async fn completions_need_no_server() {
    let home = tempfile::tempdir().unwrap();
    let ran = run(home.path(), "", &["completions", "bash"]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("COMPLETE="), "{}", ran.stdout);
}

#[tokio::test]
async fn plans_source_tree_without_unusable_files() {
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("tree");
    let write = |name: &str, text: &str| {
        fs_err::create_dir_all(tree.join(name)).unwrap();
        fs_err::write(tree.join(name).join(".SRCINFO"), text).unwrap();
    };
    let package = |name: &str, more: &str| {
        format!(
            "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n{more}\npkgname = {name}\n"
        )
    };
    write("a", &package("a", ""));
    write("b", &format!("\u{feff}{}", package("b", "\tdepends = a\n")));
    write("nameless", "pkgver = 1\n");
    write("twice", &package("a", ""));
    fs_err::create_dir_all(tree.join("folder/.SRCINFO")).unwrap();
    fs_err::create_dir_all(tree.join("circle")).unwrap();
    fs_err::os::unix::fs::symlink(".SRCINFO", tree.join("circle/.SRCINFO")).unwrap();
    let tree = format!("--srcinfo={}", tree.display());
    let ran = run(home.path(), "", &["plan", &tree, "a", "--format=json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["builds"].as_array().unwrap().len(), 2);
    let problems = plan["problems"].as_array().unwrap();
    for name in ["nameless", "twice", "folder", "circle"] {
        let left_out = problems.iter().find(|problem| problem["pkgbase"] == name);
        assert_eq!(left_out.unwrap()["kind"], "left_out", "{problems:?}");
        assert!(
            ran.stderr.contains(&format!("/{name}/.SRCINFO`: ")),
            "{}",
            ran.stderr
        );
    }
}

#[tokio::test]
async fn plan_shows_bumped_releases_of_two_pkgbases_with_equal_version() {
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("tree");
    let write = |name: &str, packages: &str| {
        let text = format!(
            "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 3\n\tarch = any\n\tdepends = lib\n{packages}"
        );
        fs_err::create_dir_all(tree.join(name)).unwrap();
        fs_err::write(tree.join(name).join(".SRCINFO"), text).unwrap();
    };
    write("lib", "pkgname = lib\n");
    write("oldbase", "pkgname = oldbase\npkgname = moved\n");
    write("newbase", "pkgname = moved\n");
    let tree = format!("--srcinfo={}", tree.display());
    let ran = run(home.path(), "", &["plan", &tree, "lib"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for line in [
        "  newbase 1-3.2  after lib@1 (depends)\n",
        "  oldbase 1-3.1  after lib@1 (depends)\n",
        "  newbase: several source packages produce moved: newbase 1-3.2, oldbase 1-3.1; the \
         repository lists the highest version that is built, 1-3.2 of newbase\n",
    ] {
        assert!(
            ran.stdout.contains(line),
            "{line} is not in\n{}",
            ran.stdout
        );
    }
}

#[tokio::test]
async fn shows_log_of_original_attempt_for_reused_build() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let reused_from = |build: Option<i64>, deleted: bool, attempt: buildbtw_model::AttemptId| {
        serde_json::from_value(serde_json::json!({
            "attempt": attempt, "number": 2, "namespace": "other", "namespace_deleted": deleted,
            "iteration": 3, "build": build, "architecture": "x86_64", "stage": 1,
        }))
        .unwrap()
    };
    fake.build("libgreet", BuildStatus::Reused, None);
    fake.change(|inner| {
        inner.log.extend(b"it was built there\n");
        let attempt = inner.attempt.id;
        inner.iteration.builds[0].attempt = Some(attempt);
        inner.iteration.builds[0].reused_from = Some(reused_from(Some(7), false, attempt));
    });
    let logs = ["logs", "space", "libgreet"];
    let ran = run(home.path(), &fake.url, &logs).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "it was built there\n"));
    let page = format!("{}/builds/7", fake.url);
    assert!(
        ran.stderr.contains("reused") && ran.stderr.contains(&page),
        "{}",
        ran.stderr
    );
    let ran = run(home.path(), &fake.url, &["show", "space"]).await;
    let note = "reused from namespace other, iteration 3, attempt 2";
    assert!(ran.stdout.contains(note), "{}", ran.stdout);

    fake.change(|inner| {
        let attempt = inner.attempt.id;
        inner.iteration.builds[0].reused_from = Some(reused_from(None, true, attempt));
    });
    let ran = run(home.path(), &fake.url, &logs).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "it was built there\n"));
    let deleted = "namespace other (deleted), iteration 3, attempt 2";
    assert!(ran.stderr.contains(deleted), "{}", ran.stderr);
    let ran = run(home.path(), &fake.url, &["show", "space", "--json", "all"]).await;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let origin = &json["builds"][0]["reused_from"];
    assert_eq!(
        (&origin["namespace"], &origin["namespace_deleted"]),
        (&"other".into(), &true.into())
    );
}

#[tokio::test]
async fn new_lists_packages_left_out_of_the_plan() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let text = "1 source repository cannot be used and was left out: broken";
    fake.change(|inner| {
        inner.iteration.notes = vec![PlanNote {
            kind: NoteKind::Problem,
            text: text.into(),
        }];
    });
    let token = format!("--token={TOKEN}");
    let ran = run(home.path(), &fake.url, &["new", "libgreet/main", &token]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("problem: {text}\n")),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn new_prints_few_notes_and_counts_the_others() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.change(|inner| {
        let notes = (1..=40).map(|number| PlanNote {
            kind: NoteKind::Problem,
            text: format!("number {number}"),
        });
        inner.iteration.notes = notes.collect();
    });
    let token = format!("--token={TOKEN}");
    let ran = run(home.path(), &fake.url, &["new", "libgreet", &token]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("problem: ").count(), 3, "{}", ran.stderr);
    let more = "and 37 more notes (`buildbtw show space --all` prints them)\n";
    assert!(ran.stderr.contains(more), "{}", ran.stderr);
}
