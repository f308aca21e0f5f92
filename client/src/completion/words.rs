//! The command line that is being completed.

use std::ffi::OsString;

use crate::chosen::Wanted;

/// Options whose value is the next word.
const WITH_VALUE: &[&str] = &[
    "--server",
    "--ca",
    "--token",
    "--json",
    "--jq",
    "--color",
    "--arch",
    "--stage",
    "--attempt",
    "--iteration",
    "--limit",
    "--state",
];

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
            let value = match WITH_VALUE.contains(&name) {
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
    use super::*;

    #[test]
    fn finds_arguments_between_options() {
        let line = "buildbtw -- buildbtw --server http://a logs --arch x86_64 --token=t --follow space lib";
        let words = Words::parse(line.split(' ').map(OsString::from));
        assert_eq!(words.arguments, ["space", "lib"]);
        assert_eq!(words.wanted.server.as_deref(), Some("http://a"));
        assert_eq!(words.wanted.token.as_deref(), Some("t"));
        assert_eq!(Words::parse([]), Words::default());
    }
}
