//! Repositories as seen by pacman.

use buildbtw_builder::BuiltPackage;
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{IterationStatus, Sha256Digest};
use reqwest::{Method, StatusCode, header};
use sha2::Digest as _;

use crate::support::{
    Repository, SourceTree, Srcinfo, TestServer, expect_problem, have_pacman, reported,
};

/// Pushes a diamond, and a package that only shares its top.
fn diamond(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "1:2.0-1"));
    sources.push(&Srcinfo::new("left", "1-1").depends(&["libgreet"]));
    sources.push(&Srcinfo::new("right", "1-1").depends(&["libgreet"]));
    sources.push(&Srcinfo::new("app", "1-1").depends(&["left", "right"]));
    sources.push(&Srcinfo::new("other", "1-1").depends(&["libgreet"]));
}

/// Starts a server that has built some of the diamond.
pub(crate) async fn with_built(builds: usize) -> TestServer {
    let server = TestServer::start(diamond).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    for _ in 0..builds {
        worker.claims().await.succeeds().await;
    }
    server
}

pub(crate) fn repository(server: &TestServer, iteration: &str) -> Repository {
    Repository::new(server.url(), "bump", iteration, "x86_64")
}

#[tokio::test]
async fn pacman_syncs_searches_and_downloads() {
    let server = with_built(5).await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let section = server.iteration("bump").await.architectures[0]
        .repository
        .pacman_conf
        .clone();
    let Some(pacman) = have_pacman(&server.scratch("pacman"), &section) else {
        return;
    };
    pacman.run(&["-Sy"]);
    let mut listed: Vec<_> = pacman
        .run(&["-Sl", "bump"])
        .lines()
        .map(str::to_owned)
        .collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            "bump app 1-1.1",
            "bump left 1-1.1",
            "bump libgreet 1:2.0-1",
            "bump other 1-1.1",
            "bump right 1-1.1"
        ]
    );
    let info = pacman.run(&["-Si", "libgreet"]);
    assert!(
        info.contains("1:2.0-1") && info.contains("A simulated package"),
        "{info}"
    );
    pacman.run(&["-Fy"]);
    let files = pacman.run(&["-Fl", "libgreet"]);
    assert!(
        files.contains("libgreet usr/share/buildbtw/libgreet"),
        "{files}"
    );
    // Downloads the packages, and compares size and checksum with the database.
    pacman.run(&["-Sw", "libgreet", "app"]);
    let downloaded = fs_err::read(pacman.cached("libgreet-1:2.0-1-x86_64.pkg.tar.zst")).unwrap();
    let served = repository(&server, "1")
        .bytes("libgreet-1:2.0-1-x86_64.pkg.tar.zst")
        .await;
    assert_eq!(downloaded, served);
    // A second sync is cheap and changes nothing.
    let again = pacman.run(&["-Sy"]);
    assert!(again.contains("bump"), "{again}");
    let names = pacman.run(&["-Slq", "bump"]);
    assert_eq!(names.lines().count(), 5);
}

#[tokio::test]
async fn pacman_accepts_empty_repository() {
    let server = with_built(0).await;
    let section = server.iteration("bump").await.architectures[0]
        .repository
        .pacman_conf
        .clone();
    let Some(pacman) = have_pacman(&server.scratch("pacman"), &section) else {
        return;
    };
    pacman.run(&["-Sy"]);
    // Pacman must not mistake the empty database for the current one later.
    server.worker("w").await.claims().await.succeeds().await;
    pacman.run(&["-Sy"]);
    assert_eq!(pacman.run(&["-Sl", "bump"]).trim(), "bump libgreet 1:2.0-1");
}

