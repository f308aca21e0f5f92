//! Checks the signatures of sources with makepkg and the keys in the repository's `keys/pgp`. This is a
//! separate run; the others skip the check.

use std::path::Path;

use buildbtw_model::{Explanation, MissingKeys, source_protocol};

use super::Makepkg;
use crate::failure::Failure;
use crate::sandbox::helper::accounts::BUILD_USER;
use crate::sandbox::helper::bwrap::{Sandboxed, View};
use crate::sandbox::helper::headings::heading;
use crate::sandbox::helper::run::exit_code;
use crate::sys::Identity;

/// The path of the keyring inside the sandbox.
const KEYS_PATH: &str = "/run/buildbtw/keys";
/// The path of the tree while keys are imported.
const TREE_PATH: &str = "/run/buildbtw/tree";
/// The build folder of this run, which unpacks nothing.
const BUILD_PATH: &str = "/run/buildbtw/signatures";
/// Imports all readable keys, and prints the names of the other files.
const IMPORT: &str = r#"
command -v gpg >/dev/null || exit 3
shopt -s nullglob
for file in "$1"/keys/pgp/*.asc; do
  [[ -f $file && ! -L $file ]] && gpg --batch --no-tty --quiet --import "$file" >&2 && continue
  printf '%s\n' "${file##*/}"
done
exit 0
"#;
/// The exit code of the script on a machine without gpg.
const NO_GPG: i32 = 3;
/// How many names a message lists.
const NAMES_SHOWN: usize = 4;
/// makepkg's message about an unknown key, followed by the key.
const UNKNOWN: &str = "unknown public key ";

/// A signature that was not verified.
#[derive(Debug, PartialEq, Eq)]
struct Unverified {
    file: String,
    /// makepkg's reason; empty if it gives none.
    why: String,
}

/// The results of makepkg's signature check, parsed from its output.
#[derive(Debug, Default)]
struct SignatureResults {
    is_checking: bool,
    lacks_gpg: bool,
    /// The file whose result comes next. Programs that unpack sources may print between them, including line
    /// feeds.
    pending: Option<String>,
    passed: usize,
    unverified: Vec<Unverified>,
}

impl SignatureResults {
    fn line(&mut self, line: &str) {
        if let Some(message) = line.strip_prefix("==> ") {
            self.is_checking = message.starts_with("Verifying source file signatures");
            self.lacks_gpg |= message.contains("Cannot find the gpg binary");
            return;
        }
        if !self.is_checking {
            return;
        }
        let mut result = line.trim();
        // The space at the end of a line may be missing.
        let padded = format!("{} ", line.trim_start());
        if let Some((file, rest)) = padded.split_once(" ... ") {
            self.pending = Some(file.trim_end_matches(" git repo").to_owned());
            result = rest.trim();
        }
        if result.starts_with("Passed") {
            self.passed += 1;
            self.pending = None;
            return;
        }
        let why = match result.split_once('(') {
            _ if result.ends_with("NOT FOUND") => result.to_lowercase(),
            _ if !result.starts_with("FAILED") => return,
            Some((_, why)) => why.trim_end_matches(')').to_owned(),
            None => String::new(),
        };
        self.unverified.push(Unverified {
            file: self.pending.take().unwrap_or_default(),
            why,
        });
    }

    /// Returns whether there is a result for each of `signed` signatures, and missing keys are the only
    /// problem.
    fn lacks_only_keys(&self, signed: usize) -> bool {
        let is_unknown = |unverified: &Unverified| unverified.why.starts_with(UNKNOWN);
        !self.unverified.is_empty()
            && self.unverified.iter().all(is_unknown)
            && self.is_complete(signed)
    }

    /// Returns whether there are as many results as signatures.
    fn is_complete(&self, signed: usize) -> bool {
        self.passed + self.unverified.len() == signed
    }

    /// Returns the failure for an exit code of makepkg. `unread` are files in keys/pgp without a readable
    /// key.
    fn failure(&self, code: i32, unread: &[String]) -> Failure {
        if self.lacks_gpg {
            return no_gpg();
        }
        // A bad signature is more important than a missing key.
        let worst = self
            .unverified
            .iter()
            .find(|unverified| !unverified.why.starts_with(UNKNOWN))
            .or(self.unverified.first());
        match worst {
            Some(Unverified { file, why }) => Failure::package(
                explained(why, unread)
                    .map(|why| format!("the signature of `{file}` could not be verified: {why}")),
            ),
            None => Failure::package(format!(
                "the signatures of the sources could not be checked (makepkg: exit {code})"
            ))
            .see_log(),
        }
    }
}

fn no_gpg() -> Failure {
    Failure::infrastructure(
        "the signatures of the sources could not be checked: gpg is not installed",
    )
    .hint("install the package gnupg")
}

