//! The time from the report of a dependency until a worker has its dependent, and the builds per second of one server.
//! Prints figures; asserts nothing about time.
//!
//! The server is a process of its own, and the workers share another one. `just bench` compiles the server first.
//! `cargo bench … -- chain|scale|paced|urgent|outlook|metrics|makespan` runs one part.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "panics abort the benchmark; it prints its figures"
)]

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use buildbtw_model::Priority;
use buildbtw_model::api::SetPriority;
use buildbtw_model::client::Client;
use buildbtw_tests::paced::{Paced, spread};
use buildbtw_tests::worker_pool::{Packages, WorkerPool, claim, create, done, report};
use buildbtw_tests::{Server, Sources, Worker};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| *wanted == name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        if wanted("chain") {
            chain(300).await;
        }
        if wanted("paced") {
            paced(100, 30, 500).await;
        }
        if wanted("urgent") {
            urgent(5_000, 50).await;
        }
        if wanted("outlook") {
            outlook(5_000, 21).await;
        }
        if wanted("scale") {
            scale(12_000, 500).await;
        }
        if wanted("metrics") {
            metrics(12_000, 500).await;
        }
        if wanted("makespan") {
            makespan(30, 8, "0.3").await;
        }
    });
}

/// Measures a chain with one worker: its next claim waits while the dependency is built.
async fn chain(length: usize) {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_chain(folder.path(), length + 1);
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let client = server.client();
    let packages = Packages::new(folder.path());
    let started = Instant::now();
    create(&client, "p0/main", "chain").await;
    let mut current = claim(&client, "bench", 50).await.unwrap();
    let first = started.elapsed();
    let mut latencies = Vec::with_capacity(length);
    for _ in 0..length {
        let packages = packages.upload(&client, &current).await;
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { claim(&client, "bench", 50).await.unwrap() }
        });
        // A response to this later request shows that the claim has arrived before the report.
        client.heartbeat(current.attempt).await.unwrap();
        let reported = Instant::now();
        report(&client, &current, packages).await;
        current = waiting.await.unwrap();
        latencies.push(reported.elapsed());
    }
    println!("new -> first of {length} builds claimed   {first:.2?}");
    println!("outcome -> dependent, one by one     {}", spread(latencies));
}

/// Measures parallel chains at a steady pace: as many builds per second as chains.
async fn paced(chains: usize, length: usize, workers: usize) {
    let folder = tempfile::tempdir().unwrap();
    let paced = Paced {
        chains,
        length,
        workers,
    };
    let sources = paced.sources(folder.path());
    let (server, client) = serve(folder.path(), &sources);
    let latencies = paced.dispatches(&client, folder.path(), "paced").await;
    println!(
        "outcome -> dependent, {chains} builds/s      {}",
        spread(latencies)
    );
    drop(server);
}

/// Measures how long the overview of a mass rebuild takes, most of which is the simulation of its rest.
async fn outlook(ready: usize, requests: usize) {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    sources.write_graph((0..=ready).map(|number| if number == 0 { Vec::new() } else { vec![0] }));
    let (server, client) = serve(folder.path(), &sources);
    let packages = Packages::new(folder.path());
    create(&client, "p0/main", "mass").await;
    let first = claim(&client, "bench", 50).await.unwrap();
    client.heartbeat(first.attempt).await.unwrap();
    let built = packages.upload(&client, &first).await;
    report(&client, &first, built).await;
    // Nothing is expected of workers that are not in contact.
    claim(&client, "bench", 50).await.unwrap();
    let name = "mass".parse().unwrap();
    let mut latencies = Vec::with_capacity(requests);
    for _ in 0..requests {
        let begun = Instant::now();
        let overview = client.iteration_overview(&name, None).await.unwrap();
        latencies.push(begun.elapsed());
        assert!(overview.summary.eta_to.is_some());
    }
    println!("overview of {ready} builds          {}", spread(latencies));
    drop(server);
}

/// Measures how soon an urgent build is dispatched while thousands of others are ready: from the report of the build
/// before, which frees the only worker.
async fn urgent(ready: usize, fixes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let members = (0..=ready).map(|number| if number == 0 { Vec::new() } else { vec![0] });
    sources.write_graph(members.chain((0..fixes).map(|_| Vec::new())));
    let (server, client) = serve(folder.path(), &sources);
    let packages = Packages::new(folder.path());
    create(&client, "p0/main", "mass").await;
    let mut current = claim(&client, "bench", 50).await.unwrap();
    let mut latencies = Vec::with_capacity(fixes);
    for fix in 0..=fixes {
        let built = packages.upload(&client, &current).await;
        let pkgbase = format!("p{}", ready + fix);
        // The first round only builds what all others wait for.
        if fix > 0 {
            let name = format!("fix{fix}");
            create(&client, &format!("{pkgbase}/main"), &name).await;
            let urgent = SetPriority {
                priority: Priority::Urgent,
                reason: None,
            };
            let name = name.parse().unwrap();
            client.set_priority(&name, &urgent).await.unwrap();
        }
        let reported = Instant::now();
        report(&client, &current, built).await;
        current = claim(&client, "bench", 50).await.unwrap();
        if fix > 0 {
            latencies.push(reported.elapsed());
            assert_eq!(
                current.pkgbase.as_str(),
                pkgbase,
                "another build came first"
            );
        }
    }
    println!(
        "outcome -> urgent build, {ready} ready     {}",
        spread(latencies)
    );
    drop(server);
}

