//! Signals at random moments of a job. `just executor-kill-test 100 1` repeats it a hundred times.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};

use crate::sandbox;
use crate::stopping::pid_of;
use crate::support::{Host, Job, StageResult};

/// Random numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_nothing_when_killed_at_any_moment() {
    let (count, seed) = (number("KILLS", 10), number("SEED", 1));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let sandboxed = std::env::var_os("SANDBOX").is_some();
    let settings = if sandboxed {
        ""
    } else {
        "builder.simulated = { seconds = 0.05 }"
    };
    // Builds in the sandbox take some seconds.
    let longest = if sandboxed { 4_000_000 } else { 250_000 };
    let host = Host::start(settings).await;
    for round in 1..=count {
        let job = if sandboxed {
            sandbox::job(&host, round, "setsid sleep 86400 & sleep 0.2")
        } else {
            host.job(round, "a")
        };
        let runner_dies = random.below(2) == 0;
        let stage = random.choose(&["prepare", "script", "build", "build", "build", "cleanup"]);
        let signal = random.choose(&[Signal::SIGTERM, Signal::SIGKILL]);
        let moment = Duration::from_micros(random.below(longest));
        eprintln!("{round}: {signal} to {stage} after {moment:?}, runner dies: {runner_dies}");
        if stage == "prepare" && runner_dies {
            let mut child = job.start_with_runner(&["prepare"]);
            // Not before the stage has identified its parent process.
            let folder = host.state().join(format!("jobs/{round}"));
            while !folder.exists() && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
            kill_at_random(child, moment, signal);
        } else if stage == "prepare" {
            kill_at_random(job.start(&["prepare"]), moment, signal);
        } else {
            if runner_dies {
                job.prepare_with_exited_runner();
            } else {
                job.stage(&["prepare"]).expect(0);
            }
            kill_at_random(start(&job, stage), moment, signal);
        }
        // An orphaned root side ends by itself.
        wait_for_lock(&host.state().join(format!("root/jobs/{round}")));
        if runner_dies {
            StageResult::from(host.command().arg("reap").output().unwrap()).expect(0);
        }
        if !runner_dies {
            job.clean_up();
        }
        assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
        wait_until_nothing_runs(host.state().parent().unwrap()).await;
        assert!(job.attempt().outcomes.len() <= 1);
        assert_eq!(sandbox::cgroups_of(&job), 0);
    }
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(host.state().to_str().unwrap()));
}

fn start(job: &Job<'_>, stage: &str) -> std::process::Child {
    match stage {
        "script" => {
            let script = job.write_script("setsid sleep 86400 & touch $HOME/x; sleep 86400");
            job.start(&["run", script.to_str().unwrap(), "after_script"])
        }
        "build" => {
            let script = job.write_script("");
            job.start(&["run", script.to_str().unwrap(), "build_script"])
        }
        _ => job.start(&["cleanup"]),
    }
}

fn kill_at_random(mut child: std::process::Child, moment: Duration, signal: Signal) {
    // Does not wait for a condition: the kill should come at a random moment.
    std::thread::sleep(moment);
    if child.try_wait().unwrap().is_none() {
        killpg(pid_of(&child), signal).unwrap();
    }
    child.wait_with_output().unwrap();
}

/// Waits until no process holds the lock of a folder.
fn wait_for_lock(folder: &Path) {
    if let Ok(file) = fs_err::File::open(folder) {
        file.into_parts().0.lock().unwrap();
    }
}

/// Waits until no process refers to the folder, by its arguments, environment or mounts. A process
/// that was told to stop may take a moment.
async fn wait_until_nothing_runs(folder: &Path) {
    let started = Instant::now();
    while let Some(process) = process_that_refers_to(folder) {
        assert!(started.elapsed() < Duration::from_secs(60), "{process}");
        tokio::task::yield_now().await;
    }
}

fn process_that_refers_to(folder: &Path) -> Option<String> {
    let needle = folder.to_str().unwrap().as_bytes();
    let own = std::process::id().to_string();
    let knows = |process: &Path| {
        ["cmdline", "environ", "mountinfo"].iter().any(|file| {
            let text = fs_err::read(process.join(file)).unwrap_or_default();
            text.windows(needle.len()).any(|window| window == needle)
        })
    };
    fs_err::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|process| {
            let name = process.file_name().unwrap().to_str().unwrap();
            name != own && name.bytes().all(|byte| byte.is_ascii_digit())
        })
        .find(|process| knows(process))
        .map(|process| {
            let line = fs_err::read(process.join("cmdline")).unwrap_or_default();
            format!("{}: {}", process.display(), String::from_utf8_lossy(&line))
        })
}
