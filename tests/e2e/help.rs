//! The help of every command of every program at 80 columns. Changes are reviewed as snapshots:
//! `INSTA_UPDATE=always cargo test -p buildbtw-tests --test e2e help` writes the snapshots again.

use std::process::Command;

use buildbtw_tests::program;

/// A terminal of the usual width.
const COLUMNS: &str = "80";
/// The longest first line of a command or an option.
const MAX_SUMMARY: usize = 60;

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
    for summary in summaries(&help) {
        let width = summary.chars().count();
        assert!(
            width <= MAX_SUMMARY,
            "{}: a first line has {width} characters: {summary}",
            command.join(" ")
        );
        assert!(
            !summary.ends_with('.'),
            "{}: a first line ends in a full stop: {summary}",
            command.join(" ")
        );
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

/// Returns the first paragraphs of the command and of its arguments and options, each in one line. The short form of a
/// help, which has one line for each option, has no paragraphs.
fn summaries(help: &str) -> Vec<String> {
    let paragraphs = help.split("\n\n").enumerate();
    let summaries = paragraphs.filter_map(|(number, paragraph)| {
        let lines: Vec<_> = paragraph.lines().collect();
        let text = match number {
            0 => &lines[..],
            // The first line may be a heading.
            _ => &lines[lines.iter().take(2).position(|line| is_name(line))? + 1..],
        };
        let is_below = |line: &&str| number == 0 || indentation(line) == 10;
        let text = text.first().is_some_and(is_below).then_some(text)?;
        let text: Vec<_> = text.iter().map(|line| line.trim()).collect();
        Some(text.join(" "))
    });
    summaries.collect()
}

/// Returns whether a line is the name of an argument or an option.
fn is_name(line: &str) -> bool {
    (2..10).contains(&indentation(line)) && line.trim_start().starts_with(['-', '<', '['])
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
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
