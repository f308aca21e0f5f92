//! Logs arrive complete and in order.

use std::sync::Arc;
use std::time::Duration;

use buildbtw_builder::LogSink as _;

use super::fake_server::{Attempt, FakeServer, Fault};
use super::support::{build, config};
use crate::log_file::LogFile;
use crate::log_stream::{self, Streamed};
use crate::worker::Context;

fn chaos(number: u64, _path: &str) -> Fault {
    match number % 5 {
        1 => Fault::Unavailable,
        3 => Fault::LoseAnswer,
        _ => Fault::None,
    }
}

#[tokio::test]
async fn a_log_is_the_same_on_both_sides_after_lost_answers_and_a_crash() {
    let (mut server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    server.set_faults(chaos);
    let id = build("a").attempt;
    server.change(|inner| inner.attempts.insert(id, Attempt::default()));
    let config = config(&server, scratch.path(), Duration::ZERO);
    let context = Arc::new(Context::prepare(config).unwrap());
    let log = Arc::new(LogFile::open(&scratch.path().join("log")).unwrap());
    let streaming = {
        let (context, log) = (Arc::clone(&context), Arc::clone(&log));
        tokio::spawn(async move { log_stream::run(&context, id, &log).await })
    };
    let mut written = Vec::new();
    for round in 0_u32..3 {
        for line in 0_u32..9000 {
            let line = format!("round {round}, line {line}\n");
            log.write(line.as_bytes());
            written.extend(line.bytes());
        }
        let length = written.len();
        server
            .until("a round", |inner| inner.attempts[&id].log.len() == length)
            .await;
        server.kill();
        server.change(|inner| {
            let attempt = inner.attempts.get_mut(&id).unwrap();
            attempt.log.truncate(length / 2);
        });
        server.restart().await;
    }
    log.write(b"the end\n");
    written.extend(b"the end\n");
    log.close();
    assert_eq!(streaming.await.unwrap(), Streamed::Complete);
    assert!(server.attempt(id).log == written);
}
