//! The command line.

use std::error::Error as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use buildbtw_builder::SourceNetwork;
use buildbtw_model::api::FollowDefault;
use buildbtw_model::{
    Architecture, AttemptId, BuildToolName, BuildToolVersion, MissingKeys, NamespaceName,
    NetworkPolicy, OriginSpec, Packager, Pkgbase, RepositoryName, Scope, TokenScope,
};
use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::EXIT_ERROR;
use crate::output::time::parse_seconds;
use crate::output::{self, ColorChoice};

/// Rebuilds packages and everything that depends on them.
///
/// Exit codes: 0 when all went well; commands that wait for a rebuild exit with 1 when it failed and
/// with 2 when it was cancelled; 3 for every error.
#[derive(Debug, Parser)]
#[command(name = "buildbtw", version, about, max_term_width = 100)]
pub struct Cli {
    /// Settings of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Settings of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// The server's address [default: the one of the last login, else http://127.0.0.1:8080].
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "BUILDBTW_SERVER",
        help_heading = "Global options"
    )]
    pub server: Option<String>,
    /// The token to use, instead of the one of the last login.
    #[arg(
        long,
        global = true,
        env = "BUILDBTW_TOKEN",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub token: Option<String>,
    /// Print JSON, as the server sends it.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// When to use colours.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: ColorChoice,
}

/// What the client can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Rebuild something and everything that depends on it.
    New(New),
    /// List the namespaces.
    List,
    /// Show a namespace and its builds.
    Show(Show),
    /// Show what a rebuild would be, without starting it.
    Plan(Plan),
    /// Explain why something is rebuilt.
    Why(Why),
    /// Plan a namespace again; what is as before is carried over.
    NewIteration(NewIteration),
    /// Try failed builds again, and build what waited for them.
    Retry(Retry),
    /// Stop what runs of a namespace and hold the rest.
    Cancel(Namespace),
    /// Let a cancelled namespace go on.
    Resume(Namespace),
    /// Remove a namespace with its repositories and logs.
    Delete(Delete),
    /// Follow a rebuild to its end.
    Watch(Watch),
    /// Print the log of a build.
    Logs(Logs),
    /// List the source repositories and what is wrong with them.
    Sources(Sources),
    /// Make, list and revoke tokens; needs a token of scope admin.
    #[command(subcommand)]
    Token(Token),
    /// Keep a server's address and a token for later commands.
    Login(Login),
    /// Print completions for a shell.
    Completions(Completions),
    /// Build one package on this machine, as a worker would.
    Build(Build),
    /// Run a command in a root that is kept in a folder.
    Sandbox(Sandbox),
}

/// Makes a namespace.
#[derive(Args, Debug)]
pub struct New {
    /// What to build: a source repository and a branch, tag or commit of it, or the address of a merge
    /// request.
    #[arg(required = true, value_name = "PKGBASE/REF|URL")]
    pub changesets: Vec<OriginSpec>,
    /// The namespace's name [default: the first pkgbase and a number].
    #[arg(long)]
    pub name: Option<NamespaceName>,
    /// How far the rebuild spreads.
    #[command(flatten)]
    pub spread: Spread,
    /// Refuse to rebuild more than this many packages.
    #[arg(long, value_name = "N")]
    pub max_builds: Option<u32>,
    /// Leave releases as they are: rebuilt packages get no higher pkgrel.
    #[arg(long)]
    pub no_bump: bool,
    /// Network policy of its builds: none, sources or prepare.
    ///
    /// With prepare, prepare() and pkgver() have a network, which packages need that download with cargo,
    /// go, npm or pip. The server may allow less [default: the server's, usually sources]
    #[arg(long, value_name = "POLICY")]
    pub network: Option<NetworkPolicy>,
    /// How long to gather changes of default branches before a new iteration is made (10m, 1h), or never.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10m",
        value_parser = follow_default
    )]
    pub follow_default: FollowDefault,
    /// Wait for the end. With --json: prints an event per line, then the iteration.
    #[arg(long)]
    pub follow: bool,
}

/// How far a rebuild spreads.
#[derive(Args, Debug)]
pub struct Spread {
    /// How far the rebuild spreads: origin, direct, soname, transitive or all.
    #[arg(long, default_value_t = Scope::Transitive)]
    pub scope: Scope,
    /// Rebuild what matches too, although the scope does not reach it (shell pattern of pkgbases).
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// Leave alone what matches; nothing spreads through it (shell pattern of pkgbases).
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Build a member of a cycle first without the cycle.
    ///
    /// Its PKGBUILD must do without the makedepends and checkdepends that lead back to it when
    /// BUILDBTW_BOOTSTRAP is 1. It is built again when everything it needs is there. A plan asks for this when
    /// the old packages of a cycle cannot be installed beside new libraries.
    #[arg(long, value_name = "PKGBASE")]
    pub bootstrap: Vec<Pkgbase>,
    /// Expect that new versions keep their sonames.
    ///
    /// A plan expects another soname from a library whose first version number changed, and asks for --bootstrap
    /// where that breaks the old packages of a cycle.
    #[arg(long)]
    pub same_sonames: bool,
}