/// Removes control characters from a file name, which is untrusted.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

fn explained(why: &str, unread: &[String]) -> Explanation {
    if let Some(key) = why.strip_prefix(UNKNOWN) {
        let names: Vec<&str> = unread
            .iter()
            .take(NAMES_SHOWN)
            .map(String::as_str)
            .collect();
        let unread = match names.is_empty() {
            true => String::new(),
            false => format!(", and no key can be read from {}", names.join(", ")),
        };
        return Explanation::with_hint(
            format!("the key {key} is not in keys/pgp{unread}"),
            format!(
                "add it with `gpg --export --armor {key} > keys/pgp/FINGERPRINT.asc`; an operator can allow \
                 missing keys with `--missing-keys warn`"
            ),
        );
    }
    if let Some(key) = why.strip_prefix("invalid public key ") {
        return format!("validpgpkeys does not list the key {key}, which created it").into();
    }
    match why {
        "" => "it is not a signature of this file".into(),
        why => why.into(),
    }
}

/// Returns whether an entry of `source` is a signature, or a commit or tag that must be signed.
fn is_signed(entry: &str) -> bool {
    let name = entry.split_once("::").map_or(entry, |(name, _)| name);
    let is_signature = [".sig", ".sign", ".asc"]
        .iter()
        .any(|ending| name.ends_with(ending));
    // makepkg supports this only for git repositories.
    let is_git = source_protocol(entry).is_some_and(|protocol| protocol.starts_with("git"));
    let query = entry.split_once('?').map(|(_, query)| query);
    let must_be_signed = query.is_some_and(|query| query.split('#').next() == Some("signed"));
    is_signature || is_git && must_be_signed
}

