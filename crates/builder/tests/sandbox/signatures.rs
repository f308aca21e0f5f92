//! Signatures of sources, with keys that the tests make.

use buildbtw_builder::BuildRequest;
use buildbtw_model::{FailureKind, MissingKeys};

use crate::support::{World, serve};

/// A world with a key that signs, `keys/pgp` of its packages, and a server.
struct Signer {
    world: World,
    fingerprint: String,
    port: u16,
}

impl Signer {
    async fn new() -> Option<Self> {
        let world = World::new()?;
        let fingerprint = key(&world, "keyring", "signer");
        let port = serve(world.path("repository")).await;
        Some(Self {
            world,
            fingerprint,
            port,
        })
    }

    /// Runs gpg with the signer's keyring, and everything else in a shell.
    fn sh(&self, script: &str) -> String {
        self.world
            .sh(&format!("export GNUPGHOME=$PWD/keyring\n{script}"))
    }

    /// A package whose source `src.txt` lies beside a signature; `signature` is a script that makes it.
    fn request(&self, signature: &str, valid: &str, keys: bool) -> BuildRequest {
        self.sh(&format!(
            "cd repository && echo content >src.txt && rm -f src.txt.sig && {signature}"
        ));
        let url = format!("http://127.0.0.1:{}/src.txt", self.port);
        let pkgbuild = format!(
            "pkgname=signed\npkgver=1\npkgrel=1\narch=(any)\nsource=('{url}' '{url}.sig')\n\
             sha256sums=(SKIP SKIP)\nvalidpgpkeys=({valid})\n\
             package() {{ install -Dm644 src.txt \"$pkgdir/usr/share/signed\"; }}\n"
        );
        let mut request = self.world.request("signed", &pkgbuild);
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

/// Makes a key without a password, and returns its fingerprint.
fn key(world: &World, keyring: &str, name: &str) -> String {
    world.sh(&format!(
        "mkdir -m 700 -p {keyring} && export GNUPGHOME=$PWD/{keyring}
         gpg --batch --quiet --passphrase '' --quick-gen-key '{name} <{name}@localhost>' ed25519 sign never
         gpg --batch --with-colons --list-keys | sed -n 's/^fpr:::::::::\\([^:]*\\):.*/\\1/p' | head -1
         gpgconf --kill gpg-agent"
    ))
}

const SIGN: &str =
    "gpg --batch --quiet --detach-sign --output src.txt.sig src.txt; gpgconf --kill gpg-agent";

#[tokio::test]
async fn a_good_signature_of_a_key_of_the_repository_passes() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let request = signer.request(SIGN, &signer.fingerprint, true);
    let (_, log) = signer.world.built(&request).await;
    assert!(log.contains("src.txt ... Passed"), "{log}");
}

#[tokio::test]
async fn bytes_that_are_no_signature_are_refused() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let request = signer.request("echo nothing >src.txt.sig", &signer.fingerprint, true);
    let (kind, message, _) = signer.world.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("`src.txt`"), "{message}");
    assert!(
        message.contains("not a signature of this file"),
        "{message}"
    );
}

#[tokio::test]
async fn a_source_that_was_changed_is_refused_whatever_the_policy() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let changed = format!("{SIGN}; echo changed >src.txt");
    let mut request = signer.request(&changed, &signer.fingerprint, true);
    for missing_keys in [MissingKeys::Fail, MissingKeys::Warn] {
        request.missing_keys = missing_keys;
        let (kind, message, _) = signer.world.fails(&request).await;
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
async fn a_key_that_validpgpkeys_does_not_list_is_refused() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    let request = signer.request(SIGN, other, true);
    let (kind, message, _) = signer.world.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    let fingerprint = &signer.fingerprint;
    assert!(
        message.contains(&format!("validpgpkeys does not list the key {fingerprint}")),
        "{message}"
    );
}

#[tokio::test]
async fn a_policy_says_what_a_missing_key_means() {
    let Some(signer) = Signer::new().await else {
        return;
    };
    let mut request = signer.request(SIGN, &signer.fingerprint, false);
    let (kind, message, _) = signer.world.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("is not in keys/pgp"), "{message}");
    assert!(message.contains(&signer.fingerprint[24..]), "{message}");

    request.missing_keys = MissingKeys::Warn;
    let (_, log) = signer.world.built(&request).await;
    assert!(
        log.contains("warning: the signature of src.txt is not verified"),
        "{log}"
    );
}

#[tokio::test]
async fn signed_tags_and_commits_are_verified() {
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
        let mut request = signer.world.request("signed", &pkgbuild);
        request.sources = vec![source];
        signer.keys(true);
        match refused {
            None => {
                let (_, log) = signer.world.built(&request).await;
                assert!(log.contains("up git repo ... Passed"), "{fragment}: {log}");
            }
            Some(part) => {
                let (kind, message, _) = signer.world.fails(&request).await;
                assert_eq!(kind, FailureKind::Package);
                assert!(
                    message.contains("`up`") && message.contains(part),
                    "{fragment}: {message}"
                );
            }
        }
    }
}
