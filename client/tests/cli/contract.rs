//! The JSON of every command is as its schema describes it.

use std::path::Path;

use buildbtw_model::{BuildStatus, IterationStatus};
use serde_json::Value;

use super::fake::{Fake, TOKEN, valid_tokens};
use super::program::buildbtw;
use super::schema::Schemas;

/// The commands with a result in JSON, as the notes name them, with arguments.
pub(crate) const COMMANDS: &[(&str, &[&str])] = &[
    ("list", &[]),
    ("show", &["space"]),
    ("why", &["space", "greet"]),
    ("plan", &["a", "--srcinfo", "tree"]),
    ("diff", &["space/1", "space/2"]),
    ("status", &[]),
    ("activity", &[]),
    ("workers", &[]),
    ("worker drain", &["w1"]),
    ("worker resume", &["w1"]),
    ("sources", &[]),
    ("logs", &["space", "greet"]),
    ("watch", &["space"]),
    ("new --follow", &["libgreet"]),
    ("new", &["libgreet"]),
    ("edit", &["space", "--add", "greet"]),
    ("prioritize", &["space", "high"]),
    ("cancel", &["space"]),
    ("resume", &["space"]),
    ("new-iteration", &["space"]),
    ("retry", &["space"]),
    ("open", &["space"]),
    ("config", &[]),
    ("doctor", &[]),
    ("login", &["--token-file", "token"]),
    ("token create", &["--scope", "client", "--name", "a"]),
    ("token list", &[]),
    ("token revoke", &["7"]),
    // Nothing is left afterwards.
    ("delete", &["space", "--yes"]),
];

/// Returns the words of a command.
pub(crate) fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

/// A row of the table in the notes.
struct Row<'a> {
    result: &'a str,
    schemas: Vec<&'a str>,
}

/// Returns the row of a command.
fn row<'a>(notes: &'a str, command: &str) -> Row<'a> {
    let name = format!("`{command}`");
    let rows = notes.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let mut rows = rows.filter(|cells| cells[1].split(", ").any(|one| one == name));
    let cells = rows
        .next()
        .unwrap_or_else(|| panic!("{command} is not in the notes"));
    Row {
        result: cells[2],
        schemas: cells[3].split('`').skip(1).step_by(2).collect(),
    }
}

/// Writes a token, and a folder `tree` with packages, each with lines of its `.SRCINFO`.
pub(crate) fn write_files(home: &Path, packages: &[(&str, &str)]) {
    fs_err::write(home.join("token"), TOKEN).unwrap();
    for (name, lines) in packages {
        let folder = home.join("tree").join(name);
        fs_err::create_dir_all(&folder).unwrap();
        let text = format!(
            "pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n{lines}\npkgname = {name}\n"
        );
        fs_err::write(folder.join(".SRCINFO"), text).unwrap();
    }
}

/// Starts a server with an ended rebuild, a failed build and its log.
async fn start() -> Fake {
    let fake = Fake::start(&["libgreet", "greet"]).await;
    fake.build("libgreet", BuildStatus::Building, None);
    fake.build("libgreet", BuildStatus::Built, Some("2.0-1"));
    fake.build("greet", BuildStatus::Building, None);
    fake.build("greet", BuildStatus::Failed, Some("build() failed"));
    fake.change(|inner| {
        let attempt = inner.attempt.id;
        inner.iteration.builds[1].attempt = Some(attempt);
        inner.attempt.status = buildbtw_model::AttemptStatus::Failed;
        inner.log.extend(b"make: Error 1\n");
        inner.replan_error = Some("libgreet is broken".into());
        inner.tokens = valid_tokens(2);
    });
    fake.end(IterationStatus::Failed);
    fake
}

#[tokio::test]
async fn prints_what_the_schemas_describe() {
    let notes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notes/cli.md");
    let notes = fs_err::read_to_string(notes).unwrap();
    let (fake, home) = (start().await, tempfile::tempdir().unwrap());
    let packages = [
        ("a", ""),
        ("b", "\tdepends = a\n"),
        ("bad", "\tdepends = >\n"),
    ];
    write_files(home.path(), &packages);
    let schemas = Schemas::read();
    for (command, arguments) in COMMANDS {
        let args = [words(command).as_slice(), *arguments, &["--json=all"][..]].concat();
        let mut program = buildbtw(home.path(), &fake.url, &args);
        program
            .env("BUILDBTW_TOKEN", TOKEN)
            .current_dir(home.path());
        let output = program.output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(3), "{command}: {errors}");
        let row = row(&notes, command);
        let values: Vec<Value> = match row.result {
            "lines" => {
                let lines = output.stdout.split(|byte| *byte == b'\n');
                let lines = lines.filter(|line| !line.is_empty());
                lines.map(|line| parse(command, line)).collect()
            }
            "list" => match parse(command, &output.stdout) {
                Value::Array(items) => items,
                other => panic!("{command}: {other} is not a list"),
            },
            _ => vec![parse(command, &output.stdout)],
        };
        assert!(!values.is_empty(), "{command} printed nothing");
        for value in values {
            let problems: Vec<_> = row
                .schemas
                .iter()
                .map(|schema| schemas.problems(schema, &value))
                .collect();
            let fits = problems.iter().any(Vec::is_empty);
            assert!(fits, "{command}: {problems:#?}");
        }
    }
}

fn parse(command: &str, text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{command}: {error}"))
}
