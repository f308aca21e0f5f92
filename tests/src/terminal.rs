//! Programs on a terminal, as in a window.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

/// Longer than any step takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a command in a session of its own, on a terminal of 24 lines and 80 columns. Types the second text of each pair once
/// the first was seen. Returns the exit code, and all that was seen.
pub fn on_terminal(command: &Command, typed: &[(&str, &str)]) -> (Option<i32>, String) {
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pair = openpty(&size, None).unwrap();
    let copy = || pair.slave.try_clone().unwrap();
    let mut session = Command::new("setsid");
    session
        .args(["--ctty", "--wait"])
        .arg(command.get_program())
        .args(command.get_args())
        .env("TERM", "dumb")
        .stdin(copy())
        .stdout(copy())
        .stderr(copy());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    let mut child = session.spawn().unwrap();
    // The terminal ends when no program has it open.
    drop((session, pair.slave));
    let mut main = File::from(pair.master);
    let mut reader = main.try_clone().unwrap();
    let (send, written) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        // The end is an error of the device.
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            if send.send(bytes[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut seen = Vec::new();
    let text = |seen: &[u8]| String::from_utf8_lossy(seen).into_owned();
    for (until, keys) in typed {
        while !text(&seen).contains(until) {
            match written.recv_timeout(PATIENCE) {
                Ok(bytes) => seen.extend(bytes),
                Err(error) => panic!("{until:?} was not seen: {error}: {}", text(&seen)),
            }
        }
        main.write_all(keys.as_bytes()).unwrap();
    }
    while let Ok(bytes) = written.recv_timeout(PATIENCE) {
        seen.extend(bytes);
    }
    (child.wait().unwrap().code(), text(&seen))
}
