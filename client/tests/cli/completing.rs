//! Completion in shells, with names from the server.

use std::path::Path;

use super::fake::{Fake, TOKEN};
use super::program::{buildbtw, run};

/// Returns what bash is offered for the last of these words.
async fn offered(home: &Path, server: &str, words: &[&str]) -> (Vec<String>, String) {
    let args = [&["--", "buildbtw"], words].concat();
    let output = buildbtw(home, server, &args)
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .env("BUILDBTW_TOKEN", TOKEN)
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let offered = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    (offered, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn completes_names_from_the_server_and_from_the_cache() {
    let (fake, home) = (
        Fake::start(&["libgreet", "party"]).await,
        tempfile::tempdir().unwrap(),
    );
    let cases: &[(&[&str], &[&str])] = &[
        (&["show", ""], &["space"]),
        (&["why", "space", "p"], &["party"]),
        (&["logs", "--arch", "x86_64", "space", "lib"], &["libgreet"]),
        (&["new", "lib"], &["libgreet"]),
        (
            &["plan", "libgreet/"],
            &["libgreet/main", "libgreet/next-of-libgreet"],
        ),
        (&["show", "space", "--arch", ""], &["x86_64"]),
        (&["show", "space", "--state", "re"], &["ready", "reused"]),
        (&["new", "libgreet", "--scope", "t"], &["transitive"]),
        (&["new", "libgreet", "--network", "s"], &["sources"]),
    ];
    for (words, expected) in cases {
        let (mut found, errors) = offered(home.path(), &fake.url, words).await;
        // Options may follow, too.
        found.retain(|word| !word.starts_with('-'));
        assert_eq!(
            (found.as_slice(), errors.as_str()),
            (
                expected
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect::<Vec<_>>()
                    .as_slice(),
                ""
            ),
            "{words:?}"
        );
    }
    // The server is gone, the answer is kept.
    fake.change(|inner| inner.away = true);
    let (found, _) = offered(home.path(), &fake.url, &["why", "space", "p"]).await;
    assert_eq!(found, ["party"]);
}

#[tokio::test]
async fn is_silent_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    for server in ["http://127.0.0.1:1", "no address", ""] {
        for words in [
            &["show", ""][..],
            &["why", "space", ""],
            &["plan", "libgreet/"],
        ] {
            let (found, errors) = offered(home.path(), server, words).await;
            let names: Vec<_> = found.iter().filter(|name| !name.starts_with('-')).collect();
            assert_eq!(
                (names.len(), errors.as_str()),
                (0, ""),
                "{server} {words:?}: {names:?}"
            );
        }
    }
}

#[tokio::test]
async fn prints_scripts_that_ask_the_program() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(home.path(), "", &["completions", shell]).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains("COMPLETE"), "{}", ran.stdout);
        assert!(ran.stdout.contains("buildbtw"), "{}", ran.stdout);
    }
}