fn follow_default(text: &str) -> Result<FollowDefault, String> {
    if text == "never" {
        return Ok(FollowDefault::Never);
    }
    parse_seconds(text).map(FollowDefault::AfterS)
}

/// Shows what a rebuild would be.
#[derive(Args, Debug)]
pub struct Plan {
    /// What would be built: PKGBASE/REF of the server's sources, or PKGBASE with --srcinfo.
    #[arg(required = true, value_name = "PKGBASE[/REF]")]
    pub origins: Vec<String>,
    /// Plan offline, on a folder of `<pkgbase>/.SRCINFO` files.
    #[arg(long, value_name = "DIR")]
    pub srcinfo: Option<PathBuf>,
    /// How far the rebuild spreads.
    #[command(flatten)]
    pub spread: Spread,
    /// Leave releases as they are.
    ///
    /// Shows the plan of a namespace that is made with `new --no-bump`.
    #[arg(long)]
    pub no_bump: bool,
    /// The architecture [default: the server's first one; with --srcinfo this machine's].
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Architecture>,
    /// The form of the answer [default: text, or json with --json].
    #[arg(long, value_enum, value_name = "FORM")]
    pub format: Option<PlanForm>,
}

/// The forms a plan is shown in.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PlanForm {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
}

/// Explains why something is rebuilt.
#[derive(Args, Debug)]
pub struct Why {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source package.
    pub pkgbase: Pkgbase,
}

/// Makes a new iteration.
#[derive(Args, Debug)]
pub struct NewIteration {
    /// The namespace.
    pub namespace: NamespaceName,
    /// Plan with what the base repositories hold now, instead of what they held at first.
    #[arg(long)]
    pub refresh_base: bool,
    /// Build a member of a cycle first without the cycle, from now on; see `new --help`.
    #[arg(long, value_name = "PKGBASE")]
    pub bootstrap: Vec<Pkgbase>,
    /// Take back a --bootstrap of this namespace.
    #[arg(long, value_name = "PKGBASE")]
    pub no_bootstrap: Vec<Pkgbase>,
    /// Expect that new versions keep their sonames, from now on.
    ///
    /// See `new --help`. `--same-sonames=false` takes it back; without the option it stays as it is.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub same_sonames: Option<bool>,
}

/// Tries failed builds again.
#[derive(Args, Debug)]
pub struct Retry {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source packages to try again [default: all that failed].
    pub pkgbases: Vec<Pkgbase>,
    /// Build newer commits where there are some.
    ///
    /// Plans a new iteration when an origin or a failed package has a newer commit; what is unchanged is
    /// reused. Without newer commits, tries the failed builds again.
    #[arg(long)]
    pub latest: bool,
}

/// Does something to a namespace as a whole.
#[derive(Args, Debug)]
pub struct Namespace {
    /// The namespace.
    pub namespace: NamespaceName,
}

/// Removes a namespace.
#[derive(Args, Debug)]
pub struct Delete {
    /// The namespace.
    pub namespace: NamespaceName,
    /// Do not ask first. Nothing is asked either where there is no terminal.
    #[arg(long, short)]
    pub yes: bool,
}

/// Shows a namespace.
#[derive(Args, Debug)]
pub struct Show {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The iteration [default: the newest].
    #[arg(long, value_name = "N")]
    pub iteration: Option<u32>,
}

/// Follows a namespace.
#[derive(Args, Debug)]
pub struct Watch {
    /// The namespace.
    pub namespace: NamespaceName,
}

/// Prints a log.
#[derive(Args, Debug)]
pub struct Logs {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The architecture; needed when it is built for several.
    #[arg(long, value_name = "ARCH")]
    pub architecture: Option<Architecture>,
    /// The stage [default: the last that was tried].
    #[arg(long, value_name = "N")]
    pub stage: Option<u32>,
    /// The attempt [default: the newest].
    #[arg(long, value_name = "ID")]
    pub attempt: Option<AttemptId>,
    /// Go on until the attempt ends, and wait for it to begin.
    #[arg(long)]
    pub follow: bool,
}

/// Lists sources.
#[derive(Args, Debug)]
pub struct Sources {
    /// Only those that cannot be used.
    #[arg(long)]
    pub broken: bool,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it, this once.
    Create(TokenCreate),
    /// List all tokens.
    List,
    /// Revoke a token, at once.
    Revoke {
        /// Its number in the list.
        id: i64,
        /// Revoke it even if it is the last valid admin token. The server creates another one at its next
        /// start.
        #[arg(long)]
        force: bool,
    },
}

