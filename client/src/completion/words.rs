//! The command line that is being completed.

use std::ffi::OsString;

use crate::chosen::Wanted;

/// Options whose value is the next word, of all commands.
const WITH_VALUE: &[&str] = &[
    "--add",
    "--allow-source-network",
    "--arch",
    "--architecture",
    "--attempt",
    "--base-root",
    "--bind",
    "--bootstrap",
    "--buildtool",
    "--buildtoolver",
    "--by",
    "--ca",
    "--color",
    "--dir",
    "--exclude",
    "--expires",
    "--follow-default",
    "--format",
    "--git-ca",
    "--git-credentials",
    "--git-known-hosts",
    "--git-ssh-key",
    "--grep",
    "--include",
    "--iteration",
    "--jq",
    "--json",
    "--limit",
    "--max-builds",
    "--missing-keys",
    "--name",
    "--namespace",
    "--network",
    "--no-bootstrap",
    "--no-exclude",
    "--no-include",
    "--output",
    "--packager",
    "--pkgrel",
    "--priority",
    "--reason",
    "--remove",
    "--repository",
    "--scope",
    "--server",
    "--source-date-epoch",
    "--srcinfo",
    "--stage",
    "--state",
    "--tail",
    "--token",
    "--token-file",
    "-m",
];
/// Options of these names are flags in one command.
const FLAGS_OF: &[(&str, &str)] = &[("sandbox", "--network")];

/// What of the command line matters to completion.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// What options and environment say about the server.
    pub(super) wanted: Wanted,
    /// The arguments after the name of the command.
    pub(super) arguments: Vec<String>,
}

impl Words {
    /// Reads the words with which a shell started this program.
    pub(super) fn of_this_program() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut words = Self::parse(std::env::args_os());
        let wanted = &mut words.wanted;
        wanted.server = wanted.server.take().or_else(|| set("BUILDBTW_SERVER"));
        wanted.token = wanted.token.take().or_else(|| set("BUILDBTW_TOKEN"));
        wanted.ca = wanted
            .ca
            .take()
            .or_else(|| set("BUILDBTW_CA").map(Into::into));
        words
    }

    /// Parses `buildbtw -- buildbtw show space …`.
    fn parse(all: impl IntoIterator<Item = OsString>) -> Self {
        let words = all
            .into_iter()
            .map(|word| word.to_string_lossy().into_owned());
        let mut words = words.skip_while(|word| word != "--").skip(2);
        let mut found = Self::default();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            if !name.starts_with('-') {
                found.arguments.push(word);
                continue;
            }
            let command = found.arguments.first().map_or("", String::as_str);
            let has_value = WITH_VALUE.contains(&name) && !FLAGS_OF.contains(&(command, name));
            let value = match has_value {
                true => value.or_else(|| words.next()),
                false => None,
            };
            match name {
                "--server" => found.wanted.server = value,
                "--token" => found.wanted.token = value,
                "--ca" => found.wanted.ca = value.map(Into::into),
                _ => {}
            }
        }
        // The first is the name of the command.
        if !found.arguments.is_empty() {
            found.arguments.remove(0);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn finds_arguments_between_options() {
        let line = "buildbtw -- buildbtw --server http://a logs --arch x86_64 --token=t --follow space lib";
        let words = Words::parse(line.split(' ').map(OsString::from));
        assert_eq!(words.arguments, ["space", "lib"]);
        assert_eq!(words.wanted.server.as_deref(), Some("http://a"));
        assert_eq!(words.wanted.token.as_deref(), Some("t"));
        assert_eq!(Words::parse([]), Words::default());
    }

    #[test]
    fn knows_the_options_with_a_value_of_all_commands() {
        let mut command = Cli::command();
        command.build();
        let mut commands = vec![&command];
        let (mut checked, mut unused) = (0, WITH_VALUE.to_vec());
        while let Some(command) = commands.pop() {
            commands.extend(
                command
                    .get_subcommands()
                    .filter(|inner| inner.get_name() != "help"),
            );
            for argument in command.get_arguments() {
                let needs_value =
                    argument.get_action().takes_values() && !argument.is_require_equals_set();
                let long = argument.get_long().into_iter();
                let long = long.chain(argument.get_all_aliases().unwrap_or_default());
                let names = long.map(|name| format!("--{name}"));
                let names = names.chain(argument.get_short().map(|name| format!("-{name}")));
                for name in names {
                    let place = (command.get_name(), name.as_str());
                    let is_known = WITH_VALUE.contains(&place.1) && !FLAGS_OF.contains(&place);
                    assert_eq!(is_known, needs_value, "{place:?}");
                    unused.retain(|known| *known != name);
                    checked += 1;
                }
            }
        }
        assert!(checked > 100, "only {checked}");
        assert_eq!(unused, Vec::<&str>::new());
    }

    #[test]
    fn finds_the_namespace_behind_options_of_its_command() {
        let parse = |line: &str| Words::parse(line.split(' ').map(OsString::from)).arguments;
        let line = "buildbtw -- buildbtw edit --add libgreet --scope=all space --remove lib";
        assert_eq!(parse(line), ["space"]);
        let line = "buildbtw -- buildbtw sandbox --network --dir d";
        assert_eq!(parse(line), Vec::<String>::new());
    }
}
