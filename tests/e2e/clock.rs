//! Workers whose clocks are wrong by years.

use std::path::{Path, PathBuf};
use std::process::Command;

use buildbtw_model::BuildStatus;
use buildbtw_tests::{Server, Sources, Worker, cli, has_tool, pacman_upgrades, printed};

const TEN_YEARS: i64 = 10 * 365 * 86_400;

/// Shifts the wall clock of the program that is started with it, and no other clock.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
  long result = syscall(SYS_clock_gettime, clock, time);
  const char *shift = getenv("CLOCK_SHIFT");
  if (result == 0 && clock == CLOCK_REALTIME && shift) time->tv_sec += atoll(shift);
  return (int)result;
}
"#;

/// Compiles the library that shifts the clock of a program.
pub(crate) fn compile(folder: &Path) -> PathBuf {
    let (source, shim) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, SHIM).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&shim, &source])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", printed(&compiled));
    shim
}

/// Leases are durations, and all visible times are the server's: builds longer than the lease are
/// neither lost nor finished before their start.
#[test]
fn tolerates_worker_clocks_off_by_years() {
    if !has_tool("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let shim = compile(folder.path());
    std::thread::scope(|scope| {
        for (name, shift) in [("ahead", TEN_YEARS), ("behind", -TEN_YEARS)] {
            let (folder, shim) = (folder.path().join(name), &shim);
            scope.spawn(move || builds_longer_than_the_lease(&folder, shim, shift));
        }
    });
}

fn builds_longer_than_the_lease(folder: &Path, shim: &Path, shift: i64) {
    std::fs::create_dir(folder).unwrap();
    let sources = Sources::with_a_library(folder);
    // Long enough that a busy machine renews it in time.
    let server = Server::start_with_lease(folder, &sources, 10);
    let scratch = folder.join("scratch");
    let mut worker = Worker::simulated_with_clock(&server, &scratch, "11", shim, shift);
    let line = worker.process.wait_for_line("worker started");
    let today = jiff::Timestamp::now().to_string();
    assert_ne!(line[..4], today[..4], "the clock is not shifted: {line}");

    let output = cli(&server, &["new", "left/main", "--name", "left", "--follow"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder, &server, "left");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = server.client();
        let iteration = client.iteration(&"left".parse().unwrap(), None).await;
        for build in iteration.unwrap().builds {
            assert_eq!(build.status, BuildStatus::Built);
            let attempts = client.build(build.id).await.unwrap().attempts;
            assert_eq!(attempts.len(), 1, "{attempts:?}");
            let (started, finished) = (attempts[0].started_at, attempts[0].finished_at);
            let took = finished
                .unwrap()
                .duration_since(started.unwrap())
                .as_secs_f64();
            // Neither years, nor negative.
            assert!((10.0..86_400.0).contains(&took), "{took} s");
        }
    });
}
