//! The client on a terminal.

mod area;
mod colors;
mod confirm;
mod keys;
mod prompt;
mod resize;

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::fake::{Fake, TOKEN};
use super::program::PATIENCE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_buildbtw");

/// A terminal, and what was written to it.
struct Terminal {
    main: fs_err::File,
    program: OwnedFd,
    written: mpsc::UnboundedReceiver<Vec<u8>>,
    bytes: Vec<u8>,
    seen: String,
}

impl Terminal {
    fn open(columns: u16, lines: u16) -> Self {
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        let file = |fd: OwnedFd| fs_err::File::from_parts(fd.into(), "terminal");
        let mut reader = file(pair.master.try_clone().unwrap());
        let (send, written) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = reader.read(&mut bytes) {
                if count == 0 || send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            main: file(pair.master),
            program: pair.slave,
            written,
            bytes: Vec::new(),
            seen: String::new(),
        }
    }

    fn stdio(&self) -> Stdio {
        self.program.try_clone().unwrap().into()
    }

    /// Waits until the program has written a text.
    async fn until(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let next = tokio::time::timeout(PATIENCE, self.written.recv()).await;
            let Ok(Some(bytes)) = next else {
                panic!("no {text:?} in {:?}", self.seen);
            };
            // A read may end within a character.
            self.bytes.extend(bytes);
            self.seen = String::from_utf8_lossy(&self.bytes).into_owned();
        }
    }

    /// Checks that the terminal, whose mode was printed, waits for lines and echoes them.
    fn expect_mode_restored(&self) {
        let words: Vec<&str> = self.seen.split_whitespace().collect();
        for word in ["icanon", "echo"] {
            assert!(words.contains(&word), "{word}: {}", self.seen);
        }
    }

    /// Forgets what was written so far, and presses keys.
    fn press(&mut self, keys: &str) {
        while self.written.try_recv().is_ok() {}
        self.bytes.clear();
        self.seen.clear();
        self.main.write_all(keys.as_bytes()).unwrap();
    }
}

/// Returns the command that runs a program in a session of its own, whose terminal this is, as a shell in a window
/// does.
fn command(fake: &Fake, home: &tempfile::TempDir, terminal: &Terminal, args: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", "--wait"])
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("TZ", "UTC")
        .env("BUILDBTW_SERVER", &fake.url)
        .env("BUILDBTW_TOKEN", TOKEN)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(terminal.stdio())
        .stdout(terminal.stdio())
        .stderr(terminal.stdio())
        .kill_on_drop(true);
    command
}

/// Runs the client.
fn start(fake: &Fake, home: &tempfile::TempDir, terminal: &Terminal, args: &[&str]) -> Child {
    let args = [&[PROGRAM][..], args].concat();
    command(fake, home, terminal, &args).spawn().unwrap()
}

async fn exit_code(mut child: Child) -> Option<i32> {
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    ended.unwrap().unwrap().code()
}
