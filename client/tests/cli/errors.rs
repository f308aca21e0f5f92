//! Errors are one line with a hint, and exit code 3.

use super::fake::{Fake, TOKEN};
use super::program::{CommandOutput, run};

async fn fails(server: &str, args: &[&str]) -> CommandOutput {
    let home = tempfile::tempdir().unwrap();
    let ran = run(home.path(), server, args).await;
    assert_eq!(ran.code, 3, "{args:?}: {}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "{args:?}");
    ran
}

#[tokio::test]
async fn prints_errors_with_cause_and_hint() {
    let fake = Fake::start(&["libgreet"]).await;
    let token = format!("--token={TOKEN}");
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["new", "libgreet/main"],
            "error: a token is needed",
            "hint: run `buildbtw login`, or set BUILDBTW_TOKEN",
        ),
        (
            &["new", "libgreet/main", "--token=old"],
            "error: a token is needed",
            "hint: run `buildbtw login` with a valid token; an admin creates one with `buildbtw token create`",
        ),
        (
            &["new", "libgreet/main", "--name=taken", &token],
            "error: taken is taken",
            "hint: choose another name with --name",
        ),
        (
            &["new", "libgreet"],
            "error: invalid value 'libgreet' for '<PKGBASE/REF|URL>...': `libgreet` is not a \
             changeset: expected pkgbase/git-ref, for example libgreet/main",
            "hint: `buildbtw help COMMAND` describes the arguments",
        ),
        (
            &["build", "--packager=Unknown Packager"],
            "error: invalid value 'Unknown Packager' for '--packager <NAME <MAIL>>': `Unknown Packager` is \
             not a valid packager: expected a name and a mail address, such as \
             `Jane Doe <jane@example.org>`, of at most 255 bytes",
            "hint: `buildbtw help COMMAND` describes the arguments",
        ),
        (
            &["show", "nowhere"],
            "error: namespace `nowhere` not found",
            "hint: choose one of the others",
        ),
        (
            &["watch", "nowhere"],
            "error: namespace `nowhere` not found",
            "hint: choose one of the others",
        ),
        (
            &["logs", "space", "coffee"],
            "error: namespace `space` has no build of `coffee`",
            "hint: `buildbtw show space` lists its builds",
        ),
        (
            &["logs", "space", "libgreet"],
            "error: `libgreet` has no log yet: it is ready but not dispatched",
            "hint: `--follow` waits for the log",
        ),
    ];
    for (args, error, hint) in cases {
        let ran = fails(&fake.url, args).await;
        let lines = format!("{error}\n{hint}");
        assert_eq!(ran.stderr.trim_end(), lines.trim_end(), "{args:?}");
    }
}

#[tokio::test]
async fn names_unreachable_server() {
    let ran = fails("http://127.0.0.1:1", &["list"]).await;
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(
        lines[0].starts_with("error: cannot reach the server at http://127.0.0.1:1: "),
        "{lines:?}"
    );
    assert!(lines[1].contains("BUILDBTW_SERVER"), "{lines:?}");
    assert_eq!(lines.len(), 2);
    let ran = fails("localhost", &["list"]).await;
    assert!(ran.stderr.contains("is not a server URL"), "{}", ran.stderr);
}

#[tokio::test]
async fn exits_with_error_for_wrong_usage_but_not_for_help() {
    let server = "http://127.0.0.1:1";
    for args in [
        &["frobnicate"][..],
        &["new"],
        &["show"],
        &["list", "--colour"],
    ] {
        let ran = fails(server, args).await;
        assert!(ran.stderr.contains("Usage:"), "{}", ran.stderr);
    }
    let home = tempfile::tempdir().unwrap();
    let ran = run(home.path(), server, &["--help"]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("Exit codes"), "{}", ran.stdout);
}
