//! Restrictions of every step of a build, observed from inside and from the host.
#![allow(unsafe_code, reason = "keys have no safe interface")]

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tokio_util::sync::CancellationToken;

use crate::support::{Fixture, Log, script_package, scriptlet};

/// Prints the privileges of a process, and whether it can create namespaces.
const STATE: &str = r#"
    echo "WHO id=$(id -u):$(id -g):$(id -G) map=$(xargs </proc/self/uid_map)"
    echo "WHO namespaces=$(</proc/sys/user/max_user_namespaces)"
    grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | sed 's/^/WHO /' | tr -d '\t'
    unshare -U true && echo NAMESPACE
    unshare -Ur true && echo NAMESPACE
    (echo 9 >/proc/sys/user/max_user_namespaces) && echo RAISED
    for fd in /proc/self/fd/*; do readlink "$fd"; done | sed 's/^/FD /'
    true
"#;

/// Builds a package whose scriptlet runs the script, and then one whose build runs it. Returns what
/// the scriptlet and the build wrote.
async fn run_in_scriptlet_and_build(fixture: &Fixture, script: &str) -> (String, String) {
    let pkgbuild = script_package("first", "true").replace("arch=", "install=x.install\narch=");
    let install = scriptlet(script);
    let files = [("PKGBUILD", &*pkgbuild), ("x.install", &*install)];
    let (packages, _) = fixture.built(&fixture.request_with("first", &files)).await;
    fixture.publish("base", &packages);
    let script = format!("cat /usr/share/of-scriptlet; echo; echo BUILD\n( {script}\n) 2>&1");
    let mut request = fixture.request("second", &script_package("second", &script));
    request.dependencies = vec!["first".into()];
    let (_, log) = fixture.built(&request).await;
    let (scriptlet, build) = log.split_once("\nBUILD\n").unwrap();
    (scriptlet.to_owned(), build.to_owned())
}

#[tokio::test]
async fn forbids_user_namespaces_in_every_step_and_capabilities_in_builds() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (scriptlet, build) = run_in_scriptlet_and_build(&fixture, STATE).await;
    for (text, id) in [(&scriptlet, "0:0:0"), (&build, "1000:1000:1000")] {
        let who = format!("WHO id={id} map=0 ");
        assert!(text.contains(&who) && text.contains(" 65536\n"), "{text}");
        assert!(text.contains("WHO namespaces=0\n"), "{text}");
        assert!(text.contains("WHO NoNewPrivs:1\n"), "{text}");
        assert!(text.contains("WHO Seccomp:2\n"), "{text}");
        for word in ["NAMESPACE", "RAISED"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let none = format!("WHO {set}:0000000000000000\n");
        assert!(build.contains(&none), "{build}");
    }
    // The installation needs some.
    assert!(
        !scriptlet.contains("WHO CapEff:0000000000000000"),
        "{scriptlet}"
    );
    let host = fs_err::read_to_string("/proc/sys/user/max_user_namespaces").unwrap();
    assert_ne!(host.trim(), "0", "the limit of the machine is unchanged");
}

/// Holds for any descriptors that the calling program has open, down to the last step.
#[tokio::test]
async fn closes_descriptors_for_steps_and_helper() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let name = format!("secret-{}", std::process::id());
    fs_err::write(fixture.path(&name), "secret").unwrap();
    let secret = fs_err::File::open(fixture.path(&name)).unwrap();
    fcntl(secret.file(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let script = format!("{STATE}\ncat <&{} 2>/dev/null || true", secret.as_raw_fd());
    let (scriptlet, build) = run_in_scriptlet_and_build(&fixture, &script).await;
    for text in [&scriptlet, &build] {
        assert!(text.contains("FD "), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    // The intermediate processes do not have it either.
    let request = fixture.request(
        "held",
        &script_package("held", "echo it is up; sleep 100000"),
    );
    let up = CancellationToken::new();
    let log = Log::cancelling("it is up", &up);
    let out = fixture.path("out");
    let cancel = CancellationToken::new();
    let watching = async {
        up.cancelled().await;
        // Programs started by other tests inherit it for a moment.
        let result = wait_until(|| processes_with_open(&name).is_empty()).await;
        cancel.cancel();
        result
    };
    let build = fixture.builder.build(&request, &out, &log, cancel.clone());
    let (_, result) = tokio::join!(build, watching);
    assert!(result, "{:?}", processes_with_open(&name));
}

/// Waits until a condition holds; returns whether it did.
async fn wait_until(holds: impl Fn() -> bool) -> bool {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, wait).await.is_ok()
}

/// Returns the other processes that have a file of this name open.
fn processes_with_open(name: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|process| process.file_name().into_string().ok());
    numbers
        .filter(|number| number.parse::<u32>().is_ok() && *number != own)
        .filter(|number| {
            let files = std::fs::read_dir(format!("/proc/{number}/fd"));
            files
                .into_iter()
                .flatten()
                .flatten()
                .any(|file| std::fs::read_link(file.path()).is_ok_and(|path| path.ends_with(name)))
        })
        .collect()
}

/// The kernel passes a session keyring on to every process, whatever user it becomes, and counts
/// the processes that have it.
#[tokio::test]
async fn isolates_session_keyring_of_steps() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let name = format!("buildbtw-test-{}", std::process::id());
    let text = std::ffi::CString::new(name.clone()).unwrap();
    // SAFETY: the name is a C string that lives through the call.
    let joined = unsafe { nix::libc::syscall(nix::libc::SYS_keyctl, 1, text.as_ptr()) };
    if joined < 0 {
        eprintln!("SKIPPED: kernel keyrings are not available");
        return;
    }
    let users = || -> usize {
        let keys = fs_err::read_to_string("/proc/keys").unwrap();
        let line = keys.lines().find(|line| line.contains(&name)).unwrap();
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    let before = users();
    let request = fixture.request(
        "keys",
        &script_package("keys", "echo it is up; sleep 100000"),
    );
    let up = CancellationToken::new();
    let log = Log::cancelling("it is up", &up);
    let out = fixture.path("out");
    let cancel = CancellationToken::new();
    let build = fixture.builder.build(&request, &out, &log, cancel.clone());
    let watching = async {
        up.cancelled().await;
        // The helper still has two, through which the files it runs from were opened. Those of
        // exited processes are freed a moment later.
        let result = wait_until(|| users() <= before + 2).await;
        cancel.cancel();
        result
    };
    let (_, result) = tokio::join!(build, watching);
    assert!(result, "{before} before, {} during", users());
}

#[tokio::test]
async fn bounds_tmpfs_folders_without_a_cgroup() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    fixture.without_cgroups();
    let script = r#"
        for folder in /dev /dev/shm /run; do
            echo "SIZE $folder $(df -k --output=size $folder | tail -n 1) $(df --output=itotal $folder | tail -n 1)"
            [[ -w $folder ]] || continue
            head -c 400M /dev/zero >$folder/fill && echo "FILLED $folder"
            rm -f $folder/fill
            mkdir $folder/many
            (cd $folder/many && seq 30000 | xargs touch) && echo "CROWDED $folder"
            rm -r $folder/many
            touch $folder/left-behind
        done
        [[ -c /dev/null && -c /dev/tty && -e /dev/fd/0 && -L /dev/stdout && -c /dev/ptmx ]] || echo LACKING
        (: </dev/zero) && head -c 9 /dev/urandom | wc -c
        script -qec 'tty' /dev/null </dev/null
    "#;
    let (scriptlet, build) = run_in_scriptlet_and_build(&fixture, script).await;
    for text in [&scriptlet, &build] {
        for word in ["FILLED", "CROWDED", "LACKING"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        assert!(text.contains("/dev/pts/0"), "{text}");
        let sizes: Vec<Vec<u64>> = text
            .lines()
            .filter_map(|line| line.strip_prefix("SIZE "))
            .map(|line| {
                let numbers = line.split_whitespace().skip(1);
                numbers.map(|number| number.parse().unwrap()).collect()
            })
            .collect();
        assert_eq!(sizes.len(), 3, "{text}");
        for size in sizes {
            assert!(size[0] <= 256 << 10 && size[1] <= 16_384, "{text}");
        }
    }
    // The build's user may write to only one of them, and what a step leaves there is removed with
    // it.
    let script = "ls /dev/left-behind /dev/shm/left-behind /run/left-behind 2>/dev/null || true";
    let (_, second) = run_in_scriptlet_and_build(&fixture, script).await;
    assert!(!second.contains("left-behind\n"), "{second}");
}

/// Rlimits count address space; without a cgroup, other memory is not counted.
#[tokio::test]
async fn blocks_memory_outside_address_spaces_without_a_cgroup() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    if !cfg!(target_arch = "x86_64") {
        eprintln!("SKIPPED: the test has system call numbers of x86_64 only");
        return;
    }
    let script = r#"perl -e '
        $! = 0; my $name = "x"; my $file = syscall(319, $name, 0);
        print "MEMFD ", ($file < 0 ? $! + 0 : "made"), "\n";
        if ($file >= 0) {
            open(my $out, ">&=", $file); my $piece = "x" x (1 << 20); my $written = 0;
            for (1 .. 900) { last unless syswrite($out, $piece); $written++ }
            print "WROTE $written MiB\n";
        }
        for my $size (56, 65536, 65537, 800 << 20, 1 << 33) {
            $! = 0; my $id = shmget(0, $size, 0600 | 01000);
            print "SEGMENT $size ", (defined $id ? "made" : $! + 0), "\n";
            shmctl($id, 0, 0) if defined $id;
        }'"#;
    fixture.without_cgroups();
    let (scriptlet, build) = run_in_scriptlet_and_build(&fixture, script).await;
    for text in [&scriptlet, &build] {
        assert!(
            text.contains("MEMFD 38\n") && !text.contains("WROTE"),
            "{text}"
        );
        for (size, result) in [
            (56, "made"),
            (65_536, "made"),
            (65_537, "22"),
            (800 << 20, "22"),
            (1_u64 << 33, "22"),
        ] {
            let line = format!("SEGMENT {size} {result}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}

/// The only step with a network, observed from the host while a server keeps it waiting.
#[tokio::test]
async fn fetches_sources_without_privileges() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("{}/held", listener.local_addr().unwrap());
    let mut request = fixture.request("fetching", &script_package("fetching", "true"));
    request.sources = vec![format!("http://{address}")];
    let log = Log::default();
    let out = fixture.path("out");
    let cancel = CancellationToken::new();
    let build = fixture.builder.build(&request, &out, &log, cancel.clone());
    let watching = async {
        let (_connection, _) = listener.accept().await.unwrap();
        let found = fs_err::read_dir("/proc").unwrap().flatten().find(|entry| {
            let line = fs_err::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            let program = line.split('\0').next().unwrap_or_default();
            program.ends_with("curl") && line.contains(&address)
        });
        let process = found.unwrap().path();
        let status = fs_err::read_to_string(process.join("status")).unwrap();
        let ids = fs_err::read_to_string(process.join("uid_map")).unwrap();
        let mode = |folder: &str| {
            let folder = fs_err::metadata(process.join("root").join(folder)).unwrap();
            folder.permissions().mode() & 0o7777
        };
        let modes = ["etc", "run", "tmp", "dev/shm"].map(mode);
        cancel.cancel();
        (status, ids, modes)
    };
    let (_, (status, ids, modes)) = tokio::join!(build, watching);
    assert_eq!(modes, [0o755, 0o755, 0o1777, 0o1777]);
    assert!(ids.trim_end().ends_with(" 65536"), "{ids}");
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    let first: u32 = ids.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(value("Uid:"), (first + 1000).to_string());
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(value(set), "0000000000000000", "{set}");
    }
    assert_eq!(
        (value("NoNewPrivs:"), value("Seccomp:")),
        ("1".into(), "2".into())
    );
}
