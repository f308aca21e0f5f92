//! Commands that show more than one namespace, or show it elsewhere.

use std::fmt;
use std::str::FromStr;

use buildbtw_model::{NamespaceName, Pkgbase};
use clap::{Args, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::rows::LimitArgs;
use crate::completion;

/// The arguments of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// List the namespaces of everyone, not only yours
    ///
    /// Without a token, they are listed in any case.
    #[arg(long)]
    pub everyone: bool,
    /// How many namespaces of each kind.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// The arguments of `open`.
#[derive(Args, Debug)]
pub struct OpenArgs {
    /// Name of the namespace
    ///
    /// [default: the page of all namespaces]
    #[arg(add = ArgValueCompleter::new(completion::namespaces))]
    pub namespace: Option<NamespaceName>,
    /// Source package whose build to open
    #[arg(add = ArgValueCompleter::new(completion::builds))]
    pub pkgbase: Option<Pkgbase>,
    /// Print the address instead of opening it
    #[arg(long)]
    pub print: bool,
}

/// The arguments of `diff`.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// Namespace or iteration to compare
    ///
    /// A name alone is its newest iteration, `NAME/N` the iteration N.
    #[arg(value_name = "A", add = ArgValueCompleter::new(completion::compared_iterations))]
    pub a: IterationArgument,
    /// Namespace or iteration to compare it with
    ///
    /// [default: A's newest iteration with the one before]
    #[arg(value_name = "B", add = ArgValueCompleter::new(completion::compared_iterations))]
    pub b: Option<IterationArgument>,
    /// How many differences.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// An iteration of a namespace; the newest one without a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IterationArgument {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The number of the iteration.
    pub number: Option<u32>,
}

impl FromStr for IterationArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = match text.split_once('/') {
            None => (text, None),
            Some((name, number)) => {
                let number = number.parse().ok().filter(|number| *number > 0);
                let invalid = || format!("`{text}` is not an iteration: expected NAME or NAME/N");
                (name, Some(number.ok_or_else(invalid)?))
            }
        };
        let namespace = name.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { namespace, number })
    }
}

impl fmt::Display for IterationArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            None => self.namespace.fmt(f),
            Some(number) => write!(f, "{}/{number}", self.namespace),
        }
    }
}

/// The arguments of `config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// What to do with the settings; without it, they are listed.
    #[command(subcommand)]
    pub action: Option<ConfigCommand>,
}

/// Subcommands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// List the settings, and where each is from
    List,
    /// Print a setting
    Get {
        /// Name of the setting
        key: ConfigKey,
    },
    /// Save a setting
    Set {
        /// Name of the setting
        key: ConfigKey,
        /// Value of the setting
        value: String,
    },
    /// Remove a saved setting
    Unset {
        /// Name of the setting
        key: ConfigKey,
    },
}

/// A setting of the client. Tokens are saved by `login` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConfigKey {
    /// URL of the server
    Server,
    /// PEM file of additional certificate authorities
    Ca,
}

impl ConfigKey {
    /// Returns the name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Ca => "ca",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_iterations() {
        let parse = |text: &str| text.parse::<IterationArgument>();
        assert_eq!(parse("set").unwrap().number, None);
        assert_eq!(parse("set/12").unwrap().number, Some(12));
        assert_eq!(parse("set/12").unwrap().to_string(), "set/12");
        for bad in ["", "Set", "set/", "set/0", "set/x", "set/1/2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
