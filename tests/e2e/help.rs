//! The help of every command of every program at 80 columns. Changes are reviewed as snapshots:
//! `INSTA_UPDATE=always cargo test -p buildbtw-tests --test e2e help` writes the snapshots again.

use std::process::Command;

use buildbtw_tests::program;

/// A terminal of the usual width.
const COLUMNS: &str = "80";

#[test]
fn help_of_every_command_matches_snapshots() {
    for name in [
        "buildbtw",
        "buildbtw-server",
        "buildbtw-worker",
        "buildbtw-executor",
    ] {
        let mut pages = Vec::new();
        collect(name, &mut Vec::new(), &mut pages);
        insta::assert_snapshot!(name, pages.join("\n"));
    }
}

/// Adds the help of a command and of all below it.
fn collect(program_name: &str, path: &mut Vec<String>, pages: &mut Vec<String>) {
    let help = help(program_name, path);
    let command = [&[program_name.to_owned()], path.as_slice()].concat();
    pages.push(format!("## {}\n\n{help}", command.join(" ")));
    for line in help.lines() {
        let width = line.chars().count();
        assert!(width <= 80, "{} is {width} wide: {line}", command.join(" "));
    }
    for subcommand in subcommands(&help) {
        path.push(subcommand);
        collect(program_name, path, pages);
        path.pop();
    }
}

fn help(program_name: &str, path: &[String]) -> String {
    let output = Command::new(program(program_name))
        .args(path)
        .arg("--help")
        .env_clear()
        .env("COLUMNS", COLUMNS)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    // Lines between paragraphs of an option end in spaces, which editors remove from snapshots.
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// Returns the commands that a help lists, except `help` itself.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = lines.take_while(|line| !line.is_empty());
    listed
        // A line that continues a description is indented further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
