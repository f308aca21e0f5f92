//! Signatures of sources, with keys created by the tests.

use buildbtw_builder::{BuildOutcome, BuildRequest};
use buildbtw_model::{FailureKind, MissingKeys, NetworkPolicy};
use tokio_util::sync::CancellationToken;

use crate::serving::serve;
use crate::support::{CallbackLog, Fixture, Log, file_in};

/// A fixture with a signing key, `keys/pgp` of its packages, and a server.
struct Signer {
    fixture: Fixture,
    fingerprint: String,
    port: u16,
}

impl Signer {
    async fn new() -> Option<Self> {
        let fixture = Fixture::new()?;
        let fingerprint = key(&fixture, "keyring", "signer");
        let port = serve(fixture.path("repository")).await;
        Some(Self {
            fixture,
            fingerprint,
            port,
        })
    }

    /// Runs gpg with the signer's keyring, and everything else in a shell.
    fn sh(&self, script: &str) -> String {
        self.fixture
            .sh(&format!("export GNUPGHOME=$PWD/keyring\n{script}"))
    }

    /// Returns a package whose source `src.txt` has a signature; the script `signature` creates it.
    fn request(&self, signature: &str, valid: &str, keys: bool) -> BuildRequest {
        self.sh(&format!(
            "cd repository && echo content >src.txt && rm -f src.txt.sig && {signature}"
        ));
        let url = format!("http://127.0.0.1:{}/src.txt", self.port);
        let pkgbuild = format!(
            "pkgname=signed\npkgver=1\npkgrel=1\narch=(any)\nsource=('{url}' '{url}.sig')\n\
             sha256sums=(SKIP SKIP)\nvalidpgpkeys=({valid})\n\
             build() {{ echo \"temporary: $(ls -A /tmp | xargs)\"; }}\n\
             package() {{ install -Dm644 src.txt \"$pkgdir/usr/share/signed\"; }}\n"
        );
        let mut request = self.fixture.request("signed", &pkgbuild);
        request.sources = vec![url.clone(), format!("{url}.sig")];
        self.keys(keys);
        request
    }

    /// Puts the public key into the package's `keys/pgp`, or removes it.
    fn keys(&self, there: bool) {
        let folder = "sources/signed/keys/pgp";
        let fingerprint = &self.fingerprint;
        self.sh(&match there {
            true => {
                format!("mkdir -p {folder} && gpg --export --armor >{folder}/{fingerprint}.asc")
            }
            false => format!("rm -rf {folder}"),
        });
    }
}

/// Creates a key without a password, and returns its fingerprint.
fn key(fixture: &Fixture, keyring: &str, name: &str) -> String {
    fixture.sh(&format!(
        "mkdir -m 700 -p {keyring} && export GNUPGHOME=$PWD/{keyring}
         gpg --batch --quiet --passphrase '' --quick-gen-key '{name} <{name}@localhost>' ed25519 sign never
         gpg --batch --with-colons --list-keys | sed -n 's/^fpr:::::::::\\([^:]*\\):.*/\\1/p' | head -1
         gpgconf --kill gpg-agent"
    ))
}

const SIGN: &str =
    "gpg --batch --quiet --detach-sign --output src.txt.sig src.txt; gpgconf --kill gpg-agent";

#[tokio::test]
async fn accepts_good_signature_of_a_key_in_the_repository() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let request = signer.request(SIGN, &signer.fingerprint, true);
    let (_, log) = signer.fixture.built(&request).await;
    assert!(log.contains("src.txt ... Passed"), "{log}");
    // The check leaves no files.
    assert!(log.lines().any(|line| line == "temporary: "), "{log}");
}

#[tokio::test]
async fn rejects_bytes_that_are_not_a_signature() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let request = signer.request("echo nothing >src.txt.sig", &signer.fingerprint, true);
    let (kind, message, _) = signer.fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("`src.txt`"), "{message}");
    assert!(
        message.contains("not a signature of this file"),
        "{message}"
    );
}

#[tokio::test]
async fn rejects_modified_source_under_every_policy() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let changed = format!("{SIGN}; echo changed >src.txt");
    let mut request = signer.request(&changed, &signer.fingerprint, true);
    for missing_keys in [MissingKeys::Fail, MissingKeys::Warn] {
        request.missing_keys = missing_keys;
        let (kind, message, _) = signer.fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package);
        assert!(message.contains("`src.txt`"), "{message}");
        let id = &signer.fingerprint[24..];
        assert!(
            message.contains(&format!("bad signature from public key {id}")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn rejects_key_missing_in_validpgpkeys() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    let request = signer.request(SIGN, other, true);
    let (kind, message, _) = signer.fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    let fingerprint = &signer.fingerprint;
    assert!(
        message.contains(&format!("validpgpkeys does not list the key {fingerprint}")),
        "{message}"
    );
}

#[tokio::test]
async fn treats_missing_key_by_policy() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let mut request = signer.request(SIGN, &signer.fingerprint, false);
    let (kind, message, _) = signer.fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("is not in keys/pgp"), "{message}");
    assert!(message.contains(&signer.fingerprint[24..]), "{message}");

    signer.sh("mkdir -p sources/signed/keys/pgp && echo none >sources/signed/keys/pgp/broken.asc");
    let (_, message, _) = signer.fixture.fails(&request).await;
    assert!(
        message.contains("no key can be read from broken.asc"),
        "{message}"
    );

    request.missing_keys = MissingKeys::Warn;
    let (_, log) = signer.fixture.built(&request).await;
    assert!(
        log.contains("warning: the signature of src.txt is not verified"),
        "{log}"
    );
}

