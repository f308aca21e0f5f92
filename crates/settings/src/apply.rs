//! Checks a configuration file against the flags of a program, and adds its settings to the arguments.

use std::ffi::OsString;

use buildbtw_model::{Explanation, hide_user_info};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::file::{Entry, File, Value};
use crate::nearest::nearest;
use crate::{key, value};

/// A file whose settings all exist and have valid values.
pub(crate) struct Checked(File);

impl File {
    /// Checks that all settings exist as flags of a command, and that their values are valid.
    pub(crate) fn check(self, mut command: Command, name: &str) -> Result<Checked, Explanation> {
        let bare = without_environment(command.clone(), name);
        command.build();
        let settings = command.find_subcommand(name).unwrap_or(&command);
        for entry in &self.entries {
            let problem = match find(settings, &entry.key) {
                Some(arg) => problem(entry, arg, settings, &bare),
                None => Some(unknown(entry, settings)),
            };
            if let Some(problem) = problem {
                let place = self.place(entry);
                return Err(problem.map(|message| format!("{place}: {message}")));
            }
        }
        Ok(Checked(self))
    }
}

impl Checked {
    /// Adds the settings that the chosen command has, and that neither its arguments nor the environment sets.
    pub(crate) fn apply(
        self,
        mut command: Command,
        given: &ArgMatches,
        arguments: &mut Vec<OsString>,
    ) -> File {
        let Self(mut file) = self;
        command.build();
        let (place, command, given) = chosen(&command, given, arguments);
        let mut added = Vec::new();
        for entry in &file.entries {
            let Some(arg) = find(command, &entry.key).filter(|arg| !is_set(arg, given)) else {
                continue;
            };
            if let Ok(values) = value::values(entry, arg) {
                added.extend(flags(arg, &values));
                file.applied.insert(entry.key.clone());
            }
        }
        arguments.splice(place..place, added);
        file
    }
}

/// Returns the command that was chosen, its arguments, and the place of the first one in the command line.
fn chosen<'a>(
    mut command: &'a Command,
    mut given: &'a ArgMatches,
    arguments: &[OsString],
) -> (usize, &'a Command, &'a ArgMatches) {
    let mut place = 1;
    let mut words = arguments.iter().enumerate().skip(1);
    while let Some((name, inner)) = given.subcommand() {
        let Some(next) = command.find_subcommand(name) else {
            break;
        };
        while let Some((index, word)) = words.next() {
            let word = word.to_string_lossy();
            if next.get_name() == word || next.get_all_aliases().any(|alias| alias == word) {
                place = index + 1;
                break;
            }
            if takes_next(command, &word) {
                words.next();
            }
        }
        (command, given) = (next, inner);
    }
    (place.min(arguments.len()), command, given)
}

/// Returns whether the value of a flag is the next word of the command line.
fn takes_next(command: &Command, word: &str) -> bool {
    let long = word.strip_prefix("--");
    let arg = command
        .get_arguments()
        .find(|arg| long.is_some() && arg.get_long() == long);
    arg.is_some_and(|arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
}

/// Removes what the environment sets, which is not a matter of the file, from the command and one below it.
fn without_environment(command: Command, name: &str) -> Command {
    let clear = |arg: Arg| arg.env(None::<&'static str>);
    let command = command.mut_args(clear);
    match command.find_subcommand(name).is_some() {
        true => command.mut_subcommand(name, |inner| inner.mut_args(clear)),
        false => command,
    }
}

/// Returns the flag of a setting.
fn find<'a>(command: &'a Command, wanted: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| key(arg).is_some_and(|key| key == wanted))
}

/// Returns whether the command line or the environment sets a flag.
fn is_set(arg: &Arg, given: &ArgMatches) -> bool {
    let on_command_line =
        given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    // Not as the arguments say: an invalid variable before this one hides it there.
    on_command_line
        || arg
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some())
}

