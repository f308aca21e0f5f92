//! `--json` and `--jq`.

use buildbtw_model::BuildStatus;
use serde_json::Value;

use super::contract::{COMMANDS, words};
use super::fake::{Fake, TOKEN};
use super::program::run;

#[tokio::test]
async fn lists_fields_of_every_command_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    for (command, arguments) in COMMANDS {
        let args = [words(command).as_slice(), *arguments, &["--json"][..]].concat();
        let ran = run(home.path(), "http://127.0.0.1:1", &args).await;
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
        let fields: Vec<&str> = ran.stdout.lines().collect();
        assert!(
            !fields.is_empty() && fields.is_sorted(),
            "{args:?}: {fields:?}"
        );
        assert!(ran.stderr.starts_with("hint: "), "{}", ran.stderr);
        // The other arguments do not matter.
        let alone = [words(command).as_slice(), &["--json"]].concat();
        let alone = run(home.path(), "http://127.0.0.1:1", &alone).await;
        assert_eq!((alone.code, alone.stdout), (0, ran.stdout), "{command}");
    }
    let ran = run(home.path(), "", &["sandbox", "--json"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
}

#[tokio::test]
async fn prints_selected_fields_and_filtered_values() {
    let (fake, home) = (
        Fake::start(&["libgreet", "party"]).await,
        tempfile::tempdir().unwrap(),
    );
    fake.build("libgreet", BuildStatus::Failed, Some("no compiler"));
    let printed = async |args: &[&str]| {
        let ran = run(home.path(), &fake.url, args).await;
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
        ran.stdout
    };
    let json =
        async |args: &[&str]| -> Value { serde_json::from_str(&printed(args).await).unwrap() };
    assert_eq!(
        json(&["list", "--json", "name,iteration.status"]).await,
        serde_json::json!([{ "name": "space", "iteration": { "status": "running" } }])
    );
    let shown = json(&["show", "space", "--json=status,builds.pkgbase"]).await;
    assert_eq!(
        shown["builds"][1],
        serde_json::json!({ "pkgbase": "party" })
    );
    assert_eq!(shown.as_object().unwrap().len(), 2);
    let all = ["diff", "space/1", "space/2", "--jq", "length"];
    assert_eq!(printed(&all).await, "2\n");
    assert_eq!(printed(&[&all[..], &["--limit=1"]].concat()).await, "1\n");
    let names = printed(&["list", "--jq", ".[].name"]).await;
    assert_eq!(names, "space\n");
    let failed = [
        "show",
        "space",
        "--failed",
        "--json",
        "builds",
        "--jq",
        ".builds[].pkgbase",
    ];
    assert_eq!(printed(&failed).await, "libgreet\n");
    let sources = printed(&[
        "sources",
        "--json",
        "pkgbase",
        "--jq",
        "map(.pkgbase) | @csv",
    ])
    .await;
    assert_eq!(sources, "\"greet\",\"libgreet\"\n");
    let status = json(&["status", "--json", "running"]).await;
    assert_eq!(status["running"][0]["name"], "space");
    let token = format!("--token={TOKEN}");
    assert_eq!(
        json(&["token", "list", "--json", "name", &token]).await,
        serde_json::json!([])
    );
    let url = printed(&["open", "space", "--jq", ".url"]).await;
    assert_eq!(url, "http://server/space\n");
    let settings = printed(&["config", "--jq", ".[] | [.key, .source] | join(\" \")"]).await;
    assert_eq!(
        settings,
        "server BUILDBTW_SERVER\ntoken default\nca default\n"
    );
}

#[tokio::test]
async fn changes_nothing_when_only_fields_are_listed() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let token = format!("--token={TOKEN}");
    let ran = run(
        home.path(),
        &fake.url,
        &["delete", "space", "--yes", &token, "--json"],
    )
    .await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "name\n"));
    assert!(!fake.change(|inner| inner.deleted));
    let ran = run(
        home.path(),
        &fake.url,
        &["delete", "space", "--yes", &token, "--json=name"],
    )
    .await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("\"name\": \"space\""), "{}", ran.stdout);
    assert!(fake.change(|inner| inner.deleted));
}