/// Measures the throughput of one server: builds that take no time, each of which needs up to three others.
async fn scale(builds: usize, workers: usize) {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    write_large_graph(&sources, builds);
    let (server, client) = serve(folder.path(), &sources);
    let idle = server.memory_kib();
    let worker_pool = WorkerPool::start(&client, folder.path(), workers, Duration::ZERO);
    let started = Instant::now();
    create(&client, "p0/main", "scale").await;
    let planned = started.elapsed();
    done(&client, "scale").await;
    let elapsed = started.elapsed();
    let built = worker_pool.stop_all();
    assert_eq!(built, builds, "every build once");
    println!(
        "{builds} builds, {workers} workers          {:.0} builds/s ({elapsed:.2?}, of it {planned:.2?} to plan and store)",
        builds as f64 / elapsed.as_secs_f64()
    );
    println!(
        "memory of the server                 {} MiB, {} before",
        server.memory_kib() >> 10,
        idle >> 10
    );
    let files = ["buildbtw.sqlite3", "buildbtw.sqlite3-wal"];
    let bytes =
        files.map(|file| std::fs::metadata(server.data().join(file)).map_or(0, |m| m.len()));
    println!(
        "database afterwards                  {:.1} MiB",
        bytes.iter().sum::<u64>() as f64 / 1_048_576.0
    );
}

/// Writes packages each of which needs up to three others.
fn write_large_graph(sources: &Sources, builds: usize) {
    let mut random = 1_u64;
    let mut below = |limit: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % limit
    };
    let graph = (0..builds).map(|number| match number {
        0 => Vec::new(),
        _ => (0..=below(3)).map(|_| below(number)).collect(),
    });
    sources.write_graph(graph);
}

/// Measures reading `/metrics`: of a server that does nothing else, and while builds are dispatched.
async fn metrics(builds: usize, workers: usize) {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    write_large_graph(&sources, builds);
    let (server, client) = serve(folder.path(), &sources);
    create(&client, "p0/main", "metrics").await;
    let idle = scrapes(&server, 9).await;
    let pool = WorkerPool::start(&client, folder.path(), workers, Duration::ZERO);
    let busy = scrapes(&server, 9).await;
    pool.stop_all();
    println!("/metrics at {builds} builds, idle       {}", spread(idle));
    println!(
        "/metrics at {builds} builds, {workers} workers  {}",
        spread(busy)
    );
}

/// Reads `/metrics` a few times. Texts are served again for a second, so there is a pause between.
async fn scrapes(server: &Server, count: usize) -> Vec<Duration> {
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        let address = address.clone();
        let scrape = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let mut stream = std::net::TcpStream::connect(&address).unwrap();
            write!(
                stream,
                "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            let took = began.elapsed();
            assert!(text.trim_end().ends_with("# EOF"), "{text}");
            took
        });
        times.push(scrape.await.unwrap());
    }
    times
}

/// Measures a chain with a fan at its end, built by a real worker with as many jobs as the fan is wide.
async fn makespan(length: usize, fan: usize, seconds: &str) {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let graph = (0..length + fan).map(|number| match number {
        0 => Vec::new(),
        _ => vec![(number - 1).min(length - 1)],
    });
    sources.write_graph(graph);
    let (server, client) = serve(folder.path(), &sources);
    let jobs = u32::try_from(fan).unwrap();
    let _worker = Worker::simulated(&server, &folder.path().join("scratch"), jobs, seconds);
    let started = Instant::now();
    create(&client, "p0/main", "makespan").await;
    done(&client, "makespan").await;
    let elapsed = started.elapsed();
    let ideal = seconds.parse::<f64>().unwrap() * (length + 1) as f64;
    println!(
        "chain of {length} x {seconds} s and a fan of {fan}    {elapsed:.2?}, {:.3} x ideal",
        elapsed.as_secs_f64() / ideal
    );
}

fn serve(folder: &Path, sources: &Sources) -> (Server, Client) {
    let server = Server::start_for_many_clients(folder, sources, 60);
    let client = server.client();
    (server, client)
}
