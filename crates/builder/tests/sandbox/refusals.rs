//! Which package has to change when pacman cannot install the packages of a rebuild.
//! `notes/failures.md` names the test of each row.

use buildbtw_builder::BuildRequest;
use buildbtw_model::FailureKind::{Infrastructure, Package};

use crate::support::{World, script_package};

const OLD: &str = "base";
const NEW: &str = "rebuild";

/// Publishes a package without files.
fn has(world: &World, repository: &str, name: &str, version: &str, lines: &str) {
    world.publish_handmade(repository, (name, version, "any"), lines, &[]);
}

fn building(world: &World, name: &str, dependencies: &[&str]) -> BuildRequest {
    let mut request = world.request(name, &script_package(name, "true"));
    request.repositories = vec![world.repository(NEW), world.repository(OLD)];
    request.namespace_repository = Some(NEW.parse().unwrap());
    request.dependencies = dependencies.iter().map(|&name| name.to_owned()).collect();
    request
}

/// Fails permanently, with a message that contains and omits these texts.
async fn refuses(world: &World, request: &BuildRequest, words: &[&str], without: &[&str]) {
    let (kind, message, log) = world.fails(request).await;
    assert_eq!(kind, Package, "{message}\n{log}");
    for &word in words {
        assert!(message.contains(word), "{word}: {message}\n{log}");
    }
    for &word in without {
        assert!(!message.contains(word), "{word}: {message}\n{log}");
    }
}

#[tokio::test]
async fn names_rebuilt_package_that_requires_the_old_version() {
    let Some(world) = World::new() else { return };
    has(&world, OLD, "zlib0", "1-1", "");
    has(&world, OLD, "m", "1-1", "");
    has(&world, NEW, "zlib0", "2-1", "");
    has(&world, NEW, "m", "1-1.1", "pkgbase = m\ndepend = zlib0=1");
    refuses(
        &world,
        &building(&world, "user", &["m"]),
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
    let Some(world) = World::new() else { return };
    has(&world, OLD, "plain", "1-1", "");
    has(&world, NEW, "plain", "2-1", "");
    // Only code that runs as root during the installation can cause this.
    let scriptlet = "post_install() {
        cd /var/lib/pacman/local && mv plain-2-1 plain-1-1 && sed -i 's/^2-1$/1-1/' plain-1-1/desc
    }\n";
    world.publish_handmade(
        OLD,
        ("tampers", "1-1", "any"),
        "depend = plain",
        &[(".INSTALL", scriptlet)],
    );
    let (kind, message, log) = world.fails(&building(&world, "user", &["tampers"])).await;
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
    let Some(world) = World::new() else { return };
    has(&world, OLD, "zq", "1-1", "");
    has(&world, NEW, "zq", "2-1", "");
    has(&world, NEW, "newer", "1-1.1", "depend = zq>=2");
    has(&world, NEW, "old", "1-1.1", "depend = zq<2");
    refuses(
        &world,
        &building(&world, "own2", &["zq<2", "newer"]),
        &[
            "own2 itself depends on `zq<2`, which the rebuilt zq 2-1 does not satisfy",
            "required by newer",
        ],
        &["was rebuilt but still depends on"],
    )
    .await;
    refuses(
        &world,
        &building(&world, "viam", &["zq", "old"]),
        &[
            "'zq<2' required by old",
            "old was rebuilt but still depends on `zq<2`\nhint: change its depends",
        ],
        &["viam itself"],
    )
    .await;
    // pacman names the package that comes last; another one holds the old version.
    has(&world, OLD, "middle", "1-1", "depend = outsider");
    has(&world, OLD, "outsider", "1-1", "depend = zq<2");
    refuses(
        &world,
        &building(&world, "deep", &["middle", "newer"]),
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
    let Some(world) = World::new() else { return };
    has(&world, NEW, "plain", "1-1", "");
    world.publish_handmade(OLD, ("wrongarch", "1-1", "aarch64"), "", &[]);
    world.publish_handmade(OLD, ("taken", "1-1", "any"), "", &[("usr/bin/ls", "")]);
    for (dependency, words) in [
        (
            "wrongarch",
            "package wrongarch-1-1-aarch64 does not have a valid architecture",
        ),
        ("taken", "taken: /usr/bin/ls exists in filesystem"),
    ] {
        refuses(
            &world,
            &building(&world, "user", &[dependency]),
            &["the dependencies cannot be installed: ", words],
            &[],
        )
        .await;
    }
}
