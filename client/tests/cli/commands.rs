//! What commands print.

use std::os::unix::fs::PermissionsExt as _;

use buildbtw_model::BuildStatus;

use super::fake::{Fake, TOKEN};
use super::program::run;

#[tokio::test]
async fn a_login_is_checked_kept_and_used() {
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
    // Both address and token are remembered.
    let ran = run(home.path(), "", &["token", "list"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[tokio::test]
async fn a_new_token_goes_where_it_is_asked_for_and_nowhere_else() {
    let (fake, home) = (Fake::start(&[]).await, tempfile::tempdir().unwrap());
    let token = format!("--token={TOKEN}");
    let create = ["token", "create", "--scope=worker", "--name=w", &token];
    let ran = run(home.path(), &fake.url, &create).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "bbtw_new\n"));
    assert!(ran.stderr.contains("shown this once"), "{}", ran.stderr);
    let file = home.path().join("token");
    let output = format!("--output={}", file.display());
    let args = [&create[..], &[&output]].concat();
    let ran = run(home.path(), &fake.url, &args).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(!ran.stderr.contains("bbtw_new"), "{}", ran.stderr);
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "bbtw_new\n");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // A second one does not take the place of the first.
    let ran = run(home.path(), &fake.url, &args).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
}

#[tokio::test]
async fn tables_are_plain_in_a_pipe_and_json_is_what_the_server_sent() {
    let (fake, home) = (
        Fake::start(&["libgreet", "party"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.build("libgreet", BuildStatus::Building, None);
    fake.build("libgreet", BuildStatus::Built, None);
    let ran = run(home.path(), &fake.url, &["list"]).await;
    assert_eq!(
        ran.stdout,
        "NAMESPACE  STATUS   BUILT  FAILED  CREATED           CHANGESETS\n\
         space      running  1/2    0       2023-11-14 22:13  libgreet/main\n"
    );
    let ran = run(home.path(), &fake.url, &["show", "space"]).await;
    let table = "\nPKGBASE   VERSION  STATUS  TOOK   NOTE\n\
                 libgreet  2.0-1    built   1.0 s  -\n\
                 party     2.0-1    ready   -      party\n";
    assert!(ran.stdout.ends_with(table), "{}", ran.stdout);
    let ran = run(home.path(), &fake.url, &["show", "space", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["iteration"]["builds"][0]["status"], "built");
    let always = ["list", "--color=always"];
    let ran = run(home.path(), &fake.url, &always).await;
    assert!(ran.stdout.contains("\x1b["), "{:?}", ran.stdout);
}

#[tokio::test]
async fn completions_need_no_server() {
    let home = tempfile::tempdir().unwrap();
    let ran = run(home.path(), "", &["completions", "bash"]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("_buildbtw"), "{}", ran.stdout);
}
