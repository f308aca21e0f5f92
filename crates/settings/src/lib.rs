//! Settings of a program, which come from its command line, its environment, its configuration file, and defaults, in
//! this order.
//!
//! A setting is a flag that has an environment variable. The configuration file is TOML: its keys are the long names
//! of these flags with `_` for `-`. [`parse`] adds what the file sets, and neither the command line nor the
//! environment does, to the arguments of the program. So clap checks every value in the same way, wherever it comes
//! from, and also which flags need or exclude each other. [`settings`] lists all settings with their origins.

mod apply;
mod file;
mod list;
mod nearest;
mod value;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use buildbtw_model::Explanation;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

pub use file::{File, line_of};
pub use list::{Origin, Setting, settings};
pub use nearest::{fields_of, nearest};

/// The identifier of the flag that names the configuration file.
const CONFIG: &str = "config";
/// The exit code for an invalid file: clap's for an invalid flag or variable.
const EXIT_USAGE: i32 = 2;

/// What a program says about its configuration file.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The command whose flags are the settings. Other commands use those of them that they have, too.
    pub command: &'a str,
    /// The file that is read if it exists and no other one is named.
    pub default_file: &'a str,
}

/// A command line with the configuration file.
#[derive(Debug)]
pub struct Parsed<T> {
    /// The arguments, with the settings of the file.
    pub cli: T,
    /// The definition of the command line.
    pub command: Command,
    /// The arguments, for [`settings`].
    pub matches: ArgMatches,
    /// The configuration file, if there is one.
    pub file: Option<File>,
}

/// Why a program cannot start with its settings.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the environment is invalid, or asks for help.
    Usage(clap::Error),
    /// The configuration file is invalid.
    File(Explanation),
}

impl Failure {
    /// Prints why the program does not start, or its help, and returns the exit code.
    #[must_use]
    pub fn report(self) -> ExitCode {
        // The exit code still says what happened when this cannot be written.
        let code = match self {
            Self::Usage(error) => {
                let _ = error.print();
                error.exit_code()
            }
            Self::File(explanation) => {
                let _ = writeln!(std::io::stderr(), "error: {explanation}");
                EXIT_USAGE
            }
        };
        ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

impl From<Explanation> for Failure {
    fn from(explanation: Explanation) -> Self {
        Self::File(explanation)
    }
}

/// Parses the arguments of a program, the first of which is its name, with its configuration file: the one that
/// `--config` names, or the default one if it exists.
///
/// # Errors
/// When the file cannot be read or contains anything but valid settings, or the arguments are invalid.
pub fn parse<T: CommandFactory + FromArgMatches>(
    program: &Program<'_>,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Parsed<T>, Failure> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // Help needs no valid file.
    if let Err(error) = T::command().try_get_matches_from(&arguments)
        && !error.use_stderr()
    {
        return Err(error.into());
    }
    // Whether arguments that need each other are complete is not known before the file is read.
    let given = T::command()
        .ignore_errors(true)
        .try_get_matches_from(&arguments)?;
    let file = match given.get_one::<PathBuf>(CONFIG) {
        Some(path) => Some(File::read(path)?),
        None => File::read_if_exists(Path::new(program.default_file))?,
    };
    let file = match file {
        Some(file) => {
            let checked = file.check(T::command(), program.command)?;
            Some(checked.apply(T::command(), &given, &mut arguments))
        }
        None => None,
    };
    let mut command = T::command();
    let matches = command.try_get_matches_from_mut(&arguments)?;
    let cli = T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(Parsed {
        cli,
        command,
        matches,
        file,
    })
}

/// Returns the key of a flag in configuration files, if the flag is a setting.
#[must_use]
pub fn key(arg: &Arg) -> Option<String> {
    let is_setting = arg.get_env().is_some() && arg.get_id() != CONFIG;
    let long = arg.get_long().filter(|_| is_setting)?;
    Some(long.replace('-', "_"))
}
