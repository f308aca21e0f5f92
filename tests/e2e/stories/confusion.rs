//! Wishes of people who mistype, forget and misunderstand: the error says what was probably meant.

use std::process::Output;

use super::site::{Site, has};

/// "It should have known what I meant."
#[test]
fn mistyped_names_are_answered_with_the_right_ones() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    anna.says(&["new", "libgreet", "--name", "spring"]);
    for (args, meant) in [
        (&["new", "libgret"][..], "did you mean `libgreet`?"),
        (&["plan", "libgret"], "did you mean `libgreet`?"),
        (&["new", "libgreet/mian"], "did you mean `main`?"),
        (&["show", "sprinh"], "did you mean `spring`?"),
        (&["why", "spring", "libgret"], "did you mean `libgreet`?"),
        (&["logs", "spring", "libgret"], "did you mean `libgreet`?"),
        (
            &["open", "spring", "libgret", "--print"],
            "did you mean `libgreet`?",
        ),
        (&["list", "--json", "nmae"], "did you mean `name`?"),
    ] {
        has(&anna.is_refused(args), &[meant]);
    }
}

/// "I never know what the default branch is called."
#[test]
fn default_branch_needs_no_name() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    for (number, origin) in ["libgreet", "libgreet/HEAD", "libgreet/refs/heads/main"]
        .into_iter()
        .enumerate()
    {
        has(&anna.says(&["plan", origin]), &["libgreet"]);
        let name = format!("set{number}");
        anna.says(&["new", origin, "--name", &name]);
        has(&anna.says(&["show", &name]), &["libgreet/main at "]);
    }
}

/// "The pattern had a typo, and it rebuilt everything but what I wanted."
#[test]
fn patterns_that_match_nothing_are_refused() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    anna.says(&["new", "libgreet", "--name", "one"]);
    for command in [
        &["new", "libgreet"][..],
        &["plan", "libgreet"],
        &["edit", "one"],
    ] {
        for option in ["--include", "--exclude"] {
            let args = [command, &[option, "haskel-*"]].concat();
            has(&anna.is_refused(&args), &["haskel-*"]);
        }
    }
}

/// "One wrong line in the shell's history, and the repository was gone."
#[test]
fn delete_needs_consent() {
    let site = Site::new(&["libgreet"]);
    let anna = site.person("anna");
    anna.says(&["new", "libgreet", "--name", "one"]);
    let refused = anna.is_refused(&["delete", "one"]);
    has(&refused, &["`one` was not deleted", "--yes"]);
    has(&anna.says(&["list"]), &["one"]);
    has(&anna.says(&["delete", "one", "--yes"]), &["deleted one"]);
    has(&anna.is_refused(&["show", "one"]), &["`one` not found"]);
}

/// "The shell should know the names."
#[test]
fn shell_completes_the_names_of_the_server() {
    let site = Site::new(&["libgreet", "libwave"]);
    let admin = site.admin();
    admin.says(&["new", "libgreet", "--name", "spring"]);
    let offered = |words: &[&str]| {
        let mut command = admin.command(&[&["--", "buildbtw"], words].concat());
        let output: Output = command
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true")
            .env("_CLAP_IFS", "\n")
            // A test does not measure the machine.
            .env("BUILDBTW_COMPLETION_MS", "120000")
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        let text = String::from_utf8(output.stdout).unwrap();
        let names = text.lines().map(|line| line.trim_end().to_owned());
        names.collect::<Vec<_>>()
    };
    for (words, expected) in [
        (&["show", "s"][..], &["spring"][..]),
        (&["new", "libw"], &["libwave"]),
        (&["new", "libgreet/m"], &["libgreet/main"]),
        (&["why", "spring", "l"], &["libgreet"]),
        (&["edit", "spring", "--remove", "l"], &["libgreet"]),
        (&["edit", "spring", "--add", "libwa"], &["libwave"]),
        (&["diff", "spring/"], &["spring/1"]),
        (&["token", "revoke", "1"], &["1"]),
    ] {
        assert_eq!(offered(words), expected, "{words:?}");
    }
}