#[tokio::test]
async fn writes_databases_like_repo_add() {
    let server = with_built(1).await;
    let repository = repository(&server, "1");
    let desc = repository
        .entry("bump.db", "libgreet-1:2.0-1/desc")
        .await
        .unwrap();
    let file = "libgreet-1:2.0-1-x86_64.pkg.tar.zst";
    let size = repository.bytes(file).await.len();
    for expected in [
        format!("%FILENAME%\n{file}\n\n"),
        "%NAME%\nlibgreet\n\n".into(),
        "%BASE%\nlibgreet\n\n".into(),
        "%VERSION%\n1:2.0-1\n\n".into(),
        format!("%CSIZE%\n{size}\n\n"),
        "%ARCH%\nx86_64\n\n".into(),
        "%SHA256SUM%\n".into(),
    ] {
        assert!(desc.contains(&expected), "{expected:?} is not in {desc}");
    }
    assert_eq!(
        repository.entry("bump.db", "libgreet-1:2.0-1/files").await,
        None
    );
    let files = repository
        .entry("bump.files", "libgreet-1:2.0-1/files")
        .await
        .unwrap();
    assert!(files.starts_with("%FILES%\nusr/\n"), "{files}");
}

/// Packs with bsdtar like makepkg, and writes a database with repo-add; the names are not valid
/// text.
const PACK: &str = r#"
    mkdir -p root/usr/share/$'fold\xe9r' && cd root
    touch usr/share/$'caf\xe9' usr/share/$'caf\xc3\xa9' usr/share/$'fold\xe9r/f' 'usr/share/a\x2db'
    printf '%s\n' 'pkgname = libgreet' 'pkgver = 1:2.0-1' 'arch = x86_64' >.PKGINFO
    LC_ALL=C bsdtar -cjf "../$1" .PKGINFO usr 2>/dev/null || [[ -s ../$1 ]]
    cd .. && LC_ALL=C.UTF-8 repo-add --quiet listed.db.tar.gz "$1" >&2
    bsdtar -xOf listed.files.tar.gz '*/files'
"#;

#[tokio::test]
async fn lists_files_of_any_name_like_repo_add() {
    let server = with_built(0).await;
    let job = server.worker("w").await.claims().await;
    let name = "libgreet-1:2.0-1-x86_64.pkg.tar.bz2";
    let packed = std::process::Command::new("bash")
        .args(["-ec", PACK, "bash", name])
        .current_dir(job.folder())
        .output()
        .unwrap();
    if !packed.status.success() {
        println!("skipped: bsdtar or repo-add are missing: {packed:?}");
        return;
    }
    let path = job.folder().join(name);
    let bytes = fs_err::read(&path).unwrap();
    let package = BuiltPackage {
        path,
        file_name: name.parse().unwrap(),
        sha256: Sha256Digest::from_bytes(&sha2::Sha256::digest(&bytes).into()),
        size: bytes.len() as u64,
    };
    job.starts().await;
    job.uploads(&package).await.unwrap();
    job.reports(&reported(&[package])).await.unwrap();
    let repository = repository(&server, "1");
    let entry = "libgreet-1:2.0-1/files";
    let files = repository.entry("bump.files", entry).await.unwrap();
    assert!(files.contains("usr/share/caf\\351\n"), "{files}");
    assert_eq!(files.trim(), String::from_utf8_lossy(&packed.stdout).trim());
    assert_eq!(repository.bytes(name).await, bytes);
}