impl Makepkg<'_> {
    /// Checks the signatures of the sources, if there are any.
    pub(in crate::sandbox::helper) fn check_signatures(&self) -> Result<(), Failure> {
        let request = &self.task.request;
        let signed = request.sources.iter().filter(|entry| is_signed(entry));
        let signed = signed.count();
        if signed == 0 {
            return Ok(());
        }
        heading("checking the signatures of the sources");
        let keys = self.root.scratch_dir("keys", BUILD_USER, 0o700)?;
        let unread = self.import_keys(&keys)?;
        let unpacked = self.root.scratch_dir("signatures", BUILD_USER, 0o700)?;
        let mut checked = SignatureResults::default();
        let options = [
            "makepkg",
            "--verifysource",
            "--skipchecksums",
            "--holdver",
            "--nodeps",
            "--noconfirm",
            "--nocolor",
        ];
        let status = self
            .command()
            .bind(keys, KEYS_PATH, true)
            .env("GNUPGHOME", KEYS_PATH)
            .env("LC_ALL", "C")
            // This run leaves no files for the build.
            .bind(unpacked, BUILD_PATH, true)
            .env("BUILDDIR", BUILD_PATH)
            .watch(&options, |line| checked.line(line))?;
        if status.success() {
            return Ok(());
        }
        let mut failure = checked.failure(exit_code(status), &unread);
        if !checked.is_complete(signed) {
            failure
                .message
                .push_str("; not every signature has a result in the log");
        }
        if request.missing_keys == MissingKeys::Warn && checked.lacks_only_keys(signed) {
            for Unverified { file, why } in &checked.unverified {
                heading(&format!(
                    "warning: the signature of {file} is not verified: {why}"
                ));
            }
            return Ok(());
        }
        Err(failure)
    }

    /// Imports the keys of the repository, and returns the names of the files without a readable key.
    fn import_keys(&self, keys: &Path) -> Result<Vec<String>, Failure> {
        let importing = Sandboxed::new(View::HostTools(self.root), Identity::User(BUILD_USER))
            .bind(keys.to_owned(), KEYS_PATH, true)
            .bind(self.build.join("tree"), TREE_PATH, false)
            .env("GNUPGHOME", KEYS_PATH)
            .env("LC_ALL", "C")
            .output(&["bash", "-c", IMPORT, "bash", TREE_PATH])?;
        match exit_code(importing.status) {
            0 => {}
            NO_GPG => return Err(no_gpg()),
            _ => {
                let failure = Failure::infrastructure("could not import the keys of keys/pgp");
                return Err(failure.see_log());
            }
        }
        let unread = String::from_utf8_lossy(&importing.stdout);
        Ok(unread.lines().map(printable).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_model::FailureKind;

    fn checked(results: &str) -> SignatureResults {
        let mut checked = SignatureResults::default();
        let log = format!(
            "==> Retrieving sources...\n  -> Found x ... FAILED\n\
             ==> Verifying source file signatures with gpg...\n{results}\n\
             ==> ERROR: One or more PGP signatures could not be verified!\n    y ... FAILED\n"
        );
        log.lines().for_each(|line| checked.line(line));
        checked
    }

    #[test]
    fn names_file_and_key() {
        for (results, parts) in [
            (
                "    x.tar.gz ... FAILED (unknown public key 0123456789ABCDEF)",
                ["`x.tar.gz`", "key 0123456789ABCDEF is not in keys/pgp"],
            ),
            (
                "    x.tar.gz ... FAILED (bad signature from public key 0123)",
                ["`x.tar.gz`", "bad signature from public key 0123"],
            ),
            (
                "    upstream git repo ... FAILED (invalid public key 0123)",
                ["`upstream`", "validpgpkeys does not list the key 0123"],
            ),
            (
                "    x.tar.gz ... FAILED",
                ["`x.tar.gz`", "not a signature of this file"],
            ),
            (
                "    x.tar.gz ... SIGNATURE NOT FOUND",
                ["`x.tar.gz`", "signature not found"],
            ),
        ] {
            let failure = checked(results).failure(1, &[]);
            assert_eq!(failure.kind, FailureKind::Package);
            for part in parts {
                assert!(failure.message.contains(part), "{failure}");
            }
        }
    }

    #[test]
    fn accepts_only_missing_keys() {
        let missing = "    x ... FAILED (unknown public key 01)";
        assert!(checked(missing).lacks_only_keys(1));
        let both = format!("{missing}\n    z ... FAILED (bad signature from public key 02)");
        assert!(!checked(&both).lacks_only_keys(2));
        assert!(checked(&both).failure(1, &[]).message.contains("02"));
        assert!(!checked("    x ... Passed").lacks_only_keys(1));
    }

    /// Output of an unpacker about bytes chosen by the server of the sources, and output of git.
    #[test]
    fn reads_result_on_a_separate_line() {
        let missing = "    z.txt ... FAILED (unknown public key 01)";
        for result in ["FAILED (bad signature from public key 02)", "FAILED"] {
            for unpacker in [
                " \ngzip: stdin: unexpected end of file\n",
                "\ngzip: stdin: unexpected end of file\n",
                " xz: (stdin): Unexpected end\n",
            ] {
                let log = format!("    x.tar ...{unpacker}{result}\n{missing}");
                let checked = checked(&log);
                assert_eq!(checked.unverified[0].file, "x.tar", "{log}");
                assert!(!checked.lacks_only_keys(2), "{log}");
                assert!(checked.failure(1, &[]).message.contains("`x.tar`"), "{log}");
            }
        }
        let lost = format!("    x.tar ... \ngzip: stdin: x\n{missing}");
        assert!(!checked(&lost).lacks_only_keys(2));
        let passed =
            format!("    x.tar ... \ngzip: stdin: trailing garbage ignored\nPassed\n{missing}");
        assert!(checked(&passed).lacks_only_keys(2));
    }

    #[test]
    fn names_files_with_their_missing_key() {
        let unread = ["a.asc".to_owned()];
        let failure = checked("    x ... FAILED (unknown public key 01)").failure(1, &unread);
        assert!(
            failure
                .message
                .ends_with("the key 01 is not in keys/pgp, and no key can be read from a.asc"),
            "{failure}"
        );
    }

    #[test]
    fn failures_match_snapshot() {
        let failure = |result: &str, unread: &[String]| {
            checked(&format!("    x.tar ... {result}")).failure(1, unread)
        };
        let unread = ["a.asc".to_owned()];
        let text = crate::failure::recorded([
            (
                "missing key",
                failure("FAILED (unknown public key 01)", &[]),
            ),
            (
                "unreadable key",
                failure("FAILED (unknown public key 01)", &unread),
            ),
            (
                "key of another signer",
                failure("FAILED (invalid public key 01)", &[]),
            ),
            (
                "bad signature",
                failure("FAILED (bad signature from public key 01)", &[]),
            ),
            ("no signature", failure("FAILED", &[])),
            ("no result", failure("", &[])),
            ("no gpg", no_gpg()),
        ]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn recognizes_signatures_like_makepkg() {
        for (entry, signed) in [
            ("https://h/x.tar.gz.sig", true),
            ("https://h/x.tar.gz.asc", true),
            ("x.sign::https://h/y", true),
            ("x::https://h/x.sig", false),
            ("git+https://h/x#tag=v1?signed", true),
            ("git+https://h/x?signed#tag=v1", true),
            ("git+https://h/x?signedness", false),
            ("https://h/x?signed", false),
            ("https://h/x.tar.gz", false),
        ] {
            assert_eq!(is_signed(entry), signed, "{entry}");
        }
    }
}
