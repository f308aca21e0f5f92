//! Compares the example configuration files with the command lines.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "failed preconditions fail the test"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use buildbtw_settings::{Failure, Origin, Parsed, Setting, settings};

const SERVER: &str = include_str!("../../server.toml");
const WORKER: &str = include_str!("../../worker.toml");
const SERVER_UNIT: &str = include_str!("../../systemd/buildbtw-server.service");
const WORKER_UNIT: &str = include_str!("../../systemd/buildbtw-worker@.service");

/// Returns the settings of a program, by their keys in its file.
type List = fn(&Path) -> Result<BTreeMap<String, Setting>, String>;

fn list<T>(
    path: &Path,
    parse: impl FnOnce([OsString; 4]) -> Result<Parsed<T>, Failure>,
) -> Result<BTreeMap<String, Setting>, String> {
    let arguments = ["program", "run", "--config"].map(OsString::from);
    let [program, run, flag] = arguments;
    let parsed = parse([program, run, flag, path.into()]).map_err(|failure| match failure {
        Failure::Usage(error) => error.to_string(),
        Failure::File(explanation) => explanation.to_string(),
    })?;
    let settings = settings(&parsed.command, &parsed.matches, parsed.file.as_ref());
    let by_key = settings
        .into_iter()
        .map(|setting| (setting.name.replace('-', "_"), setting));
    Ok(by_key.collect())
}

fn server(path: &Path) -> Result<BTreeMap<String, Setting>, String> {
    list(path, buildbtw_server::cli::parse)
}

fn worker(path: &Path) -> Result<BTreeMap<String, Setting>, String> {
    list(path, buildbtw_worker::cli::parse)
}

const EXAMPLES: [(&str, &str, List); 2] = [
    ("server.toml", SERVER, server),
    ("worker.toml", WORKER, worker),
];

/// Returns the lines with settings, without the `#` of those that are commented out.
fn lines(example: &str) -> Vec<&str> {
    example
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| !line.is_empty() && !line.starts_with(' '))
        .collect()
}

fn keys<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut keys: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once(" = ").unwrap().0)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn examples_contain_every_setting_once() {
    for (name, example, list) in EXAMPLES {
        let known = list(Path::new("/dev/null")).unwrap();
        let is_allowed = |key: &str, setting: &Setting| {
            !setting.secret || !known.contains_key(&format!("{key}_file"))
        };
        let expected: Vec<&str> = known
            .iter()
            .filter(|(key, setting)| is_allowed(key, setting))
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(keys(&lines(example)), expected, "{name}");
    }
}

/// What the installed files set: where the units and the packages put files, for commands that run outside the units.
const INSTALLED: [(&str, &[&str]); 2] = [
    ("server.toml", &[r#"data_dir = "/var/lib/buildbtw-server""#]),
    (
        "worker.toml",
        &[
            r#"token_file = "/etc/buildbtw/worker-token""#,
            r#"scratch_dir = "/var/lib/buildbtw-worker/1""#,
        ],
    ),
];

/// Returns whether an installed file sets this, in place of the default.
fn is_installed(name: &str, key: &str) -> bool {
    let mut files = INSTALLED.iter().filter(|(file, _)| *file == name);
    files.any(|(_, lines)| {
        lines
            .iter()
            .any(|line| line.split_once(" = ").unwrap().0 == key)
    })
}

#[test]
fn installed_examples_set_only_where_files_are() {
    for ((name, example, _), (file, expected)) in EXAMPLES.into_iter().zip(INSTALLED) {
        assert_eq!(name, file);
        let is_comment = |line: &&str| line.is_empty() || line.starts_with('#');
        let set: Vec<&str> = example.lines().filter(|line| !is_comment(line)).collect();
        assert_eq!(set, expected, "{name}");
    }
}

/// Returns the value of a line `KEY=…` of a unit, as systemd expands it for the instance 1.
fn unit_value(unit: &str, key: &str) -> Option<String> {
    let value = unit.lines().find_map(|line| line.strip_prefix(key))?;
    let expanded = value.replace("%S", "/var/lib").replace("%i", "1");
    Some(expanded)
}

#[test]
fn commands_find_the_files_of_the_server_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    fs_err::write(&path, SERVER).unwrap();
    let state = unit_value(SERVER_UNIT, "StateDirectory=").unwrap();
    let expected = format!("/var/lib/{state}");
    for command in [
        &["run"][..],
        &["doctor"],
        &["check"],
        &["backup", "copy"],
        &["restore", "copy"],
    ] {
        let program = ["program", "--config", path.to_str().unwrap()];
        let arguments = program.iter().chain(command).map(OsString::from);
        let parsed = buildbtw_server::cli::parse(arguments).unwrap();
        let settings = settings(&parsed.command, &parsed.matches, parsed.file.as_ref());
        let data = settings.iter().find(|setting| setting.name == "data-dir");
        assert_eq!(data.unwrap().value.as_ref(), Some(&expected), "{command:?}");
    }
    // Commands outside the unit would not see it.
    assert_eq!(unit_value(SERVER_UNIT, "Environment="), None);
}

#[test]
fn worker_doctor_finds_the_files_of_the_first_worker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    fs_err::write(&path, WORKER).unwrap();
    let found = worker(&path).unwrap();
    let scratch = unit_value(WORKER_UNIT, "Environment=BUILDBTW_SCRATCH_DIR=");
    assert_eq!(found["scratch_dir"].value, scratch);
    let token = unit_value(WORKER_UNIT, "LoadCredential=token:");
    assert_eq!(found["token_file"].value, token);
}

#[test]
fn examples_are_valid_and_show_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    for (name, example, list) in EXAMPLES {
        let path = folder.path().join(name);
        fs_err::write(&path, lines(example).join("\n")).unwrap();
        let shown = list(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (key, default) in list(Path::new("/dev/null")).unwrap() {
            let Setting { value, origin, .. } = &shown[&key];
            if default.value.is_some() && !is_installed(name, &key) {
                assert_eq!(*value, default.value, "{name}: {key}");
            }
            let is_shown = value.is_none() || *origin == Origin::File(path.clone());
            assert!(is_shown, "{name}: {key} comes from {origin}");
        }
    }
}

#[test]
fn examples_are_valid_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    for (name, example, list) in EXAMPLES {
        let path = folder.path().join(name);
        for line in lines(example) {
            fs_err::write(&path, line).unwrap();
            // A setting that needs another one is refused for the other one.
            let error = list(&path).err().unwrap_or_default();
            let is_valid = error.is_empty() || error.contains("were not provided");
            assert!(is_valid, "{name}: {line}: {error}");
        }
    }
}
