//! Formats of package files.

use buildbtw_tests::{Server, Sources, Worker, pacman_installs};

use super::support::{can_build, input, iteration, new};

#[test]
fn case_08_pkgext_in_the_pkgbuild() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    for (name, path) in [("big-assets", "pkgext"), ("xz-assets", "pkgextxz")] {
        let path = format!("08-pkgext-in-the-pkgbuild/{path}");
        sources.commit_folder(name, &input(&path));
    }
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let (code, text) = new(&server, "kinds", &["big-assets/main", "xz-assets/main"]);
    assert_eq!(code, Some(0), "{text}");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut files = Vec::new();
    for build in iteration(&server, "kinds").builds {
        let detail = runtime.block_on(server.client().build(build.id)).unwrap();
        let names = detail.packages.iter().map(|package| &package.file_name);
        files.extend(names.map(ToString::to_string));
    }
    files.sort();
    assert_eq!(
        files,
        [
            "big-assets-1.0-1-any.pkg.tar",
            "xz-assets-1.0-1-any.pkg.tar.xz"
        ]
    );
    let names = ["big-assets", "xz-assets"];
    let listed = pacman_installs(folder.path(), &server, "kinds", &names);
    assert_eq!(listed, ["big-assets 1.0-1", "xz-assets 1.0-1"]);
}
