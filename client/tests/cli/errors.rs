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
            // The default branch is meant, so only the token is missing.
            &["new", "libgreet"],
            "error: a token is needed",
            "hint: run `buildbtw login`, or set BUILDBTW_TOKEN",
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
            "hint: `buildbtw show space --all` lists its builds",
        ),
        (
            &["logs", "space", "libgret"],
            "error: namespace `space` has no build of `libgret`",
            "hint: did you mean `libgreet`? `buildbtw show space --all` lists its builds",
        ),
        (
            &["logs", "space"],
            "error: a source package is needed",
            "hint: `buildbtw logs space --failed` prints the logs of all failed builds",
        ),
        (
            &["logs", "space", "libgreet", "--grep", "("],
            "error: invalid value '(' for '--grep <REGEX>': `(` is not a regular expression: unclosed group",
            "hint: `buildbtw help COMMAND` describes the arguments",
        ),
        (
            &["list", "--json", "name,statsu"],
            "error: `buildbtw list` has no field `statsu`",
            "hint: `--json` without a value lists the fields",
        ),
        (
            &["list", "--json", "nmae"],
            "error: `buildbtw list` has no field `nmae`",
            "hint: did you mean `name`? `--json` without a value lists the fields",
        ),
        (
            &["list", "--json", "name,iteration.statsu"],
            "error: `buildbtw list` has no field `iteration.statsu`",
            "hint: did you mean `iteration.status`? `--json` without a value lists the fields",
        ),
        (
            &["workers", "--json", "load.weather"],
            "error: `buildbtw workers` has no field `load.weather`",
            "hint: `load` has the fields disk_free_bytes, disk_total_bytes, load",
        ),
        (
            &["list", "--json", "name.first"],
            "error: `buildbtw list` has no field `name.first`",
            "hint: `name` has no fields of its own; `--json` without a value lists the fields",
        ),
        (
            &["list", "--jq", ".[].name |"],
            "error: `.[].name |` is not a filter of jq: expected term at the end",
            "hint: jq(1) describes the language; for example '.[].name'",
        ),
        (
            &["list", "--jq", ".name"],
            "error: the filter of --jq failed: cannot index [...",
            "hint: `--json all` shows what the filter gets; `--json` without a value lists the fields",
        ),
        (
            &["completions", "bash", "--json=all"],
            "error: this command has no JSON output",
            "hint: leave out --json and --jq",
        ),
        (
            &["show", "space", "--arch", "riscv64", "--limit=1"],
            "error: namespace `space` is not built for riscv64",
            "hint: its architectures are x86_64",
        ),
        (
            &["delete", "space", &token],
            "error: `space` was not deleted: it cannot be confirmed without a terminal",
            "hint: `buildbtw delete space --yes` deletes it without confirmation",
        ),
        (
            &["diff", "space"],
            "error: there is no iteration before space/1",
            "hint: `buildbtw diff space OTHER` compares it with another namespace",
        ),
        (
            &["open", "space", "libgret", "--print"],
            "error: namespace `space` has no build of `libgret`",
            "hint: did you mean `libgreet`? `buildbtw show space --all` lists its builds",
        ),
        (
            &["logs", "space", "libgreet"],
            "error: `libgreet` has no log yet: it is ready but not dispatched",
            "hint: `--follow` waits for the log",
        ),
    ];
    for (args, error, hint) in cases {
        let ran = fails(&fake.url, args).await;
        let printed = ran.stderr.trim_end();
        match error.strip_suffix("...") {
            Some(start) => assert!(
                printed.starts_with(start) && printed.ends_with(hint),
                "{args:?}: {printed}"
            ),
            None => assert_eq!(printed, format!("{error}\n{hint}").trim_end(), "{args:?}"),
        }
        assert_eq!(printed.lines().count(), 2, "{args:?}: {printed}");
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
