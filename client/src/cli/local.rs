//! Commands that work on this machine, without a server.

use std::path::PathBuf;

use buildbtw_builder::SourceNetwork;
use buildbtw_model::settings::any_number;
use buildbtw_model::{
    Architecture, BuildToolName, BuildToolVersion, MissingKeys, NetworkPolicy, Packager,
    RepositoryName,
};
use clap::Args;

use crate::completion;

/// The arguments of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Shell to print completions for
    pub shell: clap_complete::Shell,
}

/// The arguments of `build`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    /// Folder with PKGBUILD and .SRCINFO
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Folder for the packages
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Pacman repository to install dependencies from
    ///
    /// Repeatable. The first repository that has a package wins.
    #[arg(long = "repository", value_name = "NAME=URL")]
    pub repositories: Vec<RepositoryArgument>,
    /// Root of a pacstrapped system to build on
    ///
    /// [default: this machine's /usr]
    #[arg(long, value_name = "DIR", env = "BUILDBTW_BASE_ROOT")]
    pub base_root: Option<PathBuf>,
    /// Architecture to build for
    ///
    /// [default: this machine's architecture]
    #[arg(long, value_name = "ARCH", alias = "architecture")]
    pub arch: Option<Architecture>,
    /// Release to write into the PKGBUILD
    #[arg(long, value_name = "R")]
    pub pkgrel: Option<String>,
    /// `PACKAGER` of the packages, as in makepkg.conf
    #[arg(
        long,
        value_name = "NAME <MAIL>",
        env = "BUILDBTW_PACKAGER",
        default_value_t = Packager::default()
    )]
    pub packager: Packager,
    /// `BUILDTOOL` of the packages
    ///
    /// [default: buildbtw]
    #[arg(long, value_name = "NAME", requires = "buildtoolver")]
    pub buildtool: Option<BuildToolName>,
    /// `BUILDTOOLVER` of the packages
    ///
    /// [default: this program's version]
    #[arg(long, value_name = "VERSION")]
    pub buildtoolver: Option<BuildToolVersion>,
    /// Date of the packages and their files, in seconds since 1970
    ///
    /// With the `builddate` of a package's .BUILDINFO and the kept PKGBUILD of its build, the same
    /// package is built again, byte for byte. [default: now]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "SOURCE_DATE_EPOCH",
        value_parser = any_number::<u64>
    )]
    pub source_date_epoch: Option<u64>,
    /// Network policy: none, sources or prepare
    ///
    /// With `prepare`, prepare() and pkgver() have a network too.
    #[arg(
        long,
        value_name = "POLICY",
        default_value_t,
        add = completion::network_policies()
    )]
    pub network: NetworkPolicy,
    /// Additional network to fetch sources from
    ///
    /// By default this machine's and private networks are refused. Repeatable, or separated by
    /// commas.
    #[arg(
        long = "allow-source-network",
        value_name = "CIDR",
        env = "BUILDBTW_ALLOW_SOURCE_NETWORK",
        value_delimiter = ','
    )]
    pub allow_source_networks: Vec<SourceNetwork>,
    /// Action when the key of a signed source is not in keys/pgp
    ///
    /// `fail`: the build fails. `warn`: the log has a warning.
    #[arg(
        long,
        value_name = "ACTION",
        default_value_t,
        add = completion::missing_keys()
    )]
    pub missing_keys: MissingKeys,
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
