//! A host with neighbours: network namespaces in which the helper and servers run.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sched::{CloneFlags, setns, unshare};

use crate::serving::{Request, respond};
use crate::support::Fixture;

/// The host has `203.0.113.2` and `2001:db8:1::2`. Its router is `203.0.113.1` and `2001:db8:1::1`; the
/// neighbour, servers behind the router and everything else are addresses of the same namespace.
const ROUTER: &str = "\
link set lo up
link add peer type veth peer name eth0 netns MACHINE
address add 203.0.113.1/24 dev peer
address add 203.0.113.7/24 dev peer
address add 2001:db8:1::1/64 dev peer nodad
address add 2001:db8:1::7/64 dev peer nodad
address add 198.51.100.10/32 dev lo
address add 198.51.100.20/32 dev lo
address add 10.9.9.9/32 dev lo
address add 100.64.0.1/32 dev lo
address add 172.16.0.1/32 dev lo
address add 192.168.0.1/32 dev lo
address add 169.254.169.254/32 dev lo
address add 2001:db8:f::10/128 dev lo
address add fd00:9::9/128 dev lo
link set peer up
";
const MACHINE: &str = "\
link set lo up
address add 203.0.113.2/24 dev eth0
address add 2001:db8:1::2/64 dev eth0 nodad
link set eth0 up
route add default via 203.0.113.1
route add ::/0 via 2001:db8:1::1
";
/// Host names that the host resolves.
const HOSTS: &str = "\
127.0.0.1 localhost
198.51.100.10 public.test
10.9.9.9 rebound.test
";

/// Servers behind the router that may be reached.
pub(crate) const PUBLIC: &str = "198.51.100.10";
pub(crate) const PUBLIC_6: &str = "[2001:db8:f::10]";
/// Addresses of the host, and of the router's namespace, from which no sources may be
/// downloaded.
pub(crate) const ON_MACHINE: &[&str] = &["127.0.0.1", "203.0.113.2", "[::1]", "[2001:db8:1::2]"];
pub(crate) const BEHIND_ROUTER: &[&str] = &[
    "203.0.113.1",
    "203.0.113.7",
    "10.9.9.9",
    "100.64.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "[2001:db8:1::1]",
    "[2001:db8:1::7]",
    "[fd00:9::9]",
];

/// The two namespaces.
pub(crate) struct TestNetwork {
    machine: Arc<File>,
    router: Arc<File>,
}

/// A server that gives every request the same response and counts them.
pub(crate) struct Counting {
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Counting {
    pub(crate) fn count(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl TestNetwork {
    /// Creates them, and runs the helper of the fixture on the host.
    pub(crate) fn new(fixture: &mut Fixture) -> Self {
        let test_network = Self {
            machine: Arc::new(namespace()),
            router: Arc::new(namespace()),
        };
        let machine = path(&test_network.machine);
        run_ip(&test_network.router, &ROUTER.replace("MACHINE", &machine));
        run_ip(&test_network.machine, MACHINE);
        let hosts = fixture.path("hosts");
        fs_err::write(&hosts, HOSTS).unwrap();
        fixture.start_helper_by(&format!(
            "exec unshare --mount --propagation private sh -c '\
             mount --bind {} /etc/hosts && exec nsenter --net={machine} \"$@\"' sh \"$@\"",
            hosts.display()
        ));
        fixture.configure(|config| config.allow_source_networks.clear());
        test_network
    }

    /// Serves on all addresses of the host.
    pub(crate) fn on_machine(
        &self,
        port: u16,
        response: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Counting {
        serve(&self.machine, port, response)
    }

    /// Serves on all addresses behind the router, and on the router's.
    pub(crate) fn behind_router(
        &self,
        port: u16,
        response: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Counting {
        serve(&self.router, port, response)
    }
}

/// Returns an HTTP response with a body.
pub(crate) fn page(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Returns a redirect.
pub(crate) fn redirect(to: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn namespace() -> File {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let (file, _) = fs_err::File::open("/proc/thread-self/ns/net")
            .unwrap()
            .into_parts();
        file
    });
    thread.join().unwrap()
}

fn path(namespace: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd())
}

fn run_ip(namespace: &File, commands: &str) {
    use std::io::Write as _;
    let mut child = Command::new("nsenter")
        .arg(format!("--net={}", path(namespace)))
        .args(["ip", "-batch", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(commands.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

/// Serves on all addresses of a namespace for as long as the test runs. The response may depend on
/// the path.
fn serve(
    namespace: &Arc<File>,
    port: u16,
    response: impl Fn(&str) -> String + Send + Sync + 'static,
) -> Counting {
    let namespace = Arc::clone(namespace);
    let listener = std::thread::spawn(move || {
        setns(&*namespace, CloneFlags::CLONE_NEWNET).unwrap();
        // Of both families.
        TcpListener::bind(SocketAddr::new("::".parse().unwrap(), port)).unwrap()
    });
    let listener = listener.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let response = move |request: &Request| response(&request.path).into_bytes();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            // Clients may disconnect at any time.
            let _ = respond(stream, &response).await;
        }
    });
    Counting { connections }
}
