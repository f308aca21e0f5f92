//! The policy `prepare`: `prepare()` and `pkgver()` have a network, and later functions do not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_builder::BuildOutcome;
use buildbtw_model::{FailureKind, NetworkPolicy};
use tokio_util::sync::CancellationToken;

use crate::support::{CallbackLog, Fixture, Log, file_in};
use crate::test_network::{BEHIND_ROUTER, ON_MACHINE, PUBLIC, PUBLIC_6, TestNetwork, page};

const PORT: u16 = 8000;

/// Tries an address in every way: plainly, and from a socket that is bound to the interface, which
/// ignores routes.
const TRY: &str = r#"
try() {
  local host=${1//[][]/}
  curl --silent --show-error --max-time 5 "http://$1:8000/" && echo "$2 REACHED $1"
  perl -MIO::Socket::IP -e '
    my $socket = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => 8000, Timeout => 2,
      Sockopts => [[Socket::SOL_SOCKET, 25, pack("Z*", "eth0")]]);
    print "$ARGV[1] REACHED $ARGV[0] BOUND\n" if $socket' "$host" "$2"
  true
}
"#;

fn package(name: &str, functions: &str) -> String {
    format!(
        "pkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\n{TRY}\n{functions}\n\
         package() {{ install -Dm644 \"$srcdir/found\" \"$pkgdir/usr/share/{name}\"; }}\n"
    )
}

#[tokio::test]
async fn allows_network_in_prepare_only() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    let public = test_network.behind_router(PORT, |_| page("lockfile\n"));
    let functions = format!(
        "prepare() {{ curl -sS --max-time 20 http://{PUBLIC}:{PORT}/ >found
           curl -sS --max-time 20 'http://{PUBLIC_6}:{PORT}/' >>found; }}
         build() {{ try {PUBLIC} BUILD; try '{PUBLIC_6}' BUILD; }}
         check() {{ try {PUBLIC} CHECK; }}"
    );
    let mut request = fixture.request("online", &package("online", &functions));
    request.network = NetworkPolicy::Prepare;
    let (packages, log) = fixture.built(&request).await;
    assert_eq!(
        file_in(&packages[0].path, "usr/share/online"),
        "lockfile\nlockfile\n"
    );
    assert!(!log.contains("REACHED"), "{log}");
    assert_eq!(public.count(), 2);
}

#[tokio::test]
async fn allows_network_of_prepare_in_pkgver() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    test_network.behind_router(PORT, |_| page("7\n"));
    let asks = format!("curl -sS --max-time 20 http://{PUBLIC}:{PORT}/");
    for pkgver in [
        format!("[[ -e $srcdir/found ]] || {asks} >\"$srcdir/found\"; cat \"$srcdir/found\""),
        // Runs again without a network.
        format!("touch found; {asks}"),
        format!("touch found; {asks} | cut -c1"),
        "mkdir \"$srcdir/found.d\"; touch found; echo 7".to_owned(),
    ] {
        let functions = format!("pkgver() {{\n{pkgver}\n}}");
        let mut request = fixture.request("versioned", &package("versioned", &functions));
        request.network = NetworkPolicy::Prepare;
        let (packages, _) = fixture.built(&request).await;
        let name = packages[0].file_name.as_str();
        assert!(name.starts_with("versioned-7-1-"), "{name}");
        request.pkgrel = Some("1.1".into());
        let (packages, _) = fixture.built(&request).await;
        let name = packages[0].file_name.as_str();
        assert!(name.starts_with("versioned-7-1.1-"), "{name}");
    }
}

#[tokio::test]
async fn blocks_the_host_and_its_networks_in_prepare() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    let machine = test_network.on_machine(PORT, |_| page("secret\n"));
    let router = test_network.behind_router(PORT, |_| page("secret\n"));
    fixture.configure(|config| config.server = Some("http://198.51.100.20:80".into()));
    let mut functions = "prepare() {\n".to_owned();
    let others = [
        "198.51.100.20",
        "[::ffff:10.9.9.9]",
        "198.18.0.1",
        "198.18.0.2",
        "198.18.0.5",
        "[2001:2::2]",
        "[2001:2:0:1::1]",
        "0.0.0.0",
    ];
    for host in ON_MACHINE.iter().chain(BEHIND_ROUTER).chain(&others) {
        functions.push_str(&format!("try '{host}' PREPARE\n"));
    }
    functions.push_str("echo done >\"$srcdir/found\"\n}");
    let mut request = fixture.request("hostile", &package("hostile", &functions));
    request.network = NetworkPolicy::Prepare;
    let (_, log) = fixture.built(&request).await;
    assert!(!log.contains("REACHED") && !log.contains("secret"), "{log}");
    assert_eq!((machine.count(), router.count()), (0, 0));
}

#[tokio::test]
async fn explains_that_build_has_no_network() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for policy in [NetworkPolicy::Sources, NetworkPolicy::Prepare] {
        let functions = "build() { curl -sS --max-time 5 http://example.invalid/; }";
        let mut request = fixture.request("late", &package("late", functions));
        request.network = policy;
        let (kind, message, _) = fixture.fails(&request).await;
        assert_eq!(kind, FailureKind::Package);
        assert!(
            message
                .starts_with("build() must not use the network: none is available after prepare()"),
            "{message}"
        );
        assert!(message.contains(&format!("`{policy}`")), "{message}");
    }
}

/// A login shell of makechrootpkg finds an empty home folder, because makepkg runs once.
#[tokio::test]
async fn ignores_home_folder_left_by_prepare() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let functions = "prepare() {
        mkdir -p ~/.config/pacman
        for file in .bash_profile .bash_login .profile .bashrc; do echo 'echo READ; exit 1' >~/$file; done
        for file in .makepkg.conf .config/pacman/makepkg.conf; do echo 'echo READ; exit 6' >~/$file; done
        touch found; }";
    let mut request = fixture.request("home", &package("home", functions));
    request.network = NetworkPolicy::Prepare;
    let (_, log) = fixture.built(&request).await;
    assert!(!log.lines().any(|line| line == "READ"), "{log}");
}

