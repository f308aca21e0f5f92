//! Tests that logs arrive complete and in order.

use std::sync::Arc;

use buildbtw_builder::LogSink as _;
use buildbtw_fake_server::{Attempt, FakeServer, Fault};
use buildbtw_model::AttemptId;
use buildbtw_model::client::Client;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::log_file::LogFile;
use crate::log_stream::{self, Streamed};

fn random_faults(number: u64, _path: &str) -> Fault {
    match number % 5 {
        1 => Fault::Unavailable,
        3 => Fault::LoseResponse,
        _ => Fault::None,
    }
}

#[tokio::test]
async fn sends_identical_log_despite_lost_responses_and_crash() {
    let (mut server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    server.set_faults(random_faults);
    let id = AttemptId::new();
    server.change(|inner| inner.attempts.insert(id, Attempt::default()));
    let client = Client::new(&server.url(), Some("token".into())).unwrap();
    let disconnect = CancellationToken::new();
    let connection = Arc::new(Connection::new(
        client,
        disconnect,
        Box::new(|error| panic!("{error}")),
    ));
    let log = Arc::new(LogFile::open(&scratch.path().join("log")).unwrap());
    let streaming = {
        let (connection, log) = (Arc::clone(&connection), Arc::clone(&log));
        tokio::spawn(async move { log_stream::run(&connection, id, &log).await })
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
