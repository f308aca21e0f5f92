//! Signatures of sources, checked by makepkg with the keys that the repository keeps in `keys/pgp`. A run
//! of its own: the others skip what was checked here.

use buildbtw_model::MissingKeys;

use super::Makepkg;
use crate::sandbox::helper::bwrap::{BUILD_USER, Sandboxed, View, exit_code};
use crate::sandbox::helper::heading;
use crate::sandbox::job::Failure;
use crate::sys::Identity;

/// Where the keyring is seen.
const KEYS_PATH: &str = "/run/buildbtw/keys";
/// Where the tree is seen while keys are imported.
const TREE_PATH: &str = "/run/buildbtw/tree";
/// Imports what can be imported; a file that holds no key leaves a line in the log.
const IMPORT: &str = r#"
shopt -s nullglob
for file in "$1"/keys/pgp/*.asc; do
  [[ -f $file && ! -L $file ]] && gpg --batch --no-tty --quiet --import "$file"
done
exit 0
"#;
/// What makepkg says of a key that it does not have, before the key.
const UNKNOWN: &str = "unknown public key ";

/// A signature that was not verified.
#[derive(Debug, PartialEq, Eq)]
struct Unverified {
    file: String,
    /// In makepkg's words; empty where it has none.
    why: String,
}

/// Reads what makepkg writes while it checks signatures.
#[derive(Debug, Default)]
struct Checked {
    is_checking: bool,
    lacks_gpg: bool,
    unverified: Vec<Unverified>,
}

impl Checked {
    fn line(&mut self, line: &str) {
        if let Some(message) = line.strip_prefix("==> ") {
            self.is_checking = message.starts_with("Verifying source file signatures");
            self.lacks_gpg |= message.contains("Cannot find the gpg binary");
            return;
        }
        let Some((file, result)) = line.trim().split_once(" ... ").filter(|_| self.is_checking)
        else {
            return;
        };
        if result.starts_with("Passed") {
            return;
        }
        let why = match result.split_once('(') {
            Some((_, why)) => why.trim_end_matches(')').to_owned(),
            None if result.starts_with("FAILED") => String::new(),
            None => result.to_lowercase(),
        };
        self.unverified.push(Unverified {
            file: file.trim_end_matches(" git repo").to_owned(),
            why,
        });
    }

    /// Whether nothing is wrong but that keys are missing.
    fn lacks_only_keys(&self) -> bool {
        let is_unknown = |unverified: &Unverified| unverified.why.starts_with(UNKNOWN);
        !self.unverified.is_empty() && self.unverified.iter().all(is_unknown)
    }

    fn failure(&self, code: i32) -> Failure {
        if self.lacks_gpg {
            return Failure::infrastructure(
                "the signatures of the sources could not be checked: gpg is not installed\n\
                 hint: install gnupg",
            );
        }
        // What is wrong with a signature tells more than a key that is missing.
        let worst = self
            .unverified
            .iter()
            .find(|unverified| !unverified.why.starts_with(UNKNOWN))
            .or(self.unverified.first());
        match worst {
            Some(Unverified { file, why }) => Failure::package(format!(
                "the signature of `{file}` could not be verified: {}",
                explained(why)
            )),
            None => Failure::package(format!(
                "the signatures of the sources could not be checked (makepkg: exit {code})"
            ))
            .see_log(),
        }
    }
}

fn explained(why: &str) -> String {
    if let Some(key) = why.strip_prefix(UNKNOWN) {
        return format!(
            "the key {key} is not in keys/pgp\n\
             hint: add it (`gpg --export --armor {key} > keys/pgp/FINGERPRINT.asc`); an operator can let \
             builds go on without keys (`--missing-keys warn`)"
        );
    }
    if let Some(key) = why.strip_prefix("invalid public key ") {
        return format!("validpgpkeys does not list the key {key} that it was made with");
    }
    match why {
        "" => "it is not a signature of this file".to_owned(),
        why => why.to_owned(),
    }
}

/// Whether an entry of `source` is a signature, or is a commit or tag that has to be signed.
fn is_signed(entry: &str) -> bool {
    let name = entry.split_once("::").map_or(entry, |(name, _)| name);
    let is_signature = [".sig", ".sign", ".asc"]
        .iter()
        .any(|ending| name.ends_with(ending));
    is_signature || entry.contains("?signed")
}

impl Makepkg<'_> {
    /// Checks the signatures of the sources, if there are any.
    pub(in crate::sandbox::helper) fn check_signatures(&self) -> Result<(), Failure> {
        let request = &self.task.request;
        if !request.sources.iter().any(|entry| is_signed(entry)) {
            return Ok(());
        }
        heading("checking the signatures of the sources");
        let keys = self.root.scratch_dir("keys", BUILD_USER, 0o700)?;
        let importing = Sandboxed::new(View::HostTools(self.root), Identity::User(BUILD_USER))
            .bind(keys.clone(), KEYS_PATH, true)
            .bind(self.build.join("tree"), TREE_PATH, false)
            .env("GNUPGHOME", KEYS_PATH)
            .env("LC_ALL", "C")
            .run(&["bash", "-c", IMPORT, "bash", TREE_PATH])?;
        if !importing.success() {
            return Err(
                Failure::infrastructure("the keys of the sources could not be read").see_log(),
            );
        }
        let mut checked = Checked::default();
        let options = [
            "makepkg",
            "--verifysource",
            "--skipchecksums",
            "--nodeps",
            "--noconfirm",
            "--nocolor",
        ];
        let status = self
            .command()
            .bind(keys, KEYS_PATH, true)
            .env("GNUPGHOME", KEYS_PATH)
            .env("LC_ALL", "C")
            // Nothing of it stays for the build.
            .env("BUILDDIR", "/tmp/signatures")
            .watch(&options, |line| checked.line(line))?;
        if status.success() {
            return Ok(());
        }
        let failure = checked.failure(exit_code(status));
        if request.missing_keys == MissingKeys::Warn && checked.lacks_only_keys() {
            for Unverified { file, why } in &checked.unverified {
                heading(&format!(
                    "warning: the signature of {file} is not verified: {why}"
                ));
            }
            return Ok(());
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildbtw_model::FailureKind;

    fn checked(results: &str) -> Checked {
        let mut checked = Checked::default();
        let log = format!(
            "==> Retrieving sources...\n  -> Found x ... FAILED\n\
             ==> Verifying source file signatures with gpg...\n{results}\n\
             ==> ERROR: One or more PGP signatures could not be verified!\n    y ... FAILED\n"
        );
        log.lines().for_each(|line| checked.line(line));
        checked
    }

    #[test]
    fn the_file_and_the_key_are_named() {
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
            let failure = checked(results).failure(1);
            assert_eq!(failure.kind, FailureKind::Package);
            for part in parts {
                assert!(failure.message.contains(part), "{failure}");
            }
        }
    }

    #[test]
    fn only_missing_keys_can_be_let_through() {
        let missing = "    x ... FAILED (unknown public key 01)";
        assert!(checked(missing).lacks_only_keys());
        let both = format!("{missing}\n    z ... FAILED (bad signature from public key 02)");
        assert!(!checked(&both).lacks_only_keys());
        assert!(checked(&both).failure(1).message.contains("02"));
        assert!(!checked("    x ... Passed").lacks_only_keys());
    }

    #[test]
    fn signatures_are_recognized_as_makepkg_does() {
        for (entry, signed) in [
            ("https://h/x.tar.gz.sig", true),
            ("https://h/x.tar.gz.asc", true),
            ("x.sign::https://h/y", true),
            ("x::https://h/x.sig", false),
            ("git+https://h/x#tag=v1?signed", true),
            ("https://h/x.tar.gz", false),
        ] {
            assert_eq!(is_signed(entry), signed, "{entry}");
        }
    }
}
