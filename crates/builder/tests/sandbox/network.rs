//! From which addresses sources may be downloaded, on a machine with neighbours in network
//! namespaces of the test.

use buildbtw_model::{FailureKind, NetworkPolicy};

use crate::support::{Fixture, file_in, script_package};
use crate::test_network::{
    BEHIND_ROUTER, ON_MACHINE, PUBLIC, PUBLIC_6, TestNetwork, page, redirect,
};

const PORT: u16 = 8000;

/// Returns a package that installs its only source.
fn of_source(name: &str, source: &str) -> String {
    format!(
        "pkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\nsource=('x.txt::{source}')\n\
         sha256sums=(SKIP)\npackage() {{ install -Dm644 x.txt \"$pkgdir/usr/share/{name}\"; }}\n"
    )
}

#[tokio::test]
async fn reaches_public_addresses_of_both_families() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    test_network.behind_router(PORT, |_| page("public\n"));
    for host in [PUBLIC, PUBLIC_6, "public.test"] {
        let source = format!("http://{host}:{PORT}/x.txt");
        let mut request = fixture.request("reached", &of_source("reached", &source));
        request.sources = vec![format!("x.txt::{source}")];
        let (packages, _) = fixture.built(&request).await;
        assert_eq!(file_in(&packages[0].path, "usr/share/reached"), "public\n");
    }
}

#[tokio::test]
async fn blocks_the_host_and_its_networks() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    let machine = test_network.on_machine(PORT, |_| page("secret\n"));
    let router = test_network.behind_router(PORT, |_| page("secret\n"));
    fixture.configure(|config| config.server = Some("http://198.51.100.20:8080/path".into()));
    let others = [
        "rebound.test",
        "[::ffff:10.9.9.9]",
        "198.51.100.20",
        "localhost",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "[fe80::1]",
        "[ff02::1]",
    ];
    let of_http = ON_MACHINE.iter().chain(BEHIND_ROUTER).chain(&others);
    let other_schemes = ["ftp", "git+http", "git"];
    let of_others = other_schemes
        .iter()
        .flat_map(|scheme| ["203.0.113.1", "203.0.113.2"].map(|host| (*scheme, host)));
    for (scheme, host) in of_http.map(|host| ("http", *host)).chain(of_others) {
        let source = format!("{scheme}://{host}:{PORT}/x.txt");
        let mut request = fixture.request("refused", &of_source("refused", &source));
        request.sources = vec![format!("x.txt::{source}")];
        let (kind, message, log) = fixture.fails(&request).await;
        assert!(!log.contains("secret"), "{log}");
        assert_eq!(kind, FailureKind::Package, "{source}: {message}");
        assert!(
            message.contains("from which sources must not be fetched"),
            "{message}"
        );
        assert!(message.contains("--allow-source-network"), "{message}");
    }
    assert_eq!((machine.count(), router.count()), (0, 0));
}

#[tokio::test]
async fn blocks_redirect_to_blocked_address() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    let machine = test_network.on_machine(PORT, |_| page("secret\n"));
    let inside = test_network.behind_router(PORT + 1, |_| page("secret\n"));
    let _public =
        test_network.behind_router(PORT, |path| redirect(path.trim_start_matches("/to/")));
    for (target, part) in [
        ("http://169.254.169.254:8001/latest", "169.254.169.254"),
        ("http://127.0.0.1:8000/x", "127.0.0.1"),
        ("http://10.9.9.9:8001/x", "10.9.9.9"),
        ("http://[fd00:9::9]:8001/x", "fd00:9::9"),
        ("http://rebound.test:8001/x", "10.9.9.9"),
        ("file:///etc/passwd", "protocol"),
    ] {
        let source = format!("http://{PUBLIC}:{PORT}/to/{target}");
        let mut request = fixture.request("redirected", &of_source("redirected", &source));
        request.sources = vec![format!("x.txt::{source}")];
        let (kind, message, _) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package, "{message}");
        assert!(message.contains(part), "{target}: {message}");
    }
    assert_eq!((machine.count(), inside.count()), (0, 0));
}

