//! Which package has to change when pacman cannot install the packages of a rebuild.
//! `notes/failures.md` names the test of each row.

use buildbtw_builder::BuildRequest;
use buildbtw_model::FailureKind::{Infrastructure, Package};

use crate::support::{Fixture, script_package};

const OLD: &str = "base";
const NEW: &str = "rebuild";

/// Publishes a package without files.
fn has(fixture: &Fixture, repository: &str, name: &str, version: &str, lines: &str) {
    fixture.publish_handmade(repository, (name, version, "any"), lines, &[]);
}

fn building(fixture: &Fixture, name: &str, dependencies: &[&str]) -> BuildRequest {
    let mut request = fixture.request(name, &script_package(name, "true"));
    request.repositories = vec![fixture.repository(NEW), fixture.repository(OLD)];
    request.namespace_repository = Some(NEW.parse().unwrap());
    request.dependencies = dependencies.iter().map(|&name| name.to_owned()).collect();
    request
}

/// Fails permanently, with a message that contains and omits these texts.
async fn refuses(fixture: &Fixture, request: &BuildRequest, expected: &[&str], without: &[&str]) {
    let (kind, message, log) = fixture.fails(request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    for &word in expected {
        assert!(message.contains(word), "{word}: {message}\n{log}");
    }
    for &word in without {
        assert!(!message.contains(word), "{word}: {message}\n{log}");
    }
}

#[tokio::test]
async fn names_rebuilt_package_that_requires_the_old_version() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    has(&fixture, OLD, "zlib0", "1-1", "");
    has(&fixture, OLD, "m", "1-1", "");
    has(&fixture, NEW, "zlib0", "2-1", "");
    has(&fixture, NEW, "m", "1-1.1", "pkgbase = m\ndepend = zlib0=1");
    refuses(
        &fixture,
        &building(&fixture, "user", &["m"]),
        &[
            "m was rebuilt but still depends on `zlib0=1`, which only the old version satisfies",
            "hint: change its depends",
        ],
        &["no installed package requires"],
    )
    .await;
}

#[tokio::test]
async fn reports_unrequested_old_version_as_infrastructure_failure() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    has(&fixture, OLD, "plain", "1-1", "");
    has(&fixture, NEW, "plain", "2-1", "");
    // Only code that runs as root during the installation can cause this.
    let scriptlet = "post_install() {
        cd /var/lib/pacman/local && mv plain-2-1 plain-1-1 && sed -i 's/^2-1$/1-1/' plain-1-1/desc
    }\n";
    fixture.publish_handmade(
        OLD,
        ("tampers", "1-1", "any"),
        "depend = plain",
        &[(".INSTALL", scriptlet)],
    );
    let (kind, message, log) = fixture
        .fails(&building(&fixture, "user", &["tampers"]))
        .await;
    assert_eq!(kind, Infrastructure, "{message}\n{log}");
    assert!(
        message.contains(
            "plain 1-1 was installed although the namespace has plain 2-1; no installed package \
             requires the old version"
        ),
        "{message}\n{log}"
    );
}

#[tokio::test]
async fn names_direct_dependency_before_the_one_pacman_names() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    has(&fixture, OLD, "zq", "1-1", "");
    has(&fixture, NEW, "zq", "2-1", "");
    has(&fixture, NEW, "newer", "1-1.1", "depend = zq>=2");
    has(&fixture, NEW, "old", "1-1.1", "depend = zq<2");
    refuses(
        &fixture,
        &building(&fixture, "own2", &["zq<2", "newer"]),
        &[
            "own2 itself depends on `zq<2`, which the rebuilt zq 2-1 does not satisfy",
            "required by newer",
        ],
        &["was rebuilt but still depends on"],
    )
    .await;
    refuses(
        &fixture,
        &building(&fixture, "viam", &["zq", "old"]),
        &[
            "'zq<2' required by old",
            "old was rebuilt but still depends on `zq<2`\nhint: change its depends",
        ],
        &["viam itself"],
    )
    .await;
    // pacman names the package that comes last; another one holds the old version.
    has(&fixture, OLD, "middle", "1-1", "depend = outsider");
    has(&fixture, OLD, "outsider", "1-1", "depend = zq<2");
    refuses(
        &fixture,
        &building(&fixture, "deep", &["middle", "newer"]),
        &[
            "outsider, which depends on `zq<2`, is not part of the rebuild\n\
             hint: widen the scope or include outsider",
        ],
        &["deep itself"],
    )
    .await;
}

#[tokio::test]
async fn does_not_retry_repeated_refusals() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    has(&fixture, NEW, "plain", "1-1", "");
    fixture.publish_handmade(OLD, ("wrongarch", "1-1", "aarch64"), "", &[]);
    fixture.publish_handmade(OLD, ("taken", "1-1", "any"), "", &[("usr/bin/ls", "")]);
    for (dependency, expected) in [
        (
            "wrongarch",
            "package wrongarch-1-1-aarch64 does not have a valid architecture",
        ),
        ("taken", "taken: /usr/bin/ls exists in filesystem"),
    ] {
        refuses(
            &fixture,
            &building(&fixture, "user", &[dependency]),
            &["the dependencies cannot be installed: ", expected],
            &[],
        )
        .await;
    }
}