/// Makes a token.
#[derive(Args, Debug)]
pub struct TokenCreate {
    /// What it allows: client, worker or admin.
    #[arg(long)]
    pub scope: TokenScope,
    /// What it is for, for people.
    #[arg(long)]
    pub name: String,
    /// When it expires, for example 12h, 30d or 8w [default: never].
    #[arg(long, value_name = "DURATION", value_parser = output::time::parse_seconds)]
    pub expires: Option<u32>,
    /// Write it to a file that only you can read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Logs in.
#[derive(Args, Debug)]
pub struct Login {
    /// Read the token from a file [default: asks for it, or reads standard input].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Prints completions.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Builds a package locally.
#[derive(Args, Debug)]
pub struct Build {
    /// The folder with PKGBUILD and .SRCINFO.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Where the packages go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// A pacman repository to install dependencies from; the first one that has a package wins.
    #[arg(long = "repository", value_name = "NAME=URL")]
    pub repositories: Vec<RepositoryArgument>,
    /// What to build for [default: this machine's architecture].
    #[arg(long, value_name = "ARCH")]
    pub architecture: Option<Architecture>,
    /// The release to write into the PKGBUILD.
    #[arg(long, value_name = "R")]
    pub pkgrel: Option<String>,
    /// `PACKAGER` of the packages, as in makepkg.conf.
    #[arg(
        long,
        value_name = "NAME <MAIL>",
        env = "BUILDBTW_PACKAGER",
        default_value_t = Packager::default()
    )]
    pub packager: Packager,
    /// `BUILDTOOL` of the packages [default: buildbtw].
    #[arg(long, value_name = "NAME", requires = "buildtoolver")]
    pub buildtool: Option<BuildToolName>,
    /// `BUILDTOOLVER` of the packages [default: the version of buildbtw].
    #[arg(long, value_name = "VERSION")]
    pub buildtoolver: Option<BuildToolVersion>,
    /// The date of the packages and their files, in seconds since 1970 [default: now].
    ///
    /// With the `builddate` of a package's .BUILDINFO and the PKGBUILD that was kept of its build, the
    /// package comes out again, byte for byte.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub source_date_epoch: Option<u64>,
    /// Network policy: none, sources or prepare (prepare() and pkgver() have a network, too).
    #[arg(long, value_name = "POLICY", default_value_t)]
    pub network: NetworkPolicy,
    /// A network that sources are fetched from although it is this machine's or private; repeatable.
    #[arg(
        long = "allow-source-network",
        value_name = "CIDR",
        env = "BUILDBTW_ALLOW_SOURCE_NETWORK",
        value_delimiter = ','
    )]
    pub allow_source_networks: Vec<SourceNetwork>,
    /// What happens when a source is signed with a key that is not in keys/pgp: fail or warn.
    #[arg(long, value_name = "ACTION", default_value_t)]
    pub missing_keys: MissingKeys,
}

/// Runs a command in a root.
#[derive(Args, Debug)]
pub struct Sandbox {
    /// The folder that keeps the root; made when it is not there.
    #[arg(long)]
    pub dir: PathBuf,
    /// Let the command use this machine's network.
    #[arg(long)]
    pub network: bool,
    /// A pacman repository for the root's pacman.conf; the first one that has a package wins.
    #[arg(long = "repository", value_name = "NAME=URL")]
    pub repositories: Vec<RepositoryArgument>,
    /// Show a folder or file of this machine inside, read-only unless `:rw` follows.
    #[arg(long = "bind", value_name = "SRC:DST[:rw]")]
    pub binds: Vec<BindArgument>,
    /// The command and its arguments.
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
                "'{url}' is no http://, https:// or file:// address"
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
    /// The path outside.
    pub source: PathBuf,
    /// The path inside.
    pub target: PathBuf,
    /// Whether it can be changed from inside.
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

/// Prints what clap has to say. What our own types complain about becomes one line and a hint.
#[must_use]
pub fn report_usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is nothing to complain about.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::ValueValidation => {
            if let Some(source) = error.source() {
                let source = source.to_string();
                let text = |kind| error.get(kind).map(ToString::to_string);
                let message = match (
                    text(ContextKind::InvalidArg),
                    text(ContextKind::InvalidValue),
                ) {
                    // What the standard library says names neither.
                    (Some(argument), Some(value)) if !source.contains(&value) => {
                        format!("{argument} '{value}': {source}")
                    }
                    _ => source,
                };
                output::report(
                    &message,
                    Some("`buildbtw help` shows how commands are used"),
                );
                return ExitCode::from(EXIT_ERROR);
            }
            let _ = error.print();
        }
        _ => {
            let _ = error.print();
        }
    }
    let _ = std::io::stderr().flush();
    ExitCode::from(EXIT_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn accepts_own_clap_definition() {
        Cli::command().debug_assert();
    }

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
