//! The JSON of commands is as its schema describes it, with a real server and rebuilds.

#[path = "../../client/tests/cli/schema.rs"]
mod schema;

use buildbtw_tests::{Package, Server, Sources, Worker, cli, printed};
use schema::Schemas;
use serde_json::Value;

/// The commands with the schema of their result, or of each of its entries.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["list"], "NamespaceSummary"),
    (&["show", "one"], "ShownNamespace"),
    (&["why", "one", "libgreet"], "BuildSummary"),
    (&["plan", "libgreet", "libwave"], "PlanDocument"),
    (&["diff", "one"], "Difference"),
    (&["status"], "Status"),
    (&["activity"], "Activity"),
    (&["workers"], "WorkerSummary"),
    (&["sources"], "SourceRepositorySummary"),
    (&["logs", "one", "libgreet"], "BuildLog"),
    (&["watch", "one"], "IterationWithBuilds"),
    (&["open", "one"], "Address"),
    (&["config"], "Setting"),
    (&["doctor"], "DoctorReport"),
    (
        &["token", "create", "--scope", "client", "--name", "a"],
        "CreatedToken",
    ),
    (&["token", "list"], "TokenSummary"),
    (&["prioritize", "one", "high"], "NamespaceDetail"),
    (&["new-iteration", "one"], "IterationWithBuilds"),
    (&["delete", "one", "--yes"], "DeletedNamespace"),
];

/// Runs a command that has to succeed.
fn run(server: &Server, args: &[&str]) -> Vec<u8> {
    let output = cli(server, args);
    assert!(output.status.success(), "{args:?}: {}", printed(&output));
    output.stdout
}

#[test]
fn commands_print_what_the_schemas_describe() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    for pkgbase in ["libgreet", "libwave"] {
        sources.commit(&Package {
            pkgbase,
            pkgver: "1",
            base: &[],
            packages: &[],
        });
    }
    let server = Server::start(folder.path(), &sources);
    run(&server, &["new", "libgreet/main", "--name", "one"]);
    let scratch = folder.path().join("worker");
    let _worker = Worker::simulated_and(&server, &scratch, &["--tag", "big"]);
    run(&server, &["watch", "one"]);
    run(&server, &["edit", "one", "--add", "libwave/main"]);
    run(&server, &["watch", "one"]);
    let schemas = Schemas::read();
    for (command, schema) in COMMANDS {
        let stdout = run(&server, &[*command, &["--json=all"]].concat());
        let value: Value = serde_json::from_slice(&stdout).unwrap();
        let values = match value {
            Value::Array(items) => items,
            object => vec![object],
        };
        assert!(!values.is_empty(), "{command:?} printed nothing");
        for value in &values {
            let problems = schemas.problems(schema, value);
            assert!(problems.is_empty(), "{command:?}: {problems:#?}");
        }
    }
}
