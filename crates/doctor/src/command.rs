//! The command line of `doctor`, and how its report is printed.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use buildbtw_model::Explanation;
use buildbtw_settings::{Failure, Parsed};
use clap::Command;

use crate::{Check, Report, ShownSetting};

/// The name of the command in every program.
const NAME: &str = "doctor";
/// The flag that asks for JSON.
const JSON: &str = "json";

/// Returns the settings of a command line, as a report shows them.
#[must_use]
pub fn settings<T>(parsed: &Parsed<T>) -> Vec<ShownSetting> {
    let settings =
        buildbtw_settings::settings(&parsed.command, &parsed.matches, parsed.file.as_ref());
    settings.into_iter().map(ShownSetting::from).collect()
}

/// Prints why a program cannot start, and returns the exit code. If its arguments ask for `doctor`, an invalid
/// configuration file is part of a report.
#[must_use]
pub fn report_failure(
    command: Command,
    program: &'static str,
    version: &'static str,
    failure: Failure,
) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match (requested(command, &arguments), failure) {
        (Some(is_json), Failure::File(why)) => {
            let report = unusable(program, version, why);
            report
                .print(is_json)
                .map_or(ExitCode::FAILURE, ExitCode::from)
        }
        (_, failure) => failure.report(),
    }
}

/// Returns whether arguments ask for the command, and then for JSON, also if other arguments are invalid.
fn requested(command: Command, arguments: &[OsString]) -> Option<bool> {
    let matches = command.ignore_errors(true);
    let matches = matches.try_get_matches_from(arguments).ok()?;
    let (name, inner) = matches.subcommand()?;
    let is_json = inner.try_get_one::<bool>(JSON).ok().flatten();
    (name == NAME).then(|| is_json.copied().unwrap_or_default())
}

/// Returns the report of a program whose configuration cannot be read.
pub(crate) fn unusable(program: &'static str, version: &'static str, why: Explanation) -> Report {
    let mut report = Report::new(program, version);
    report.add(Check::failed("configuration", why, "correct the file"));
    report.add(Check::skipped(
        "all others",
        "they need a configuration that can be used",
    ));
    report
}

impl Report {
    /// Prints it as text or JSON, and returns the exit code.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(&self, is_json: bool) -> io::Result<u8> {
        let text = match is_json {
            true => self.to_json()?,
            false => self.to_text(),
        };
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()?;
        Ok(self.exit_code())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn recognizes_command_among_invalid_arguments() {
        let program = || {
            let json = Arg::new(JSON).long(JSON).action(ArgAction::SetTrue);
            let port = Arg::new("port")
                .long("port")
                .value_parser(clap::value_parser!(u16));
            Command::new("program")
                .arg(Arg::new("config").long("config").global(true))
                .subcommand(Command::new(NAME).arg(json).arg(port))
                .subcommand(Command::new("run"))
        };
        let requested = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            requested(program(), &arguments)
        };
        assert_eq!(requested("program doctor"), Some(false));
        assert_eq!(
            requested("program --config nowhere doctor --json"),
            Some(true)
        );
        assert_eq!(requested("program doctor --json --unknown"), Some(true));
        assert_eq!(requested("program --config doctor run"), None);
        assert_eq!(requested("program"), None);
    }

    #[test]
    fn reports_configuration_that_cannot_be_read() {
        let why = Explanation::with_hint("cannot read `x`: denied", "chmod");
        let report = unusable("buildbtw-server", "1", why);
        assert_eq!(report.exit_code(), crate::EXIT_FAILURE);
        let expected = "failure  configuration: cannot read `x`: denied\n         repair: chmod\n";
        assert!(report.to_text().starts_with(expected));
    }
}