#[tokio::test]
async fn serves_packages_whole_in_ranges_or_not_modified() {
    let server = with_built(1).await;
    let file = "libgreet-1:2.0-1-x86_64.pkg.tar.zst";
    let url = format!("/repo/bump/1/x86_64/{file}");
    let get = || server.request(Method::GET, &url);
    let whole = get().send().await.unwrap();
    assert_eq!(whole.headers()[header::ACCEPT_RANGES], "bytes");
    let cached = whole.headers()[header::CACHE_CONTROL]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(cached.contains("immutable"), "{cached}");
    let tag = whole.headers()[header::ETAG].clone();
    let bytes = whole.bytes().await.unwrap();

    let part = get()
        .header(header::RANGE, "bytes=10-19")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let range = format!("bytes 10-19/{}", bytes.len());
    assert_eq!(part.headers()[header::CONTENT_RANGE], range.as_str());
    assert_eq!(part.bytes().await.unwrap(), bytes[10..20]);
    let rest = get()
        .header(header::RANGE, "bytes=100-")
        .send()
        .await
        .unwrap();
    assert_eq!(rest.bytes().await.unwrap(), bytes[100..]);
    let beyond = get()
        .header(header::RANGE, "bytes=99999999-")
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let known = get()
        .header(header::IF_NONE_MATCH, &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert!(known.bytes().await.unwrap().is_empty());
    let other = get()
        .header(header::IF_NONE_MATCH, "\"other\"")
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    let head = server.request(Method::HEAD, &url).send().await.unwrap();
    assert_eq!(
        head.headers()[header::CONTENT_LENGTH],
        bytes.len().to_string().as_str()
    );
}

#[tokio::test]
async fn changes_database_tag_with_every_package() {
    let server = with_built(1).await;
    let get = || server.request(Method::GET, "/repo/bump/1/x86_64/bump.db");
    let first = get().send().await.unwrap();
    let tag = first.headers()[header::ETAG].clone();
    // Its date has a resolution of one second, in which it may change twice.
    assert!(first.headers().get(header::LAST_MODIFIED).is_none());
    assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
    let same = get()
        .header(header::IF_NONE_MATCH, &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);

    server.worker("w").await.claims().await.succeeds().await;
    let changed = get()
        .header(header::IF_NONE_MATCH, &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(changed.headers()[header::ETAG], tag);
}

#[tokio::test]
async fn newest_iteration_is_current_and_latest_once_done() {
    let server = with_built(4).await;
    assert_eq!(repository(&server, "current").lists().await.len(), 4);
    let early = repository(&server, "latest").get("bump.db").await;
    let problem = expect_problem(early, 404, ProblemKind::NotFound).await;
    assert!(problem.title.contains("yet"), "{problem:?}");

    server.worker("w").await.claims().await.succeeds().await;
    assert_eq!(repository(&server, "latest").lists().await.len(), 5);
    assert_eq!(repository(&server, "current").lists().await.len(), 5);
}

#[tokio::test]
async fn returns_404_for_files_not_in_a_repository() {
    let server = with_built(1).await;
    let build = server.build("bump", "libgreet").await.id;
    for path in [
        "/repo/nothing/1/x86_64/nothing.db",
        "/repo/bump/2/x86_64/bump.db",
        "/repo/bump/0/x86_64/bump.db",
        "/repo/bump/newest/x86_64/bump.db",
        "/repo/bump/1/aarch64/bump.db",
        "/repo/bump/1/x86_64/other.db",
        "/repo/bump/1/x86_64/bump.db.sig",
        "/repo/bump/1/x86_64/glibc-1-1-x86_64.pkg.tar.zst",
        "/repo/bump/1/x86_64/..%2F..%2F..%2F..%2Fadmin-token",
        "/repo/bump/1/x86_64/..%2f..%2f..%2f..%2fbuildbtw.sqlite3",
        "/repo/bump/1/x86_64/builds/999/bump.db",
        &format!("/repo/bump/1/aarch64/builds/{build}/bump.db"),
    ] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        expect_problem(response, 404, ProblemKind::NotFound).await;
    }
}

#[tokio::test]
async fn build_repository_lists_exactly_its_ancestors() {
    let server = with_built(5).await;
    let seen = async |pkgbase: &str| {
        let build = server.build("bump", pkgbase).await.id;
        repository(&server, "1").seen_by(build).lists().await
    };
    assert!(seen("libgreet").await.is_empty());
    assert_eq!(seen("left").await, ["libgreet-1:2.0-1"]);
    assert_eq!(seen("other").await, ["libgreet-1:2.0-1"]);
    assert_eq!(
        seen("app").await,
        ["left-1-1.1", "libgreet-1:2.0-1", "right-1-1.1"]
    );
    // The packages themselves come from there too, and the database with file lists.
    let app = server.build("bump", "app").await.id;
    let view = repository(&server, "1").seen_by(app);
    assert!(!view.bytes("left-1-1.1-x86_64.pkg.tar.zst").await.is_empty());
    assert!(view.entry("bump.files", "left-1-1.1/files").await.is_some());
}

/// A slow reader occupies an open file, not memory.
#[tokio::test]
async fn renders_build_database_once_and_serves_it_from_disk() {
    let mut server = with_built(5).await;
    let rendered = |server: &TestServer| {
        let folder = fs_err::read_dir(server.data().join("rendered")).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path());
        paths.collect::<std::collections::BTreeSet<_>>()
    };
    let app = server.build("bump", "app").await.id;
    let view = repository(&server, "1").seen_by(app);
    let plain = view.bytes("bump.db").await;
    let first = rendered(&server);
    assert_eq!(first.len(), 1);
    assert_eq!(
        fs_err::read(first.first().unwrap()).unwrap(),
        plain,
        "what is sent is what lies there"
    );
    for _ in 0..3 {
        assert_eq!(view.bytes("bump.db").await, plain);
    }
    view.bytes("bump.files").await;
    assert_eq!(rendered(&server).len(), 2);
    // It may be removed at any time, and is removed at start.
    fs_err::remove_file(first.first().unwrap()).unwrap();
    assert_eq!(view.bytes("bump.db").await, plain);
    server.stop().await;
    server.start_again().await;
    assert!(rendered(&server).is_empty());
    let view = repository(&server, "1").seen_by(app);
    assert_eq!(view.bytes("bump.db").await, plain);
}

