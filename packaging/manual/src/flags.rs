//! Compares the flags that `doctor` names in repairs with the command lines.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "failed preconditions fail the test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

/// Flags of other programs: gitlab-runner, git and systemctl.
const FOREIGN: [&str; 4] = ["executor", "mirror", "now", "quiet"];
/// The sources of `doctor`, each with the program whose flags it may name. The client's may be named anywhere, because
/// repairs use it; those for all programs may name what any of them has.
const SOURCES: [(&str, Option<&str>); 6] = [
    ("crates/doctor/src", None),
    ("server/src/doctor", Some("buildbtw-server")),
    ("worker/src/doctor.rs", Some("buildbtw-worker")),
    ("executor/src/doctor", Some("buildbtw-executor")),
    ("executor/src/root/doctor.rs", Some("buildbtw-executor")),
    ("client/src/commands/doctor.rs", Some("buildbtw")),
];

/// Collects the flags of a command and of those below it.
fn collect(command: &Command, flags: &mut BTreeSet<String>) {
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    flags.extend(longs.map(str::to_owned));
    for inner in command.get_subcommands() {
        collect(inner, flags);
    }
}

/// Returns the flags of the programs that have one of these names; without a name, of all.
fn flags_of(names: Option<[&str; 2]>) -> BTreeSet<String> {
    let programs = [
        buildbtw::cli::Cli::command(),
        buildbtw_server::cli::Cli::command(),
        buildbtw_worker::cli::Cli::command(),
        buildbtw_executor::cli::Cli::command(),
    ];
    let mut flags = BTreeSet::new();
    for mut command in programs {
        command.build();
        if names.is_none_or(|names| names.contains(&command.get_name())) {
            collect(&command, &mut flags);
        }
    }
    flags
}

/// Returns the flags in the string literals of code, without its tests and comments.
fn named(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().map(str::trim_start);
    let code: Vec<&str> = lines.filter(|line| !line.starts_with("//")).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for (place, _) in code.match_indices("--") {
        let (before, after) = code.split_at(place);
        let is_start = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        let flag: String = after
            .trim_start_matches('-')
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
            .collect();
        if is_start && !flag.is_empty() {
            found.insert(flag.trim_end_matches('-').to_owned());
        }
    }
    found
}

/// Returns the files of code at a path.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        let code = path.extension().is_some_and(|extension| extension == "rs");
        return code.then(|| path.to_owned()).into_iter().collect();
    }
    let entries = fs_err::read_dir(path).unwrap();
    entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect()
}

#[test]
fn finds_flags_in_code() {
    let code =
        "// --comment\nconst A: &str = \"set --data-dir, or `x --json`\";\n#[cfg(test)] \"--test\"";
    let expected = ["data-dir", "json"].map(str::to_owned);
    assert_eq!(named(code), BTreeSet::from(expected));
}

#[test]
fn doctor_names_only_flags_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut count = 0;
    for (source, program) in SOURCES {
        let known = flags_of(program.map(|name| [name, "buildbtw"]));
        for file in files(&root.join(source)) {
            for flag in named(&fs_err::read_to_string(&file).unwrap()) {
                count += 1;
                let exists = known.contains(&flag) || FOREIGN.contains(&flag.as_str());
                assert!(exists, "{}: --{flag} does not exist", file.display());
            }
        }
    }
    assert!(count > 15, "only {count} flags were found");
}
