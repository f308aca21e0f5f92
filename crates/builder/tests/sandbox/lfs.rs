//! Sources with git-lfs, from a server that follows the protocol or does not.

use std::path::PathBuf;

use buildbtw_builder::BuildRequest;
use buildbtw_model::FailureKind;

use crate::serving::{Request, file_response, listen, response, serve_responses};
use crate::support::{Fixture, file_in};

/// The response of the server for an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Honest,
    /// Other bytes of the same length.
    OtherContent,
    /// More bytes than announced.
    OtherSize,
    /// An address from which no sources may be downloaded.
    Elsewhere(&'static str),
}

const CONTENT: &str = "a picture\n";

/// Serves a folder over HTTP, including its git-lfs objects.
async fn serve(folder: PathBuf, server: Server) -> u16 {
    let (listener, port) = listen().await;
    serve_responses(listener, move |request: &Request| {
        if request.path.ends_with("/objects/batch") {
            batch(&request.body, server, port)
        } else if request.path.starts_with("/object/") {
            object(server)
        } else {
            file_response(&folder, &request.path)
        }
    });
    port
}

/// Returns the response that says where objects are.
fn batch(body: &[u8], server: Server, port: u16) -> Vec<u8> {
    let batch: serde_json::Value = serde_json::from_slice(body).unwrap();
    let objects = batch["objects"].as_array().unwrap().iter().map(|object| {
        let oid = object["oid"].as_str().unwrap();
        let href = match server {
            Server::Elsewhere(base) => format!("{base}/{oid}"),
            _ => format!("http://127.0.0.1:{port}/object/{oid}"),
        };
        serde_json::json!({
            "oid": oid,
            "size": object["size"],
            "actions": { "download": { "href": href } },
        })
    });
    let objects: Vec<_> = objects.collect();
    let body = serde_json::json!({ "transfer": "basic", "objects": objects }).to_string();
    let kind = "Content-Type: application/vnd.git-lfs+json\r\n";
    response("200 OK", kind, body.as_bytes())
}

/// Returns the response with an object.
fn object(server: Server) -> Vec<u8> {
    let content = match server {
        Server::OtherContent => CONTENT.replace('p', "q"),
        Server::OtherSize => CONTENT.repeat(2),
        _ => CONTENT.to_owned(),
    };
    response("200 OK", "", content.as_bytes())
}

/// The server address in the input, which does not exist.
const UPSTREAM: &str = "https://git.example.invalid/demo/lfsdemo.git";

/// Returns a file of the input of case 23, with the address of an existing server.
fn input(name: &str, upstream: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/cases/23-git-lfs-source/lfs"
    );
    let text = fs_err::read_to_string(std::path::Path::new(folder).join(name)).unwrap();
    assert!(text.contains(UPSTREAM), "{text}");
    text.replace(UPSTREAM, upstream)
}

/// Returns a repository with one file in git-lfs, and its package: `prepare()` pulls from upstream.
async fn fixture(server: Server, lfsconfig: &str) -> Option<(Fixture, BuildRequest)> {
    if !std::path::Path::new("/usr/bin/git-lfs").exists() {
        eprintln!("SKIPPED: git-lfs is not installed");
        return None;
    }
    let fixture = Fixture::new()?;
    let port = serve(fixture.path("repository"), server).await;
    fixture.sh(&format!(
        "export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@localhost GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@localhost
         export HOME=$PWD
         git init -q -b main work && cd work && git lfs install --local >/dev/null
         git lfs track '*.png' >/dev/null && printf %s '{CONTENT}' >picture.png
         printf %s '{lfsconfig}' >.lfsconfig
         git add -A && git commit -qm one && git tag v1
         printf '[lfs]\nurl = http://127.0.0.1:1/nowhere\nfetchexclude = *\n' >.lfsconfig
         git add -A && git commit -qm two
         git clone -q --mirror . ../repository/lfsdemo.git && cd ../repository/lfsdemo.git
         git update-server-info && rm -rf lfs",
    ));
    let upstream = format!("http://127.0.0.1:{port}/lfsdemo.git");
    let pkgbuild = input("PKGBUILD", &upstream);
    let srcinfo = input(".SRCINFO", &upstream);
    let files = [("PKGBUILD", &*pkgbuild), (".SRCINFO", &*srcinfo)];
    let mut request = fixture.request_with("lfsdemo", &files);
    request.sources = vec![format!("git+{upstream}#tag=v1")];
    request.dependencies = vec!["git".into(), "git-lfs".into()];
    Some((fixture, request))
}

/// Runs the case as `notes/cases.md` describes.
#[tokio::test]
async fn case_23_git_lfs_source() {
    let Some((fixture, request)) = fixture(Server::Honest, "").await else {
        return;
    };
    let (packages, log) = fixture.built(&request).await;
    let picture = "usr/share/lfsdemo/picture.png";
    assert_eq!(file_in(&packages[0].path, picture), CONTENT);
    assert!(log.contains("fetching the LFS objects"), "{log}");
}

#[tokio::test]
async fn detects_lfs_server_with_wrong_objects() {
    for server in [Server::OtherContent, Server::OtherSize] {
        let Some((fixture, request)) = fixture(server, "").await else {
            return;
        };
        let (kind, message, log) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package, "{message}\n{log}");
        assert!(message.contains("LFS objects of the source"), "{message}");
    }
}

#[tokio::test]
async fn does_not_fetch_lfs_objects_from_blocked_addresses() {
    for elsewhere in ["http://169.254.169.254:1", "file:///etc"] {
        let Some((fixture, request)) = fixture(Server::Elsewhere(elsewhere), "").await else {
            return;
        };
        let (_, message, log) = fixture.fails(&request).await;
        assert!(
            message.contains("LFS objects of the source"),
            "{message}\n{log}"
        );
    }
    let lfsconfig = "[lfs]\n\turl = file:///etc\n";
    let Some((fixture, request)) = fixture(Server::Honest, lfsconfig).await else {
        return;
    };
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("`file:///etc`"), "{message}");
}

/// makepkg unpacks pointer files when the package has no git-lfs.
#[tokio::test]
async fn skips_lfs_objects_for_package_without_git_lfs() {
    let Some((fixture, mut request)) = fixture(Server::Elsewhere("http://127.0.0.1:1"), "").await
    else {
        return;
    };
    let upstream = request.sources[0].clone();
    let pkgbuild = format!(
        "pkgname=pointers\npkgver=1\npkgrel=1\narch=(any)\nmakedepends=(git)\nsource=('{upstream}')\n\
         sha256sums=(SKIP)\n\
         package() {{ install -Dm644 lfsdemo/picture.png \"$pkgdir/usr/share/pointers\"; }}\n"
    );
    request = fixture.request("pointers", &pkgbuild);
    request.sources = vec![upstream];
    request.dependencies = vec!["git".into()];
    let (packages, log) = fixture.built(&request).await;
    let text = file_in(&packages[0].path, "usr/share/pointers");
    assert!(text.starts_with("version https://git-lfs"), "{text}");
    assert!(log.contains("git-lfs is not in makedepends"), "{log}");
}
