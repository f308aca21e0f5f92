//! Following on a terminal.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use buildbtw_model::{BuildStatus, IterationStatus};
use nix::pty::{Winsize, openpty};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::fake::Fake;

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
            // A read may end within a character.
            self.bytes.extend(self.written.recv().await.unwrap());
            self.seen = String::from_utf8_lossy(&self.bytes).into_owned();
        }
    }
}

/// Follows the rebuild in a session of its own, whose terminal this is, as a shell in a window does.
fn follow(fake: &Fake, home: &tempfile::TempDir, terminal: &Terminal) -> tokio::process::Child {
    let program = env!("CARGO_BIN_EXE_buildbtw");
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", "--wait", program, "watch", "space"])
        .env("HOME", home.path())
        .env("TZ", "UTC")
        .env("BUILDBTW_SERVER", &fake.url)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(terminal.stdio())
        .stdout(terminal.stdio())
        .stderr(terminal.stdio())
        .kill_on_drop(true);
    command.spawn().unwrap()
}

#[tokio::test]
async fn live_area_fits_a_narrow_terminal() {
    let names: Vec<String> = (0..40)
        .map(|number| format!("a-package-{number:02}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (fake, home) = (Fake::start(&names).await, tempfile::tempdir().unwrap());
    let mut terminal = Terminal::open(20, 8);
    let mut child = follow(&fake, &home, &terminal);
    terminal.until("0/40").await;
    fake.build("a-package-00", BuildStatus::Building, None);
    terminal.until("building").await;
    fake.build("a-package-00", BuildStatus::Failed, Some("no compiler"));
    for name in &names[1..] {
        fake.build(name, BuildStatus::Building, None);
    }
    terminal.until("more").await;
    fake.end(IterationStatus::Failed);
    terminal.until("space failed").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
    let text = console::strip_ansi_codes(&terminal.seen).into_owned();
    let end = text.find("space failed").unwrap();
    for line in text[..end].split(['\n', '\r']) {
        let is_summary = line.contains("log: ");
        assert!(
            console::measure_text_width(line) <= 20 || is_summary,
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn a_key_leaves_the_rebuild_running() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut terminal = Terminal::open(80, 24);
    let mut child = follow(&fake, &home, &terminal);
    fake.build("libgreet", BuildStatus::Building, None);
    terminal.until("q: leave").await;
    terminal.main.write_all(b"q").unwrap();
    terminal.until("interrupted; the rebuild continues").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}
