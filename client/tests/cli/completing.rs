//! Completion in shells, with names from the server.

use std::path::Path;
use std::time::{Duration, Instant};

use buildbtw_model::api::TokenSummary;
use buildbtw_model::{TokenId, TokenScope};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::fake::{Fake, TOKEN};
use super::program::{buildbtw, run};

fn token(id: i64, name: &str, is_revoked: bool) -> TokenSummary {
    TokenSummary {
        id: TokenId(id),
        name: name.into(),
        scope: TokenScope::Client,
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        revoked_at: is_revoked.then_some(Timestamp::UNIX_EPOCH),
    }
}

/// Longer than any question takes on a slow and busy machine.
const PATIENCE_MS: &str = "120000";

/// Returns the command with which a shell asks what fits the last of these words.
fn question(shell: &str, home: &Path, server: &str, words: &[&str]) -> Command {
    let args = [&["--", "buildbtw"], words].concat();
    let mut command = buildbtw(home, server, &args);
    command
        .env("COMPLETE", shell)
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .env("BUILDBTW_TOKEN", TOKEN)
        .env("BUILDBTW_COMPLETION_MS", PATIENCE_MS);
    command
}

/// Returns the answer without options, which may follow, too.
async fn answer(mut question: Command) -> Vec<String> {
    let output = question.output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| line.trim_end().to_owned());
    lines.filter(|line| !line.starts_with('-')).collect()
}

/// Returns what bash is offered for the last of these words.
async fn offered(home: &Path, server: &str, words: &[&str]) -> Vec<String> {
    answer(question("bash", home, server, words)).await
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
        (&["new", "libgreet", "--include", "lib"], &["libgreet"]),
        (&["edit", "space", "--exclude", "g"], &["greet"]),
        (&["new", "libgreet", "--exclude", "lib*"], &[]),
        (
            &["edit", "--add", "x", "space", "--remove", ""],
            &["libgreet"],
        ),
        (
            &["edit", "space", "--remove", "libgreet/"],
            &["libgreet/main"],
        ),
        (&["diff", "s"], &["space"]),
        (&["diff", "space", "space/"], &["space/1"]),
        (&["show", "space", "--iteration", ""], &["1"]),
        (&["activity", "--by", "t"], &["tester"]),
        (&["plan", "libgreet", "--arch", ""], &["x86_64"]),
        (&["worker", "drain", ""], &["w1"]),
        (&["token", "revoke", ""], &["7"]),
    ];
    fake.change(|inner| inner.tokens = vec![token(7, "ci", false), token(6, "old", true)]);
    for (words, expected) in cases {
        let found = offered(home.path(), &fake.url, words).await;
        assert_eq!(found, *expected, "{words:?}");
    }
    // The server is gone, the answer is kept.
    fake.change(|inner| inner.away = true);
    let found = offered(home.path(), &fake.url, &["why", "space", "p"]).await;
    assert_eq!(found, ["party"]);
}

#[tokio::test]
async fn shows_and_completes_the_patterns_of_a_namespace() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.change(|inner| inner.excluded = vec!["haskell-*".into(), "lib32-*".into()]);
    let ran = run(home.path(), &fake.url, &["show", "space"]).await;
    let expected = "\nexclude     haskell-*, lib32-*\n";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    let found = offered(
        home.path(),
        &fake.url,
        &["edit", "space", "--no-exclude", "h"],
    )
    .await;
    assert_eq!(found, ["haskell-*"]);
    let found = offered(
        home.path(),
        &fake.url,
        &["edit", "space", "--no-include", ""],
    )
    .await;
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn completes_the_last_of_thousands_of_builds() {
    let names: Vec<String> = (0..3_700)
        .map(|number| format!("package{number:04}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (fake, home) = (Fake::start(&names).await, tempfile::tempdir().unwrap());
    let found = offered(home.path(), &fake.url, &["why", "space", "package369"]).await;
    assert_eq!(found, names[3_690..]);
}

#[tokio::test]
async fn zsh_and_fish_get_descriptions() {
    let (fake, home) = (
        Fake::start(&["libgreet", "party"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.change(|inner| inner.tokens = vec![token(7, "ci", false)]);
    for (shell, separator) in [("zsh", ':'), ("fish", '\t')] {
        let answer_to =
            async |words: &[&str]| answer(question(shell, home.path(), &fake.url, words)).await;
        assert_eq!(answer_to(&["show", ""]).await, ["space"], "{shell}");
        assert_eq!(answer_to(&["why", "space", "p"]).await, ["party"]);
        let scopes = answer_to(&["new", "libgreet", "--scope", "t"]).await;
        let expected = format!("transitive{separator}plus everything");
        assert!(scopes[0].starts_with(&expected), "{shell}: {scopes:?}");
        let tokens = answer_to(&["token", "revoke", ""]).await;
        assert_eq!(tokens, [format!("7{separator}ci (client)")], "{shell}");
    }
}

#[tokio::test]
async fn uses_old_answers_of_a_server_that_does_not_respond() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    let cache = home.path().join(".cache/buildbtw");
    fs_err::create_dir_all(&cache).unwrap();
    let old = serde_json::json!([{
        "question": format!("{url} namespaces "), "at": "2026-01-01T00:00:00Z", "names": ["space"],
    }]);
    fs_err::write(cache.join("completion.json"), old.to_string()).unwrap();
    let begin = Instant::now();
    let cases: [(&[&str], &[&str]); 2] =
        [(&["show", ""], &["space"]), (&["why", "space", ""], &[])];
    for (words, expected) in cases {
        let mut question = question("bash", home.path(), &url, words);
        question.env_remove("BUILDBTW_COMPLETION_MS");
        assert_eq!(answer(question).await, expected, "{words:?}");
    }
    // An ordinary request waits for a minute.
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn takes_the_time_for_the_server_from_the_environment() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut question = question("bash", home.path(), &fake.url, &["show", ""]);
    question.env("BUILDBTW_COMPLETION_MS", "0");
    assert_eq!(answer(question).await, Vec::<String>::new());
    assert_eq!(
        offered(home.path(), &fake.url, &["show", ""]).await,
        ["space"]
    );
}

#[tokio::test]
async fn completes_without_a_usable_cache() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let cache = home.path().join("cache");
    fs_err::create_dir_all(cache.join("buildbtw")).unwrap();
    fs_err::write(cache.join("buildbtw/completion.json"), "[{").unwrap();
    let no_folder = home.path().join("file");
    fs_err::write(&no_folder, "").unwrap();
    for folder in [cache, no_folder] {
        let mut question = question("bash", home.path(), &fake.url, &["show", ""]);
        question.env("XDG_CACHE_HOME", &folder);
        assert_eq!(answer(question).await, ["space"], "{}", folder.display());
    }
}

#[tokio::test]
async fn is_silent_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    for server in ["http://127.0.0.1:1", "no address", ""] {
        for words in [
            &["show", ""][..],
            &["why", "space", ""],
            &["plan", "libgreet/"],
            &["edit", "space", "--remove", ""],
            &["token", "revoke", ""],
        ] {
            let found = offered(home.path(), server, words).await;
            assert_eq!(found, Vec::<String>::new(), "{server} {words:?}");
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