#[tokio::test]
async fn verifies_signed_tags_and_commits() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    signer.sh(
        "git init -q -b main work && cd work && echo 1 >src.txt && git add -A
         git config user.name signer && git config user.email signer@localhost
         git commit -q --gpg-sign -m one && git tag --sign -m one good && git tag --annotate -m two unsigned
         git commit -q --allow-empty -m two && git tag plain
         cd .. && git clone -q --mirror work repository/up.git && git -C repository/up.git update-server-info
         gpgconf --kill gpg-agent",
    );
    let (port, fingerprint) = (signer.port, &signer.fingerprint);
    for (fragment, refused) in [
        ("#tag=good?signed", None),
        ("?signed#tag=good", None),
        ("#commit=good^0?signed", None),
        ("#tag=unsigned?signed", Some("signature not found")),
        ("#branch=main?signed", Some("signature not found")),
    ] {
        let source = format!("git+http://127.0.0.1:{port}/up.git{fragment}");
        let pkgbuild = format!(
            "pkgname=signed\npkgver=1\npkgrel=1\narch=(any)\nmakedepends=(git)\nsource=('{source}')\n\
             sha256sums=(SKIP)\nvalidpgpkeys=({fingerprint})\n\
             package() {{ install -Dm644 up/src.txt \"$pkgdir/usr/share/signed\"; }}\n"
        );
        let mut request = signer.fixture.request("signed", &pkgbuild);
        request.sources = vec![source];
        signer.keys(true);
        match refused {
            None => {
                let (_, log) = signer.fixture.built(&request).await;
                assert!(log.contains("up git repo ... Passed"), "{fragment}: {log}");
            }
            Some(part) => {
                let (kind, message, _) = signer.fixture.fails(&request).await;
                assert_eq!(kind, FailureKind::Package);
                assert!(
                    message.contains("`up`") && message.contains(part),
                    "{fragment}: {message}"
                );
            }
        }
    }
}

/// The server of the sources can choose bytes that an unpacker complains about before the result is
/// printed.
#[tokio::test]
async fn rejects_bad_signature_next_to_a_missing_key() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    key(&signer.fixture, "others", "other");
    signer.sh(
        "others=$PWD/others && cd repository && head -c 100000 /dev/urandom | gzip -n | head -c 50000 >x.tar.gz
         echo other >x.tar && gpg --batch --quiet --detach-sign --output x.tar.sign x.tar
         rm x.tar && echo z >z.txt && GNUPGHOME=$others gpg --batch --quiet --detach-sign z.txt
         gpgconf --kill gpg-agent; GNUPGHOME=$others gpgconf --kill gpg-agent",
    );
    let (port, fingerprint) = (signer.port, &signer.fingerprint);
    let sources = ["x.tar.gz", "x.tar.sign", "z.txt", "z.txt.sig"]
        .map(|name| format!("http://127.0.0.1:{port}/{name}"));
    let pkgbuild = format!(
        "pkgname=signed\npkgver=1\npkgrel=1\narch=(any)\nsource=({})\nnoextract=(x.tar.gz)\n\
         sha256sums=(SKIP SKIP SKIP SKIP)\nvalidpgpkeys=({fingerprint})\n\
         package() {{ install -d \"$pkgdir/usr\"; }}\n",
        sources.join(" ")
    );
    let mut request = signer.fixture.request("signed", &pkgbuild);
    request.sources = sources.to_vec();
    request.missing_keys = MissingKeys::Warn;
    signer.keys(true);
    let (kind, message, log) = signer.fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message}\n{log}");
    assert!(message.contains("`x.tar`"), "{message}\n{log}");
}

/// The verified commit is built, even if there is a network afterwards and upstream changes.
#[tokio::test]
async fn builds_verified_commit_when_tag_moves() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    signer.sh(
        "git init -q -b main work && cd work && echo good >src.txt && git add -A
         git config user.name signer && git config user.email signer@localhost
         git commit -q -m one && git tag --sign -m one v1
         cd .. && git clone -q --mirror work repository/up.git && git -C repository/up.git update-server-info
         cd work && echo evil >src.txt && git commit -q -a -m two && git tag --force -m two v1
         cd .. && git clone -q --mirror work repository/evil.git && git -C repository/evil.git update-server-info
         gpgconf --kill gpg-agent",
    );
    let source = format!("git+http://127.0.0.1:{}/up.git#tag=v1?signed", signer.port);
    let pkgbuild = format!(
        "pkgname=signed\npkgver=1\npkgrel=1\narch=(any)\nmakedepends=(git)\nsource=('{source}')\n\
         sha256sums=(SKIP)\nvalidpgpkeys=({})\n\
         package() {{ install -Dm644 up/src.txt \"$pkgdir/usr/share/signed\"; }}\n",
        signer.fingerprint
    );
    let mut request = signer.fixture.request("signed", &pkgbuild);
    request.sources = vec![source];
    request.network = NetworkPolicy::Prepare;
    signer.keys(true);
    let repository = signer.fixture.path("repository");
    let log = CallbackLog {
        log: Log::default(),
        at: "checking the signatures of the sources",
        action: || {
            if repository.join("evil.git").exists() {
                fs_err::rename(repository.join("up.git"), repository.join("old.git")).unwrap();
                fs_err::rename(repository.join("evil.git"), repository.join("up.git")).unwrap();
            }
        },
    };
    let out = signer.fixture.path("out");
    let cancel = CancellationToken::new();
    let builder = &signer.fixture.builder;
    let outcome = builder.build(&request, &out, &log, cancel).await;
    let BuildOutcome::Succeeded { packages, .. } = outcome else {
        panic!("{outcome:?}\n{}", log.log.text())
    };
    assert!(repository.join("old.git").exists());
    assert_eq!(file_in(&packages[0].path, "usr/share/signed"), "good\n");
}
