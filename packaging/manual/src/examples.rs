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

#[test]
fn installed_examples_change_nothing() {
    for (name, example, _) in EXAMPLES {
        let is_comment = |line: &str| line.is_empty() || line.starts_with('#');
        assert!(example.lines().all(is_comment), "{name}");
    }
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
            if default.value.is_some() {
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
