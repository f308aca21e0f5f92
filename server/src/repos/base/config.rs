//! The file of base repositories.

use std::path::Path;

use buildbtw_model::settings::read_text;
use buildbtw_model::{Architecture, Explanation, RepositoryName};
use buildbtw_settings::line_of;
use serde::Deserialize;
use toml::Spanned;

/// The setting with the file.
const SETTING: &str = "--base-repositories";
/// What the file contains.
const HINT: &str = "/usr/share/doc/buildbtw-server/operations.md (notes/operations.md) describes the file of base \
                    repositories";
/// The values of `SigLevel` (pacman.conf(5), "Package and database signature checking"). All may have a prefix.
const SIG_LEVELS: [&str; 5] = ["Never", "Optional", "Required", "TrustedOnly", "TrustAll"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    repository: Vec<Spanned<BaseRepository>>,
}

/// A configured base repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BaseRepository {
    pub(super) name: RepositoryName,
    pub(super) architectures: Vec<Architecture>,
    pub(super) servers: Vec<String>,
    #[serde(default = "default_sig_level")]
    pub(super) sig_level: String,
}

fn default_sig_level() -> String {
    "Required DatabaseOptional".into()
}

/// Reads the file.
///
/// # Errors
/// When it cannot be read, or is invalid.
pub(super) fn read(path: &Path) -> Result<Vec<BaseRepository>, Explanation> {
    let text = read_text(SETTING, path).map_err(|error| error.hint(HINT))?;
    parse(&text).map_err(|(start, reason)| {
        let line = line_of(&text, start);
        let message = format!(
            "cannot use {SETTING} `{}`: line {line}: {reason}",
            path.display()
        );
        Explanation::with_hint(message, HINT)
    })
}

/// Parses the text of a file. An error has the byte that it is about.
fn parse(text: &str) -> Result<Vec<BaseRepository>, (usize, String)> {
    let file: ConfigFile = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        // What was expected is on a line of its own.
        (start, error.message().replace('\n', ", "))
    })?;
    let mut read: Vec<BaseRepository> = Vec::new();
    for repository in file.repository {
        let start = repository.span().start;
        let repository = repository.into_inner();
        check(&repository).map_err(|reason| (start, reason))?;
        let name = &repository.name;
        let mut same = read.iter().filter(|other| other.name == *name);
        let shared = same.find_map(|other| {
            let mut architectures = other.architectures.iter();
            architectures.find(|architecture| repository.architectures.contains(architecture))
        });
        if let Some(architecture) = shared {
            let reason = format!("[{name}] is listed twice for {architecture}");
            return Err((start, reason));
        }
        read.push(repository);
    }
    Ok(read)
}

fn check(repository: &BaseRepository) -> Result<(), String> {
    let name = &repository.name;
    if repository.servers.is_empty() || repository.architectures.is_empty() {
        return Err(format!(
            "[{name}] needs at least one server and one architecture"
        ));
    }
    // Both become lines of `pacman.conf`.
    let mut lines = repository.servers.iter().chain([&repository.sig_level]);
    if lines.any(|line| line.contains(['\n', '\r'])) {
        return Err(format!(
            "a server or sig_level of [{name}] contains a line break"
        ));
    }
    let level = &repository.sig_level;
    let is_level = |word: &str| {
        let prefixes = ["Package", "Database"].into_iter();
        let bare = prefixes
            .filter_map(|prefix| word.strip_prefix(prefix))
            .next();
        SIG_LEVELS.contains(&bare.unwrap_or(word))
    };
    if level.split_whitespace().next().is_none() || !level.split_whitespace().all(is_level) {
        let known = SIG_LEVELS.join(", ");
        return Err(format!(
            "`{level}` is not a sig_level of [{name}]: expected words of {known}, each optionally with the prefix \
             Package or Database"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str, architecture: &str, sig_level: &str) -> String {
        format!(
            "[[repository]]\nname = '{name}'\narchitectures = ['{architecture}']\nservers = ['http://x']\n\
             sig_level = '{sig_level}'\n"
        )
    }

    #[test]
    fn accepts_what_pacman_accepts() {
        for level in [
            "Never",
            "Required DatabaseOptional",
            "PackageRequired  DatabaseNever TrustAll",
            "DatabaseTrustedOnly",
        ] {
            assert!(
                parse(&repository("core", "x86_64", level)).is_ok(),
                "{level}"
            );
        }
        let per_architecture =
            repository("core", "x86_64", "Never") + &repository("core", "aarch64", "Never");
        assert_eq!(parse(&per_architecture).unwrap().len(), 2);
    }

    #[test]
    fn reasons_match_snapshot() {
        let core = repository("core", "x86_64", "Never");
        let list = |architectures: &str, servers: &str| {
            format!(
                "[[repository]]\nname = 'core'\narchitectures = {architectures}\nservers = {servers}\n"
            )
        };
        let files = [
            format!("{core}{core}"),
            list("['x86_64']", "[]"),
            list("[]", "['https://a.example']"),
            list("['x86_64']", "[\"https://a.example\\n\"]"),
            repository("core", "x86_64", "Maybe"),
            "[[repositories]]".to_owned(),
        ];
        insta::assert_snapshot!(files.map(|text| parse(&text).unwrap_err().1).join("\n"));
    }

    #[test]
    fn refuses_invalid_file_with_its_line() {
        let core = repository("core", "x86_64", "Never");
        let with = |second: &str| format!("{core}\n{second}");
        for (text, line, named) in [
            (with(&repository("extra", "x86_64", "Maybe")), 7, "`Maybe`"),
            (with(&repository("extra", "x86_64", "never")), 7, "`never`"),
            (with(&repository("extra", "x86_64", "")), 7, "sig_level"),
            (
                with(&repository("extra", "x86_64", "Package")),
                7,
                "`Package`",
            ),
            (with(&core), 7, "[core] is listed twice for x86_64"),
            (with("[[repository]]"), 7, "missing field `name`"),
            (with("[[repository]]\nname = 1"), 8, "invalid type"),
            (with("name"), 7, "key with no value, expected `=`"),
            (with("[[repositories]]"), 7, "unknown field `repositories`"),
        ] {
            let (start, reason) = parse(&text).unwrap_err();
            assert!(reason.contains(named), "{text}: {reason}");
            assert!(!reason.contains('\n'), "{reason}");
            assert_eq!(line_of(&text, start), line, "{text}: {reason}");
        }
    }
}
