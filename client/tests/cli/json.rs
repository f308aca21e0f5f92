//! `--json` and `--jq`.

use std::path::Path;

use buildbtw_model::BuildStatus;
use serde_json::Value;

use super::fake::{Fake, TOKEN};
use super::program::run;

/// The commands with a result in JSON, and the schemas of the API that describe it.
const COMMANDS: &[(&[&str], &[&str])] = &[
    (&["list"], &["NamespaceSummary"]),
    (&["show", "space"], &["NamespaceDetail"]),
    (&["why", "space", "libgreet"], &["BuildSummary"]),
    (&["sources"], &["SourceRepositorySummary"]),
    (&["token", "list"], &["TokenSummary"]),
    (&["watch", "space"], &["Event", "IterationOverview"]),
    (&["cancel", "space"], &["NamespaceDetail"]),
    (&["retry", "space"], &["RetriedBuilds"]),
    (&["delete", "space"], &[]),
    (&["logs", "space"], &[]),
    (&["status"], &[]),
    (&["diff", "space"], &[]),
    (&["config"], &[]),
    (&["open"], &[]),
    (&["plan", "libgreet"], &[]),
];

fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notes/openapi.json");
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

/// Returns whether a schema, or one that it consists of, has a property.
fn has(document: &Value, schema: &Value, property: &str) -> bool {
    let referred = schema["$ref"].as_str();
    let referred = referred.and_then(|target| document.pointer(target.trim_start_matches('#')));
    let parts = schema["allOf"].as_array();
    schema["properties"].get(property).is_some()
        || referred.is_some_and(|schema| has(document, schema, property))
        || parts.is_some_and(|parts| parts.iter().any(|part| has(document, part, property)))
}

#[tokio::test]
async fn lists_fields_of_every_command_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    let document = document();
    for (command, schemas) in COMMANDS {
        let args = [*command, &["--json"]].concat();
        let ran = run(home.path(), "http://127.0.0.1:1", &args).await;
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
        let fields: Vec<&str> = ran.stdout.lines().collect();
        assert!(
            !fields.is_empty() && fields.is_sorted(),
            "{args:?}: {fields:?}"
        );
        assert!(ran.stderr.starts_with("hint: "), "{}", ran.stderr);
        let described = |field: &&&str| {
            let of = |name: &&str| &document["components"]["schemas"][*name];
            schemas.iter().any(|name| has(&document, of(name), field))
        };
        // Beyond those of the API, a command has few of its own.
        if !schemas.is_empty() {
            let own: Vec<_> = fields.iter().filter(|field| !described(field)).collect();
            assert!(
                own.iter().all(|own| [&"status", &"builds"].contains(own)),
                "{own:?}"
            );
        }
    }
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
