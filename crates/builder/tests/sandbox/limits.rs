//! Exceeds every limit with a real build.

use std::time::Duration;

use buildbtw_model::FailureKind;

use crate::support::{Fixture, script_package};

#[tokio::test]
async fn enforces_time_and_silence_limits() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut request = fixture.request(
        "slow",
        &script_package("slow", "while echo on; do sleep 0.1; done"),
    );
    request.limits.time = Duration::from_secs(3);
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Timeout);
    assert!(message.contains("limit of 3 s"), "{message}");

    let mut request = fixture.request("silent", &script_package("silent", "sleep 1000"));
    request.limits.silence = Duration::from_secs(3);
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Timeout);
    assert!(message.contains("nothing for 3 s"), "{message}");
}

#[tokio::test]
async fn enforces_memory_and_process_limits() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let hungry = "perl -e '$x = \"x\" x (1 << 29); print length($x), \"\\n\"'";
    let mut request = fixture.request("hungry", &script_package("hungry", hungry));
    request.limits.memory_bytes = 128 << 20;
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Memory, "{message} {log}");
    assert!(
        message.contains("memory limit of 134217728 bytes"),
        "{message} {log}"
    );

    let bomb = "bomb() { bomb & bomb; }; bomb; for i in {1..200}; do sleep 1000 & done; wait";
    let mut request = fixture.request("bomb", &script_package("bomb", bomb));
    request.limits.processes = 60;
    request.limits.time = Duration::from_secs(20);
    let (kind, message, log) = fixture.fails(&request).await;
    assert!(
        kind == FailureKind::Package || kind == FailureKind::Timeout,
        "{message}"
    );
    assert!(
        message.contains("limit of 60 processes") || kind == FailureKind::Timeout,
        "{message} {log}"
    );
}

#[tokio::test]
async fn enforces_disk_log_and_output_limits() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut request = fixture.request(
        "fat",
        &script_package("fat", "dd if=/dev/zero of=fat bs=1M count=200"),
    );
    request.limits.disk_bytes = 64 << 20;
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message} {log}");
    assert!(
        message.contains("disk limit of 67108864 bytes"),
        "{message} {log}"
    );

    let mut request = fixture.request("loud", &script_package("loud", "yes loud"));
    request.limits.log_bytes = 1 << 20;
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("limit of 1048576 bytes"), "{message}");
    assert_eq!(log.len(), 1 << 20);

    let mut request = fixture.request("big", &script_package("big", "true"));
    request.limits.output_bytes = 100;
    let (kind, message, _) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("limit of 100 bytes"), "{message}");
}

/// As on machines that do not allow creating a cgroup.
#[tokio::test]
async fn limits_each_process_without_cgroups() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    fixture.without_cgroups();
    let hungry = "perl -e '$x = \"x\" x (1 << 30); print length($x), \"\\n\"'";
    let mut request = fixture.request("hungry", &script_package("hungry", hungry));
    request.limits.memory_bytes = 512 << 20;
    let (kind, message, log) = fixture.fails(&request).await;
    assert_eq!(kind, FailureKind::Package, "{message} {log}");
    assert!(
        message.contains("each process may use 536870912 bytes"),
        "{message} {log}"
    );
    assert!(!log.contains("1073741824"), "{log}");

    let bomb = "for i in {1..200}; do sleep 1000 & done; echo all of them; wait";
    let mut request = fixture.request("bomb", &script_package("bomb", bomb));
    request.limits.processes = 60;
    request.limits.time = Duration::from_secs(8);
    let (kind, message, log) = fixture.fails(&request).await;
    assert!(!log.contains("all of them"), "{log}");
    assert!(
        message.contains("there may be 60 processes") || kind == FailureKind::Timeout,
        "{message} {log}"
    );
}
