//! The man pages and shell completions of all programs, generated from their command lines for packages.
//!
//! ```text
//! man/buildbtw-server-run.8           one page for each program and command
//! completions/buildbtw.bash           one file for each program and shell
//! ```

use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

/// The shells that packages install completions for.
const SHELLS: &[Shell] = &[Shell::Bash, Shell::Fish, Shell::Zsh];

/// A program with the section of its man pages (man(1)).
struct Program {
    command: Command,
    section: &'static str,
}

/// Returns all programs: the client for users, the others for administrators.
fn programs() -> [Program; 4] {
    let of = |command, section| Program { command, section };
    [
        of(buildbtw::cli::Cli::command(), "1"),
        of(buildbtw_server::cli::Cli::command(), "8"),
        of(buildbtw_worker::cli::Cli::command(), "8"),
        of(buildbtw_executor::cli::Cli::command(), "8"),
    ]
}

/// Writes all man pages and completions below a folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    for folder in [&pages, &completions] {
        fs_err::create_dir_all(folder)?;
    }
    for program in programs() {
        let name = program.command.get_name().to_owned();
        for shell in SHELLS {
            let script = script(&program, &name, *shell)?;
            fs_err::write(completions.join(format!("{name}.{shell}")), script)?;
        }
        // `help` repeats what the other pages say.
        let mut command = program.command.disable_help_subcommand(true);
        command.build();
        write_pages(&command, program.section, &pages)
            .with_context(|| format!("cannot write the man pages of {name}"))?;
    }
    Ok(())
}

/// Returns the completions of a program. The client completes names from its server, so its script asks the program.
fn script(program: &Program, name: &str, shell: Shell) -> std::io::Result<Vec<u8>> {
    if name == "buildbtw" {
        return buildbtw::completion_script(shell);
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program.command.clone(), name, &mut script);
    Ok(script)
}

/// Writes the page of a command, and those of the commands below it.
fn write_pages(command: &Command, section: &str, folder: &Path) -> std::io::Result<()> {
    for inner in visible(command) {
        write_pages(inner, section, folder)?;
    }
    let page = Man::new(command.clone())
        .section(section)
        .source(concat!("buildbtw ", env!("CARGO_PKG_VERSION")))
        .manual("buildbtw");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs_err::write(folder.join(page.get_filename()), text)
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    let inner = command.get_subcommands();
    inner.filter(|inner| !inner.is_hide_set())
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod flags;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "panics fail the test")]
mod tests {
    use super::*;

    /// Checks that a command and those below it have pages that name their options.
    fn check(command: &Command, section: &str, folder: &Path) -> usize {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let page = fs_err::read_to_string(folder.join(format!("{name}.{section}"))).unwrap();
        // Hyphens are escaped, as roff(7) demands.
        let page = page.replace("\\-", "-");
        assert!(page.contains(".TH"), "{name}: {page}");
        let options = command
            .get_arguments()
            .filter(|option| !option.is_hide_set());
        for long in options.filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{long}")), "{name}: --{long}");
        }
        1 + visible(command)
            .map(|inner| check(inner, section, folder))
            .sum::<usize>()
    }

    #[test]
    fn writes_page_for_every_command_and_completions_for_every_shell() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let pages = folder.path().join("man");
        let mut expected = 0;
        for program in programs() {
            let name = program.command.get_name().to_owned();
            let mut command = program.command.disable_help_subcommand(true);
            command.build();
            expected += check(&command, program.section, &pages);
            for shell in ["bash", "fish", "zsh"] {
                let path = folder.path().join(format!("completions/{name}.{shell}"));
                let script = fs_err::read_to_string(path).unwrap();
                assert!(script.contains(&name), "{script}");
            }
        }
        assert_eq!(fs_err::read_dir(pages).unwrap().count(), expected);
        assert!(expected > 25, "only {expected} pages were found");
    }
}
