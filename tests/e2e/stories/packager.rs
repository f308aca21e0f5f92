//! Wishes of packagers: change a rebuild, see who did what, find the cause of a failure.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use buildbtw_tests::{eventually, has_tool, pacman_upgrades, printed, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::site::{Site, commit, has};

/// "I forgot a package; do not let me start again, and keep the repository that my testers have."
#[test]
fn edit_keeps_the_repository_and_pacman_upgrades_from_it() {
    let site = Site::new(&["libgreet", "libwave"]);
    let _worker = site.worker("w", &[]);
    let admin = site.admin();
    admin.says(&["new", "libgreet", "--name", "one", "--follow"]);
    let filter = ".iteration.architectures[0].repository.pacman_conf";
    let repository = ["show", "one", "--jq", filter];
    let before = admin.says(&repository);
    has(&before, &["[one]", "/repo/one/latest/"]);
    let edited = admin.says(&["edit", "one", "--add", "libwave"]);
    has(&edited, &["one: iteration 2, "]);
    admin.says(&["watch", "one"]);
    assert_eq!(admin.says(&repository), before);
    let shown = admin.says(&["show", "one"]);
    let libgreet = shown.lines().find(|line| line.starts_with("libgreet"));
    has(libgreet.unwrap(), &["1-1", "reused"]);
    has(&shown, &["libwave/main", "2 of 2 built"]);
    pacman_upgrades(site.folder(), &site.server, "one");
}

/// "My rebuild is cancelled. Who was that? And where did it go?"
#[test]
fn says_who_created_cancelled_and_deleted_a_namespace() {
    let site = Site::new(&["libgreet"]);
    let (anna, ben) = (site.person("anna"), site.person("ben"));
    anna.says(&["new", "libgreet", "--name", "one"]);
    ben.says(&["cancel", "one"]);
    has(
        &anna.says(&["show", "one"]),
        &["by anna", "cancelled   by ben"],
    );
    has(&anna.says(&["list", "--mine"]), &["one ", "anna"]);
    let of_ben = ben.run(&["list", "--mine"]);
    assert!(!of_ben.stdout.contains("one"), "{}", of_ben.stdout);
    has(&of_ben.stderr, &["no namespaces of yours yet"]);
    ben.says(&["delete", "one", "--yes"]);
    let activity = anna.says(&["activity", "--namespace", "one"]);
    let deletion = activity.lines().find(|line| line.contains("deleted"));
    has(deletion.unwrap(), &["ben"]);
    let by_ben = anna.says(&["activity", "--by", "ben"]);
    has(&by_ben, &["cancelled", "deleted"]);
    assert!(!by_ben.contains("created"), "{by_ben}");
}

/// "What needs me, and what do I type next?"
#[test]
fn status_names_the_command_that_shows_the_failure() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    anna.says(&["new", "libgreet", "--name", "one"]);
    site.fails(&site.claims("libgreet"), "error: no header y.h");
    assert_eq!(anna.run(&["watch", "one"]).code, 1);
    let status = anna.says(&["status"]);
    let next = status.split("buildbtw ").nth(1).unwrap();
    let next: Vec<&str> = next.lines().next().unwrap().split_whitespace().collect();
    let next = next.get(..3).unwrap();
    assert_eq!(next, ["show", "one", "--failed"]);
    has(&anna.says(next), &["libgreet", "no header y.h"]);
    let log = anna.says(&["logs", "one", "--failed", "--grep", "error:"]);
    has(&log, &["==> libgreet 1-1", "error: no header y.h"]);
    assert!(!log.contains("compiling"), "{log}");
    let retried = anna.says(&["retry", "one"]);
    has(&retried, &["libgreet for x86_64 will be retried"]);
    site.succeeds(&site.claims("libgreet"));
    has(&anna.says(&["watch", "one"]), &["one done"]);
}

