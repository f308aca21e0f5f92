//! Commands that work on this machine, without a server.

use std::path::PathBuf;

use buildbtw_model::RepositoryName;
use clap::Args;

/// The arguments of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Shell to print completions for
    pub shell: clap_complete::Shell,
}

/// The arguments of `sandbox`.
#[derive(Args, Debug)]
pub struct SandboxArgs {
    /// Folder for the root
    ///
    /// It is created if it does not exist.
    #[arg(long)]
    pub dir: PathBuf,
    /// Root of a pacstrapped system below the new root
    ///
    /// [default: this machine's /usr]
    #[arg(long, value_name = "DIR", env = "BUILDBTW_BASE_ROOT")]
    pub base_root: Option<PathBuf>,
    /// Let the command use this machine's network
    #[arg(long)]
    pub network: bool,
    /// Pacman repository for the root's pacman.conf
    ///
    /// Repeatable. The first repository that has a package wins.
    #[arg(long = "repository", value_name = "NAME=URL")]
    pub repositories: Vec<RepositoryArgument>,
    /// Folder or file of this machine to mount
    ///
    /// Read-only unless `:rw` follows. Repeatable.
    #[arg(long = "bind", value_name = "SRC:DST[:rw]")]
    pub binds: Vec<BindArgument>,
    /// Command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// `NAME=URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryArgument {
    /// The repository's name.
    pub name: RepositoryName,
    /// Its `Server` line.
    pub url: String,
}

impl std::str::FromStr for RepositoryArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, url) = text
            .split_once('=')
            .ok_or("expected NAME=URL, for example base=file:///srv/repo")?;
        let known = ["http://", "https://", "file://"];
        if !known.iter().any(|scheme| url.starts_with(scheme)) || url.contains(char::is_control) {
            return Err(format!(
                "`{url}` is not an http://, https:// or file:// URL"
            ));
        }
        let name = name.parse().map_err(|error| format!("{error}"))?;
        let url = url.to_owned();
        Ok(Self { name, url })
    }
}

/// `SRC:DST` or `SRC:DST:rw`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindArgument {
    /// The path on this machine.
    pub source: PathBuf,
    /// The path in the root.
    pub target: PathBuf,
    /// Whether the command can write to it.
    pub writable: bool,
}

impl std::str::FromStr for BindArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (paths, writable) = match text.strip_suffix(":rw") {
            Some(paths) => (paths, true),
            None => (text, false),
        };
        match paths.split_once(':') {
            Some((source, target)) if !source.is_empty() && target.starts_with('/') => Ok(Self {
                source: source.into(),
                target: target.into(),
                writable,
            }),
            _ => Err("expected SRC:DST or SRC:DST:rw, with an absolute DST".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_malformed_repositories_and_bind_mounts() {
        let repository: RepositoryArgument = "base=file:///srv/a=b".parse().unwrap();
        assert_eq!(repository.url, "file:///srv/a=b");
        for bad in [
            "base",
            "=http://x",
            "base=/srv",
            "a b=http://x",
            "b=http://x\n[y]",
        ] {
            assert!(bad.parse::<RepositoryArgument>().is_err(), "{bad:?}");
        }
        let bind: BindArgument = "a:/b:rw".parse().unwrap();
        assert!(bind.writable && bind.target.ends_with("b"));
        for bad in ["a", "a:b", ":/b"] {
            assert!(bad.parse::<BindArgument>().is_err(), "{bad:?}");
        }
    }
}
