//! Scripts of jobs have the same restrictions as builds.

use nix::unistd::geteuid;

use crate::support::{Host, QUICK, until};

const TIGHT: &str =
    "builder.simulated = { seconds = 0.0 }\nlimits = { memory_mib = 64, processes = 40 }";
/// This limit counts all processes of the scripts' user, those of other tests included.
const TIGHT_WITHOUT_CGROUPS: &str = "builder.simulated = { seconds = 0.0 }\n\
     limits = { memory_mib = 256, processes = 150, cgroups = false }";
const WITHOUT_CGROUPS: &str =
    "builder.simulated = { seconds = 0.0 }\nlimits = { memory_mib = 256, cgroups = false }";

const HUNGRY: &str = "perl -e '$x = \"x\" x (1 << 29); print length($x), \"\\n\"'";
/// Prints a line when it got them all.
const BOMB: &str = "perl -e 'for (1 .. 200) { my $child = fork; exit 3 unless defined $child; \
     unless ($child) { sleep 1000; exit } } print \"all of them\\n\"'";

/// Returns the number of recorded cgroups of scripts.
fn recorded_cgroups(host: &Host) -> usize {
    let notes = host.state().join("jobs/7/limits");
    notes.read_dir().map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_scripts_like_builds() {
    let host = Host::start(TIGHT).await;
    let job = host.prepared_job(7);
    let result = job.script("after_script", HUNGRY).expect(41);
    assert!(!result.out.contains("536870912"), "{result:?}");
    let bomb = job.script("after_script", BOMB).expect(41);
    assert!(!bomb.out.contains("all of them"), "{bomb:?}");
    // Elsewhere no cgroup reports it.
    if geteuid().is_root() && std::path::Path::new("/sys/fs/cgroup/memory/tasks").exists() {
        result.prints("the memory limit of 67108864 bytes was exceeded");
        bomb.prints("the limit of 40 processes was exceeded");
    }
    job.script("after_script", "echo as before")
        .expect(0)
        .prints("as before");
    assert_eq!(recorded_cgroups(&host), 0);
    job.clean_up();
    host.expect_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_each_process_of_a_script_without_cgroups() {
    let host = Host::start(TIGHT_WITHOUT_CGROUPS).await;
    let job = host.prepared_job(7);
    let result = job.script("after_script", HUNGRY).expect(41);
    assert!(!result.out.contains("536870912"), "{result:?}");
    let bomb = job.script("after_script", BOMB).expect(41);
    assert!(!bomb.out.contains("all of them"), "{bomb:?}");
}

/// In whatever way they write it: in a file, in many, little by little, or in several stages.
#[tokio::test(flavor = "multi_thread")]
async fn limits_disk_usage_of_scripts() {
    let host =
        Host::start("builder.simulated = { seconds = 0.0 }\nlimits = { disk_mib = 64 }").await;
    let limit = "the disk limit of 67108864 bytes was exceeded";
    for (number, script) in [
        "head -c 100M /dev/zero >fat; ls -l fat; echo that was all",
        "for i in 1 2 3 4; do head -c 20M /dev/zero >\"$HOME/fat$i\" || exit 3; done; echo that was all",
        "for ((i = 0;; i++)); do mkdir -p a/b/c$i; head -c 1M /dev/zero >a/b/c$i/fat; done",
        // A file without a name.
        "exec 3>a 4>b; rm a b; for fd in 3 4; do head -c 40M /dev/zero >&$fd || exit 3; done; sleep 30",
    ]
    .into_iter()
    .enumerate()
    {
        let job = host.prepared_job(10 + number as u64);
        job.script("after_script", script).expect(41).prints(limit);
        job.clean_up();
    }
    let job = host.prepared_job(7);
    let write = "head -c 40M /dev/zero >$TMPDIR/fat$RANDOM$RANDOM || exit 3";
    job.script("get_sources", write).expect(0);
    job.script("after_script", write).expect(41).prints(limit);
    job.clean_up();
    host.expect_nothing_left();
}

/// A service of the runner may have lower limits, which only a privileged process can raise.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_lower_limits_of_the_runner() {
    let host = Host::start(WITHOUT_CGROUPS).await;
    let job = host.prepared_job(7);
    let script = job.write_script("echo \"limits $(ulimit -Hu) $(ulimit -Hv) $(ulimit -Hc)\"");
    let arguments = ["run", script.to_str().unwrap(), "after_script"];
    job.stage_through("ulimit -u 3000 -v 250000 -c 0; exec \"$@\"", &arguments)
        .expect(0)
        .prints("limits 3000 250000 0");
    job.stage_through("exec \"$@\"", &arguments)
        .expect(0)
        .prints("limits 4096 262144 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_descriptors_and_filters_system_calls_of_scripts() {
    let host = Host::start(QUICK).await;
    let job = host.prepared_job(7);
    let secret = host.path("secret");
    fs_err::write(&secret, "what the runner has open").unwrap();
    let text = r#"
        cat <&9 2>/dev/null && exit 9
        for fd in /proc/self/fd/*; do
            case ${fd##*/}:$(readlink "$fd") in
                [012]:* | *:/proc/* | *:'') ;;
                # Of this shell, which has its script there.
                *) [[ $(readlink "$fd") == "$(readlink /proc/self/fd/0)" ]] || { ls -l "$fd"; exit 8; } ;;
            esac
        done
        grep -q '^Seccomp:.*2$' /proc/self/status || exit 7
        grep -q '^NoNewPrivs:.*1$' /proc/self/status || exit 6
        perl -e '
            exit 0 if `uname -m` !~ /x86_64/;
            sub answer { my $result = syscall($_[0], $_[1], $_[2], 0); return $result < 0 ? $! + 0 : 0 }
            my %calls = (keyctl => 250, add_key => 248, bpf => 321, io_uring_setup => 425,
                userfaultfd => 323, perf_event_open => 298, kexec_load => 246, setns => 308);
            for (sort keys %calls) { print "$_ ", answer($calls{$_}, 0, -3), "\n" }
            print "unshare ", answer(272, 0x10000000, 0), "\n";
            print "clone3 ", answer(435, 0, 0), "\n"' || exit 5
        (: >/dev/fill) 2>/dev/null && exit 4
        for folder in /dev/shm /run /tmp; do
            (( $(df -k --output=size $folder | tail -n 1) <= 262144 )) || exit 3
        done
        touch /dev/shm/mine /tmp/mine && echo all is well
    "#;
    let script = job.write_script(text);
    let between = format!("exec 9<'{}'; exec \"$@\"", secret.display());
    for stage in ["get_sources", "after_script"] {
        let result = job.stage_through(&between, &["run", script.to_str().unwrap(), stage]);
        let result = result.expect(0).prints("all is well");
        if cfg!(target_arch = "x86_64") {
            for call in [
                "keyctl",
                "add_key",
                "bpf",
                "io_uring_setup",
                "userfaultfd",
                "perf_event_open",
                "kexec_load",
                "setns",
                "unshare",
            ] {
                assert!(
                    result.out.contains(&format!("{call} 1\n")),
                    "{call}: {result:?}"
                );
            }
            assert!(result.out.contains("clone3 38\n"), "{result:?}");
        }
    }
}

/// If no cgroup counts memory, every tmpfs folder has a size limit or is not writable.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_tmpfs_folders_of_scripts() {
    let host = Host::start(WITHOUT_CGROUPS).await;
    let job = host.prepared_job(7);
    let text = r#"
        while read -r _ _ _ _ place options _ rest; do
            [[ $rest == *"- tmpfs "* && $options == rw* && ${rest##* } != *size=* ]] && echo "NO SIZE $place"
        done </proc/self/mountinfo
        for folder in / /etc /usr /dev /root /var /opt; do
            (: >"$folder/fill") 2>/dev/null && echo "FILLED $folder"
            mkdir "$folder/many" 2>/dev/null && echo "CROWDED $folder"
        done
        for folder in . "$HOME" "$TMPDIR" /tmp /run /dev/shm; do
            touch "$folder/mine" || exit 3
        done
        echo all is well
    "#;
    for stage in ["get_sources", "after_script"] {
        let result = job.script(stage, text).expect(0).prints("all is well");
        for word in ["NO SIZE", "FILLED", "CROWDED"] {
            assert!(!result.out.contains(word), "{result:?}");
        }
    }
}

/// Rlimits count address space only.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_unaccounted_memory_of_scripts() {
    if !cfg!(target_arch = "x86_64") {
        println!("the test has system call numbers of x86_64 only");
        return;
    }
    let host = Host::start(WITHOUT_CGROUPS).await;
    let job = host.prepared_job(7);
    let text = r#"perl -e '
        my $name = "x"; print "memfd ", syscall(319, $name, 0), " ", $! + 0, "\n";
        print "small ", defined shmget(0, 4096, 0600 | 01000) ? "made" : $! + 0, "\n";
        print "large ", defined shmget(0, 800 << 20, 0600 | 01000) ? "made" : $! + 0, "\n"'"#;
    job.script("after_script", text)
        .expect(0)
        .prints("memfd -1 38\nsmall made\nlarge 22\n");
}

/// The cgroup that a killed front leaves of a script is removed with the job.
#[tokio::test(flavor = "multi_thread")]
async fn removes_the_cgroup_of_a_killed_stage_with_its_job() {
    let host = Host::start(QUICK).await;
    let job = host.prepared_job(7);
    let up = job.builds().join("up");
    let script = job.write_script(&format!("touch '{}'; sleep 86400", up.display()));
    let mut stage = job.start(&["run", script.to_str().unwrap(), "after_script"]);
    until("the start of the script", || up.exists()).await;
    let cgroups: Vec<String> = std::path::Path::new(&host.state())
        .join("jobs/7/limits")
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|note| fs_err::read_to_string(note.unwrap().path().join("cgroup")).ok())
        .flat_map(|folders| folders.lines().map(str::to_owned).collect::<Vec<_>>())
        // The record names every place where the cgroup may have been created.
        .filter(|folder| std::path::Path::new(folder).exists())
        .collect();
    for cgroup in &cgroups {
        let processes = fs_err::read_to_string(format!("{cgroup}/cgroup.procs")).unwrap();
        assert!(processes.lines().count() > 1, "{cgroup}: {processes}");
    }
    stage.kill().unwrap();
    stage.wait().unwrap();
    job.clean_up();
    for cgroup in &cgroups {
        assert!(!std::path::Path::new(cgroup).exists(), "{cgroup}");
    }
    host.expect_nothing_left();
}
