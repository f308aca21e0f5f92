//! A package that downloads in `prepare()`, through server, worker and command line.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use buildbtw_tests::{Server, Sources, Worker, cli, is_root, printed};

/// Answers every connection with the same file, for as long as the test runs.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            // Clients go away when they like.
            let _ = stream.read(&mut request);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nlocked\n",
            );
        }
    });
    port
}

#[test]
fn a_namespace_with_the_policy_prepare_downloads_in_prepare() {
    if !is_root() {
        return;
    }
    let port = serve();
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let scratch = folder.path().join("scratch");
    let _worker = Worker::sandboxed_and(
        &server,
        &scratch,
        &["--allow-source-network", "127.0.0.0/8"],
    );
    let pkgbuild = format!(
        "pkgname=netprep\npkgver=1\npkgrel=1\narch=(any)\n\
         prepare() {{ curl -sS --max-time 20 http://127.0.0.1:{port}/lockfile >lockfile; }}\n\
         package() {{ install -Dm644 \"$srcdir/lockfile\" \"$pkgdir/usr/share/netprep\"; }}\n"
    );
    let srcinfo =
        "pkgbase = netprep\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n\npkgname = netprep\n";
    sources.commit_with("netprep", srcinfo, &pkgbuild);

    let new = ["new", "netprep/main", "--follow", "--name"];
    let output = cli(&server, &[&new[..], &["usual"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let shown = printed(&cli(&server, &["show", "usual"]));
    assert!(
        shown.contains("may not use the network: policy `sources`"),
        "{shown}"
    );
    let output = cli(
        &server,
        &[&new[..], &["online", "--network", "prepare"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let shown = printed(&cli(&server, &["show", "online"]));
    assert!(shown.contains("prepare"), "{shown}");
}