/// Returns the arguments that set a flag.
fn flags(arg: &Arg, values: &[String]) -> Vec<OsString> {
    let Some(long) = arg.get_long() else {
        return Vec::new();
    };
    match arg.get_action() {
        ArgAction::SetTrue => {
            let is_true = values.iter().any(|value| value == "true");
            is_true
                .then(|| format!("--{long}").into())
                .into_iter()
                .collect()
        }
        _ => values
            .iter()
            .map(|value| format!("--{long}={value}").into())
            .collect(),
    }
}

/// Returns why a setting of a file is invalid.
fn problem(entry: &Entry, arg: &Arg, settings: &Command, bare: &Command) -> Option<Explanation> {
    let key = &entry.key;
    let file = format!("{key}_file");
    if arg.is_hide_env_values_set() && find(settings, &file).is_some() {
        return Some(Explanation::with_hint(
            format!(
                "`{key}` is not allowed in a configuration file, which must not contain secrets"
            ),
            format!("write the secret to a file of its own, and its path to `{file}`"),
        ));
    }
    let values = match value::values(entry, arg) {
        Ok(values) => values,
        Err(explanation) => return Some(explanation),
    };
    let mut arguments: Vec<OsString> = vec![bare.get_name().into()];
    if bare.find_subcommand(settings.get_name()).is_some() {
        arguments.push(settings.get_name().into());
    }
    arguments.extend(flags(arg, &values));
    let error = bare.clone().try_get_matches_from(arguments).err()?;
    // Other flags, which may be missing here, are checked together with the arguments.
    let is_of_value = matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
    );
    if is_of_value && entry.value == Value::Text(String::new()) {
        let hint = format!("set a value, or remove `{key}`");
        return Some(Explanation::with_hint(format!("`{key}` is empty"), hint));
    }
    is_of_value.then(|| invalid(key, arg, settings, &error))
}

/// Explains why clap rejected a value.
fn invalid(key: &str, arg: &Arg, settings: &Command, error: &clap::Error) -> Explanation {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) if !text.is_empty() => {
            Some(format!(" `{}`", hide_user_info(text)))
        }
        _ => None,
    };
    let value = text(ContextKind::InvalidValue).filter(|_| !arg.is_hide_env_values_set());
    let reason = std::error::Error::source(error).map(|source| format!(": {source}"));
    let message = format!(
        "invalid value{} of `{key}`{}",
        value.unwrap_or_default(),
        reason.unwrap_or_default()
    );
    let hint = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            let valid: Vec<String> = valid.iter().map(|value| format!("`{value}`")).collect();
            format!("set it to one of {}", valid.join(", "))
        }
        _ => format!(
            "`{} --help` describes --{}",
            settings.get_bin_name().unwrap_or(settings.get_name()),
            arg.get_long().unwrap_or_default()
        ),
    };
    Explanation::with_hint(message, hint)
}

/// Explains that a setting does not exist.
fn unknown(entry: &Entry, settings: &Command) -> Explanation {
    let name = &entry.key;
    if entry.value == Value::Table {
        return Explanation::with_hint(
            format!("unknown table `{name}`"),
            "settings are not grouped in tables: write each one as `name = value`",
        );
    }
    let keys: Vec<String> = settings.get_arguments().filter_map(key).collect();
    let by_variable = settings
        .get_arguments()
        .find(|arg| {
            arg.get_env()
                .is_some_and(|variable| variable == name.as_str())
        })
        .and_then(key);
    let file = format!("{name}_file");
    let meant = by_variable
        .or_else(|| keys.contains(&file).then_some(file))
        .or_else(|| nearest(name, keys.iter().map(String::as_str)).map(str::to_owned));
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!(
            "`{} --help` lists the settings; a flag like --two-words is `two_words` here",
            settings.get_bin_name().unwrap_or(settings.get_name())
        ),
    };
    Explanation::with_hint(format!("unknown setting `{name}`"), hint)
}