#[tokio::test]
async fn isolates_namespaces() {
    let server = with_built(1).await;
    server.namespace("second", &["other/main"]).await;
    let second = Repository::new(server.url(), "second", "1", "x86_64");
    assert!(second.lists().await.is_empty());
    let file = second.get("libgreet-1:2.0-1-x86_64.pkg.tar.zst").await;
    expect_problem(file, 404, ProblemKind::NotFound).await;
}

#[tokio::test]
async fn serves_equal_packages_of_another_namespace_without_building() {
    let server = with_built(1).await;
    server.namespace("second", &["libgreet/main"]).await;
    server
        .follow("second")
        .await
        .until_build("build.reused", "libgreet")
        .await;
    let second = Repository::new(server.url(), "second", "1", "x86_64");
    assert_eq!(second.lists().await, ["libgreet-1:2.0-1"]);
    let file = "libgreet-1:2.0-1-x86_64.pkg.tar.zst";
    let first = repository(&server, "1").bytes(file).await;
    assert_eq!(second.bytes(file).await, first);
}

/// Returns the links of a listing in their order, and its page.
async fn listed(server: &TestServer, path: &str) -> (Vec<String>, String) {
    let response = server.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let media_type = &response.headers()[header::CONTENT_TYPE];
    assert_eq!(media_type, "text/html; charset=utf-8", "{path}");
    let html = response.text().await.unwrap();
    let rows = html.split("<th scope=\"row\"><a href=\"").skip(1);
    let links = rows.map(|row| row.split('"').next().unwrap().to_owned());
    (links.collect(), html)
}