/// makepkg runs all functions in one shell, unless a step has to run in between.
#[tokio::test]
async fn carries_shell_state_of_prepare_into_build() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let functions = "prepare() {
          _made=\"it's made\"; export _EXPORTED=$'two\\nlines'; _list=(1 '2 3'); touch found; }
        build() { echo \"found: $_made|${_EXPORTED@Q}|${_list[1]}\"
          bash -c 'echo \"exported: ${_EXPORTED@Q}\"'; }
        check() { [[ $(type -t cd) == builtin ]]; }";
    for network in [NetworkPolicy::Sources, NetworkPolicy::Prepare] {
        let mut request = fixture.request("shell", &package("shell", functions));
        request.network = network;
        let (_, log) = fixture.built(&request).await;
        for line in [
            "found: it's made|$'two\\nlines'|2 3",
            "exported: $'two\\nlines'",
        ] {
            assert!(log.lines().any(|found| found == line), "{line}: {log}");
        }
    }
}

#[tokio::test]
async fn explains_why_prepare_reaches_nothing() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    let inside = test_network.behind_router(PORT, |_| page("secret\n"));
    let functions = format!("prepare() {{ curl -sS --max-time 20 http://10.9.9.9:{PORT}/; }}");
    let mut request = fixture.request("refused", &package("refused", &functions));
    request.network = NetworkPolicy::Prepare;
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message}");
    assert!(
        message.contains("prepare() reaches neither the build machine nor its neighbours")
            && message.contains("--allow-source-network"),
        "{message}"
    );
    assert_eq!(inside.count(), 0);
}

/// The loss of the network is an infrastructure failure.
#[tokio::test]
async fn reports_dead_pasta_as_infrastructure_failure() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let test_network = TestNetwork::new(&mut fixture);
    test_network.behind_router(PORT, |_| page("here\n"));
    let functions = format!(
        "prepare() {{ while curl -sS --max-time 20 http://{PUBLIC}:{PORT}/; do echo WAITING; done; return 1; }}"
    );
    let mut request = fixture.request("waiting", &package("waiting", &functions));
    request.network = NetworkPolicy::Prepare;
    let attempt = request.attempt.to_string();
    let log = CallbackLog {
        log: Log::default(),
        at: "WAITING",
        action: || {
            for process in pastas(&attempt) {
                let id = process.file_name().unwrap().to_str().unwrap().parse();
                let id = nix::unistd::Pid::from_raw(id.unwrap());
                // It may have exited already.
                let _ = nix::sys::signal::kill(id, nix::sys::signal::SIGKILL);
            }
        },
    };
    let out = fixture.path("out");
    let cancel = CancellationToken::new();
    let outcome = fixture.builder.build(&request, &out, &log, cancel).await;
    let BuildOutcome::Failed { kind, explanation } = outcome else {
        panic!("{outcome:?}\n{}", log.log.text())
    };
    let message = explanation.message;
    assert_eq!(kind, FailureKind::Infrastructure, "{message}");
    assert!(
        message.starts_with("the network for sources failed"),
        "{message}"
    );
}

/// Processes of pasta that belong to an attempt.
fn pastas(attempt: &str) -> Vec<PathBuf> {
    let belongs = |process: &PathBuf| {
        let line = fs_err::read(process.join("cmdline")).unwrap_or_default();
        let cgroup = fs_err::read_to_string(process.join("cgroup")).unwrap_or_default();
        line.starts_with(b"pasta\0") && cgroup.contains(attempt)
    };
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    processes
        .map(|entry| entry.path())
        .filter(belongs)
        .collect()
}

#[tokio::test]
async fn runs_pasta_unprivileged_and_ends_it_with_the_attempt() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let functions = "prepare() {
        for process in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$process; done | grep '[p]asta' && echo VISIBLE
        echo WAITING; sleep 1000; }";
    for how in ["cancelled", "killed"] {
        let mut request = fixture.request("waiting", &package("waiting", functions));
        request.network = NetworkPolicy::Prepare;
        let attempt = request.attempt.to_string();
        let cancel = CancellationToken::new();
        let (log, out) = (Log::default(), fixture.path("out"));
        let build = fixture.builder.build(&request, &out, &log, cancel.clone());
        let watching = async {
            let mut found = Vec::new();
            while found.is_empty() || !log.text().contains("WAITING") {
                tokio::time::sleep(Duration::from_millis(20)).await;
                found = pastas(&attempt);
            }
            let status = fs_err::read_to_string(found[0].join("status")).unwrap();
            match how {
                "cancelled" => cancel.cancel(),
                _ => kill_helper(&found[0]),
            }
            (found, status)
        };
        let (_, (found, status)) = tokio::join!(build, watching);
        assert!(!log.text().contains("VISIBLE"));
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t"));
        let uid: u32 = uid.unwrap().split('\t').next().unwrap().parse().unwrap();
        assert!(uid >= 200_000, "{uid}");
        assert_eq!(found.len(), 1);
        fixture.assert_no_leftovers(&request);
        assert!(!found[0].exists(), "{how}");
    }
}

/// Kills the helper process that started pasta.
fn kill_helper(pasta: &Path) {
    let status = fs_err::read_to_string(pasta.join("status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t"));
    let parent = nix::unistd::Pid::from_raw(parent.unwrap().parse().unwrap());
    nix::sys::signal::kill(parent, nix::sys::signal::SIGKILL).unwrap();
}