/// "What changed since the last iteration?"
#[test]
fn diff_shows_the_versions_that_a_push_changed() {
    let site = Site::start(&[], |sources| {
        commit(sources, "libgreet", "1", &[]);
        commit(sources, "greet", "1", &["depends = libgreet"]);
        commit(sources, "libwave", "1", &[]);
    });
    let _worker = site.worker("w", &[]);
    let anna = site.person("anna");
    anna.says(&["new", "libgreet", "libwave", "--name", "one", "--follow"]);
    commit(&site.sources, "libgreet", "2", &[]);
    eventually("the push leads to an iteration", || {
        let iterations = anna.says(&["show", "one", "--jq", ".iterations|length"]);
        (iterations.trim() == "2").then_some(())
    });
    anna.says(&["watch", "one"]);
    let changed = anna.says(&["diff", "one"]);
    let line = changed.lines().find(|line| line.starts_with("libgreet"));
    has(line.unwrap(), &["1-1", "2-1", "changed"]);
    let line = changed.lines().find(|line| line.starts_with("libwave"));
    has(line.unwrap(), &["state", "built", "reused"]);
    let last = changed.lines().last().unwrap();
    has(last, &["one/1 and one/2: 0 added, 0 removed"]);
}

/// "My script must know how a rebuild ended."
#[test]
fn exit_codes_tell_how_a_rebuild_ended() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    let code = |args: &[&str]| anna.run(args).code;
    anna.says(&["new", "libgreet", "--name", "one"]);
    let mut watch = anna.command(&["watch", "one"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(watch.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    has(&line, &["iteration 1: 1 build"]);
    let id = Pid::from_raw(watch.id().try_into().unwrap());
    kill(id, Signal::SIGINT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(130));

    anna.says(&["cancel", "one"]);
    assert_eq!(code(&["watch", "one"]), 2);
    anna.says(&["resume", "one"]);
    site.fails(&site.claims("libgreet"), "error: no");
    assert_eq!(code(&["watch", "one"]), 1);
    anna.says(&["retry", "one"]);
    site.succeeds(&site.claims("libgreet"));
    assert_eq!(code(&["watch", "one"]), 0);
    assert_eq!(code(&["watch", "two"]), 3);
}

/// "Open the page of this build for me."
#[test]
fn open_starts_the_browser_with_the_page_of_a_build() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    anna.says(&["new", "libgreet", "--name", "one"]);
    let (browser, opened) = (site.folder().join("browser"), site.folder().join("opened"));
    // Another process writes it: one of another test, forked while this one had it open, would keep it from being run.
    let write = "printf '#!/bin/sh\\nprintf \"%%s\\\\n\" \"$1\" > %s\\n' \"$2\" > \"$1\" && chmod +x \"$1\"";
    let written = Command::new("sh")
        .args(["-c", write, "sh"])
        .args([&browser, &opened])
        .status();
    assert!(written.unwrap().success());
    let output = anna
        .command(&["open", "one", "libgreet"])
        .env("BROWSER", &browser)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    let address = eventually("the browser is started", || {
        let text = std::fs::read_to_string(&opened).ok()?;
        text.ends_with('\n').then_some(text)
    });
    assert_eq!(address, String::from_utf8(output.stdout).unwrap());
    if has_tool("curl") {
        let page = Command::new("curl")
            .args(["--silent", "--fail", address.trim()])
            .output();
        let page = page.unwrap();
        assert!(page.status.success(), "{}", printed(&page));
        has(&String::from_utf8_lossy(&page.stdout), &["libgreet", "one"]);
    }
}

/// "I do not want to type the server each time."
#[test]
fn config_saves_the_server() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    let without_server = |args: &[&str]| {
        let mut command = anna.command(args);
        let output = command.env_remove("BUILDBTW_SERVER").output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    without_server(&["config", "set", "server", &site.server.url()]);
    let saved = without_server(&["config", "get", "server"]);
    assert_eq!(saved.trim(), site.server.url());
    has(&without_server(&["sources"]), &["libgreet"]);
    has(&without_server(&["config"]), &[site.server.url().as_str()]);
}

/// "Is there a manual?"
#[test]
fn every_command_has_a_page_that_man_can_show() {
    if !has_tool("man") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let written = Command::new(program("buildbtw-manual"))
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(written.status.success(), "{}", printed(&written));
    for (command, part) in [
        ("edit", "--remove"),
        ("prioritize", "urgent"),
        ("show", "--failed"),
    ] {
        let page = folder.path().join(format!("man/buildbtw-{command}.1"));
        let mut man = Command::new("man");
        // In this locale, hyphens are those of ASCII.
        let shown = man.arg("-l").arg(page).env("LC_ALL", "C").output();
        let shown = shown.unwrap();
        assert!(shown.status.success(), "{}", printed(&shown));
        has(&String::from_utf8_lossy(&shown.stdout), &[part]);
    }
}