#[tokio::test]
async fn lists_repository_folders() {
    let server = with_built(2).await;
    server.namespace("a-second", &["app/main"]).await;
    let (links, _) = listed(&server, "/repo/").await;
    assert_eq!(links, ["/repo/a-second/", "/repo/bump/"]);
    let (links, _) = listed(&server, "/repo/bump/").await;
    assert_eq!(links, ["/repo/", "/repo/bump/current/", "/repo/bump/1/"]);
    let (links, _) = listed(&server, "/repo/bump/current/").await;
    assert_eq!(links, ["/repo/bump/", "/repo/bump/current/x86_64/"]);

    // A partially written file and a foreign one are not served, so they are not listed.
    let folder = server.data().join("repos/bump/1/x86_64");
    fs_err::write(folder.join(".left-1-1-x86_64.pkg.tar.zst.new"), "x").unwrap();
    fs_err::write(folder.join("<b>.txt"), "x").unwrap();
    for which in ["1", "current"] {
        let path = format!("/repo/bump/{which}/x86_64/");
        let (links, html) = listed(&server, &path).await;
        let names: Vec<&str> = links[1..]
            .iter()
            .map(|link| link.strip_prefix(&path).unwrap())
            .collect();
        let built = server.iteration("bump").await.builds;
        let other = built
            .iter()
            .find(|build| build.status.has_packages() && build.pkgbase.as_str() != "libgreet");
        let other = format!("{}-1-1.1-x86_64.pkg.tar.zst", other.unwrap().pkgbase);
        let libgreet = "libgreet-1%3A2.0-1-x86_64.pkg.tar.zst";
        let mut packages = [other.as_str(), libgreet];
        packages.sort_unstable();
        assert_eq!(names[..2], ["bump.db", "bump.files"]);
        assert_eq!(names[2..], packages);
        assert!(
            html.contains("libgreet-1:2.0-1-x86_64.pkg.tar.zst"),
            "{html}"
        );
        assert!(
            html.contains(" bytes\"") && html.contains(" UTC</td>"),
            "{html}"
        );
        for link in links {
            let response = server.request(Method::GET, &link).send().await.unwrap();
            assert!(response.status().is_success(), "{link}");
        }
    }
    // Nothing is built yet, but the files that pacman requests exist.
    let (links, _) = listed(&server, "/repo/a-second/1/x86_64/").await;
    assert_eq!(links.len(), 3, "{links:?}");

    for path in [
        "/repo/nothing/",
        "/repo/bump/7/",
        "/repo/bump/latest/",
        "/repo/bump/1/aarch64/",
    ] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn redirects_folders_without_slash() {
    let server = with_built(1).await;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    for path in [
        "/repo",
        "/repo/bump",
        "/repo/bump/1",
        "/repo/bump/current/x86_64",
    ] {
        let response = http
            .get(format!("{}{path}", server.url()))
            .send()
            .await
            .unwrap();
        assert!(response.status().is_redirection(), "{path}");
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        assert_eq!(location, format!("{path}/"));
        listed(&server, path).await;
    }
}

#[tokio::test]
async fn serves_range_only_for_matching_if_range() {
    let server = with_built(1).await;
    let path = "/repo/bump/1/x86_64/libgreet-1:2.0-1-x86_64.pkg.tar.zst";
    let part = |known: &str| {
        server
            .request(Method::GET, path)
            .header(header::RANGE, "bytes=0-3")
            .header(header::IF_RANGE, known)
            .send()
    };
    let response = part("\"another\"").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let tag = response.headers()[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned();
    let response = part(&tag).await.unwrap();
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(response.bytes().await.unwrap().len(), 4);
    // Anything other than one byte range is ignored (RFC 9110, section 14.2).
    for range in ["bytes=3-2", "junk", "bytes=0-1,4-5", "lines=1-2"] {
        let request = server.request(Method::GET, path);
        let response = request.header(header::RANGE, range).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{range}");
    }
}

#[tokio::test]
async fn answers_with_an_error_where_it_cannot_read_a_file() {
    let server = with_built(1).await;
    let folder = server.data().join("repos/bump/1/x86_64");
    let names = ["bump.db", "libgreet-1:2.0-1-x86_64.pkg.tar.zst"];
    for name in names {
        let path = folder.join(name);
        let url = format!("/repo/bump/1/x86_64/{name}");
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o0);
        fs_err::set_permissions(&path, closed).unwrap();
        // Root can open the file.
        if fs_err::File::open(&path).is_err() {
            let response = server.request(Method::GET, &url).send().await.unwrap();
            expect_problem(response, 500, ProblemKind::Internal).await;
        }
        fs_err::remove_file(&path).unwrap();
        // Also root cannot open a socket as a file.
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let response = server.request(Method::GET, &url).send().await.unwrap();
        expect_problem(response, 500, ProblemKind::Internal).await;
    }
}
