//! What commands print at 80 columns, in a pipe and without colour.

use std::path::Path;

use buildbtw_model::{BuildStatus, IterationStatus};

use super::fake::{Fake, TOKEN};
use super::program::buildbtw;

/// Returns commands with what they print: `!` begins lines of standard error.
async fn transcript(home: &Path, fake: &Fake, commands: &[&str]) -> String {
    let mut text = String::new();
    for command in commands {
        let args: Vec<&str> = command.split(' ').collect();
        let output = buildbtw(home, &fake.url, &args)
            .env("COLUMNS", "80")
            .env("BUILDBTW_TOKEN", TOKEN)
            .output()
            .await
            .unwrap();
        text.push_str(&format!("$ buildbtw {command}\n"));
        text.push_str(&String::from_utf8(output.stdout).unwrap());
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            text.push_str(&format!("! {line}\n"));
        }
        match output.status.code() {
            Some(0) => text.push('\n'),
            code => text.push_str(&format!("[exit code {}]\n\n", code.unwrap())),
        }
    }
    let home = home.to_str().unwrap();
    text.replace(&fake.url, "http://server")
        .replace(home, "{home}")
}

/// Starts a server with an ended rebuild: one package is built, one failed, and one waits.
pub(crate) async fn small() -> Fake {
    let fake = Fake::start(&["libgreet", "greet", "party"]).await;
    fake.build("libgreet", BuildStatus::Building, None);
    fake.build("libgreet", BuildStatus::Built, Some("2.0-1"));
    fake.build("greet", BuildStatus::Building, None);
    let message = "build() failed:\nx.c:1:10: fatal error: y.h: No such file or directory";
    fake.build("greet", BuildStatus::Failed, Some(message));
    fake.change(|inner| {
        let attempt = inner.attempt.id;
        inner.iteration.builds[1].attempt = Some(attempt);
        inner
            .log
            .extend(b"checking\nx.c:1:10: fatal error\nmake: Error 1\n");
    });
    fake.end(IterationStatus::Failed);
    fake
}

#[tokio::test]
async fn outputs_of_a_small_rebuild_match_snapshot() {
    let (fake, home) = (small().await, tempfile::tempdir().unwrap());
    let commands = [
        "status",
        "list",
        "list --state running",
        "show space",
        "show space --failed",
        "why space greet",
        "watch space",
        "retry space",
        "logs space greet --tail 1",
        "logs space --failed --grep error",
        "logs space greet --grep nothing",
        "diff space/1 space/1",
        "sources",
        "open space greet --print",
        "config get ca",
        "list --json",
        "show space --json status,builds.pkgbase",
        "show space --jq .builds|map(.pkgbase)",
        "delete space",
        "show nowhere",
    ];
    insta::assert_snapshot!("small", transcript(home.path(), &fake, &commands).await);
}

#[tokio::test]
async fn outputs_of_a_large_rebuild_match_snapshot() {
    let names: Vec<String> = (0..3_700)
        .map(|number| format!("package{number:04}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (fake, home) = (Fake::start(&names).await, tempfile::tempdir().unwrap());
    fake.spread(3, 1_000);
    let commands = [
        "show space",
        "show space --failed",
        "show space --limit 2",
        "status",
    ];
    insta::assert_snapshot!("large", transcript(home.path(), &fake, &commands).await);
}

#[tokio::test]
async fn settings_say_which_option_or_variable_they_are_from() {
    let home = tempfile::tempdir().unwrap();
    let printed = async |args: &[&str]| {
        let output = buildbtw(home.path(), "http://variable", args).output();
        String::from_utf8(output.await.unwrap().stdout).unwrap()
    };
    let filter = ["config", "--jq", ".[] | [.key, .value, .source] | @tsv"];
    let variable = printed(&filter).await;
    let expected = "server\thttp://variable\tBUILDBTW_SERVER\ntoken\t\tdefault\nca\t\tdefault\n";
    assert_eq!(variable, expected);
    let option = printed(&[&filter[..], &["--server=http://option", "--token=t"]].concat()).await;
    let expected = "server\thttp://option\t--server\ntoken\t(hidden)\t--token\nca\t\tdefault\n";
    assert_eq!(option, expected);
    for command in [&["config"][..], &["config", "get", "server"]] {
        let secret = [command, &["--server=http://jane:secret@option"]].concat();
        let text = printed(&secret).await;
        assert!(
            text.contains("option") && !text.contains("secret"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn settings_are_saved_and_tokens_stay_with_their_server() {
    let (fake, home) = (Fake::start(&[]).await, tempfile::tempdir().unwrap());
    let folder = home.path().join(".config/buildbtw");
    fs_err::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    fs_err::write(&file, "server = \"http://a\"\ntoken = \"secret\"\n").unwrap();
    let set = [
        "config set server http://a/",
        "config set server http://b",
        "config unset server",
    ];
    let text = transcript(home.path(), &fake, &set[..1]).await;
    assert!(
        fs_err::read_to_string(&file).unwrap().contains("secret"),
        "{text}"
    );
    let text = transcript(home.path(), &fake, &set[1..2]).await;
    let saved = fs_err::read_to_string(&file).unwrap();
    assert_eq!(saved, "server = \"http://b\"\n", "{text}");
    assert!(!text.contains("secret"), "{text}");
    let text = transcript(home.path(), &fake, &["config set server nowhere"]).await;
    assert!(text.contains("is not a server URL"), "{text}");
    transcript(home.path(), &fake, &set[2..]).await;
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "");
}