#[tokio::test]
async fn allows_configured_network_only() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    test_network.behind_router(PORT, |_| page("opened\n"));
    test_network.on_machine(PORT, |_| page("opened\n"));
    let networks = ["10.9.9.0/24", "127.0.0.0/8", "fd00:9::/64", "203.0.113.7"];
    fixture.configure(|config| {
        config.allow_source_networks = networks.map(|text| text.parse().unwrap()).to_vec();
    });
    for host in [
        "10.9.9.9",
        "127.0.0.1",
        "[fd00:9::9]",
        "203.0.113.7",
        PUBLIC,
    ] {
        let source = format!("http://{host}:{PORT}/x.txt");
        let mut request = fixture.request("opened", &of_source("opened", &source));
        request.sources = vec![format!("x.txt::{source}")];
        let (packages, _) = fixture.built(&request).await;
        assert_eq!(file_in(&packages[0].path, "usr/share/opened"), "opened\n");
    }
    for host in ["203.0.113.1", "203.0.113.2", "[2001:db8:1::2]"] {
        let source = format!("http://{host}:{PORT}/x.txt");
        let mut request = fixture.request("closed", &of_source("closed", &source));
        request.sources = vec![format!("x.txt::{source}")];
        let (kind, message, _) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package, "{message}");
    }
}

/// The policy `none` downloads nothing, and builds what needs no download.
#[tokio::test]
async fn rejects_remote_sources_under_policy_none() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let source = "http://me:secret@192.0.2.77/x.txt";
    let mut request = fixture.request("offline", &of_source("offline", source));
    request.network = NetworkPolicy::None;
    request.sources = vec![format!("x.txt::{source}")];
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("network policy `none`"), "{message}");
    assert!(message.contains("http://192.0.2.77/x.txt"), "{message}");
    assert!(!message.contains("secret"), "{message}");

    let mut request = fixture.request("local", &script_package("local", "true"));
    request.network = NetworkPolicy::None;
    fixture.built(&request).await;
}

/// An address that cannot be blocked, because it is unknown, must not be reachable by accident.
#[tokio::test]
async fn fetches_nothing_when_server_name_does_not_resolve() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let port = crate::serving::serve(fixture.path("repository")).await;
    fs_err::write(fixture.path("repository/x.txt"), "text\n").unwrap();
    fixture.configure(|config| config.server = Some("http://no-such-host.invalid:80".into()));
    let source = format!("http://127.0.0.1:{port}/x.txt");
    let mut request = fixture.request("unknown", &of_source("unknown", &source));
    request.sources = vec![format!("x.txt::{source}")];
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Infrastructure, "{message}");
    assert!(
        message.contains("no-such-host.invalid") && message.contains("could not be resolved"),
        "{message}"
    );
    fixture
        .built(&fixture.request("local", &script_package("local", "true")))
        .await;
}

/// Allowing a network does not allow the host's own addresses in it.
#[tokio::test]
async fn blocks_the_host_despite_allowed_network() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    let machine = test_network.on_machine(PORT, |_| page("secret\n"));
    test_network.behind_router(PORT, |_| page("neighbour\n"));
    fixture.configure(|config| {
        config.allow_source_networks = vec!["203.0.113.0/24".parse().unwrap()];
        config.server = Some("http://203.0.113.1:80".into());
    });
    let request = |host: &str| {
        let source = format!("http://{host}:{PORT}/x.txt");
        let mut request = fixture.request("opened", &of_source("opened", &source));
        request.sources = vec![format!("x.txt::{source}")];
        request
    };
    let (packages, _) = fixture.built(&request("203.0.113.7")).await;
    assert_eq!(
        file_in(&packages[0].path, "usr/share/opened"),
        "neighbour\n"
    );
    for host in ["203.0.113.1", "203.0.113.2"] {
        let (kind, message, _) = fixture.fails(&request(host)).await;
        assert_eq!(kind, FailureKind::Package, "{message}");
        let single = format!("{host} belongs to {host}/32");
        assert!(message.contains(&single), "{message}");
    }
    assert_eq!(machine.count(), 0);
}
