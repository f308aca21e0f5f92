//! Lists settings with their origins.

use std::fmt;
use std::path::PathBuf;

use buildbtw_model::hide_user_info;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::file::File;

/// Stands for the value of a secret.
const HIDDEN: &str = "(hidden)";

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The long name of its flag.
    pub name: String,
    /// Its value: those of a list are separated by commas, that of a secret is hidden, as are users and passwords in
    /// URLs. `None`: not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
    /// Whether the value is a secret.
    pub secret: bool,
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    CommandLine,
    /// This environment variable.
    Environment(String),
    /// This configuration file.
    File(PathBuf),
    /// The program.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Environment(variable) => write!(f, "environment: {variable}"),
            Self::File(path) => write!(f, "file: {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Returns the settings of the command that was chosen, in the order of its help.
#[must_use]
pub fn settings(command: &Command, matches: &ArgMatches, file: Option<&File>) -> Vec<Setting> {
    let mut command = command.clone();
    // Flags for all commands are defined in each of them afterwards.
    command.build();
    let (mut command, mut matches) = (&command, matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(next) = command.find_subcommand(name) else {
            break;
        };
        (command, matches) = (next, inner);
    }
    command
        .get_arguments()
        .filter_map(|arg| setting(arg, matches, file))
        .collect()
}

fn setting(arg: &Arg, matches: &ArgMatches, file: Option<&File>) -> Option<Setting> {
    let key = crate::key(arg)?;
    let id = arg.get_id().as_str();
    let secret = arg.is_hide_env_values_set();
    let values = matches.try_get_raw(id).ok().flatten();
    let value = values.map(|values| match secret {
        true => HIDDEN.to_owned(),
        false => {
            let texts = values.map(|value| hide_user_info(&value.to_string_lossy()).into_owned());
            texts.collect::<Vec<_>>().join(",")
        }
    });
    let from_file = file.filter(|file| file.applied.contains(&key));
    let origin = match (from_file, matches.value_source(id)) {
        (Some(file), _) => Origin::File(file.path().to_owned()),
        (None, Some(ValueSource::CommandLine)) => Origin::CommandLine,
        (None, Some(ValueSource::EnvVariable)) => {
            let variable = arg.get_env().unwrap_or_default();
            Origin::Environment(variable.to_string_lossy().into_owned())
        }
        (None, _) => Origin::Default,
    };
    Some(Setting {
        name: arg.get_long()?.to_owned(),
        value,
        origin,
        secret,
    })
}
