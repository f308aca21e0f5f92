//! Standard input: one request, after which it stays open. Its end means that the front is gone, or wants this
//! process to end.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::sync::mpsc;

use anyhow::{Context as _, ensure};
use buildbtw_telemetry::spawn_named;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::request::{LOST, Request};
use super::stop::Stop;

/// The size limit of a request, most of which is the ID token.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the request. `stop` fires when the input ends.
pub(super) fn listen(stop: Stop) -> anyhow::Result<Request> {
    let (sender, receiver) = mpsc::channel();
    // A blocked read in a thread of the runtime would keep the process from ending.
    std::thread::spawn(move || {
        let mut input = BufReader::new(io::stdin().lock());
        let mut line = Vec::new();
        let read = (&mut input).take(MAX_BYTES).read_until(b'\n', &mut line);
        // Cannot fail: the receiver waits for it.
        let _ = sender.send(read.map(|_| line));
        let mut reason = Vec::new();
        let _ = (&mut input)
            .take(LOST.len() as u64)
            .read_to_end(&mut reason);
        if reason == LOST.as_bytes() {
            stop.set_runner_lost();
        }
        let _ = io::copy(&mut input, &mut io::sink());
        stop.front_exited();
    });
    let line = receiver.recv().context("cannot read the request")??;
    ensure!(
        line.ends_with(b"\n"),
        "the request is not a line of at most {MAX_BYTES} bytes"
    );
    serde_json::from_slice(&line).context("the request is not valid")
}

/// Stops on signals, like at the end of the input.
pub(super) fn stop_on_signals(stop: &CancellationToken) -> io::Result<()> {
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        spawn_named("signals", async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(())
}
