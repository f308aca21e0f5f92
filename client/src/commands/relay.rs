//! Connects the terminal of this program with a pseudo-terminal for a sandbox. In the terminal itself, what runs in the
//! sandbox could enter commands for the shell of the person.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use buildbtw_builder::Terminal;
use console::Term;
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp, ttyname};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::error::Result;

/// Returns whether a person can type into a sandbox: this program reads and writes the terminal, in the foreground.
pub(super) fn is_possible() -> bool {
    let stdin = std::io::stdin();
    let is_foreground = || tcgetpgrp(&stdin).is_ok_and(|group| group == getpgrp());
    stdin.is_terminal() && std::io::stdout().is_terminal() && is_foreground()
}

/// When a sandbox takes over the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takeover {
    /// At once: its command may wait for input.
    AtOnce,
    /// When it writes something: until then, its log is printed.
    AtFirstOutput,
}

/// A pseudo-terminal that nothing uses yet.
pub(super) struct Relay {
    main: fs_err::File,
    /// Kept open, so that the other side ends only when it is dropped and no process of the sandbox is left.
    program: OwnedFd,
    terminal: Terminal,
    before: Termios,
    takeover: Takeover,
    is_raw: Arc<AtomicBool>,
}

impl Relay {
    /// Opens a pseudo-terminal with the size and the settings of the terminal.
    ///
    /// # Errors
    /// When there is no terminal, or no pseudo-terminal is left.
    pub(super) fn open(takeover: Takeover) -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).map_err(std::io::Error::from)?;
        let size = size().map(|(lines, columns)| Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        });
        let pair = openpty(size.as_ref(), &before).map_err(std::io::Error::from)?;
        let path = ttyname(&pair.slave).map_err(std::io::Error::from)?;
        let kind = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
        Ok(Self {
            main: fs_err::File::from_parts(pair.master.into(), &path),
            program: pair.slave,
            terminal: Terminal { path, kind },
            before,
            takeover,
            is_raw: Arc::default(),
        })
    }

    /// Returns the terminal for the sandbox.
    pub(super) fn terminal(&self) -> Terminal {
        self.terminal.clone()
    }

    /// Returns whether the terminal shows what the sandbox writes: lines of others then need a carriage return.
    pub(super) fn is_raw(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_raw)
    }

    /// Connects both terminals until the end of the sandbox's processes, which is that of `work`.
    ///
    /// # Errors
    /// When a signal cannot be watched.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> Result<T> {
        // The thread below does not outlive a panic of this one.
        let _restored = Raw(self.before.clone());
        let mut resized = signal(SignalKind::window_change())?;
        let output = self.main.try_clone()?;
        let mut own = Own {
            input: Some(self.main.try_clone()?),
            before: self.before,
            taken: None,
            is_raw: self.is_raw,
        };
        if self.takeover == Takeover::AtOnce {
            own.take_over();
        }
        let (ended, has_ended) = oneshot::channel();
        // A thread of its own, because reading a terminal cannot be interrupted.
        std::thread::spawn(move || {
            show(output, own);
            let _ = ended.send(());
        });
        let mut work = std::pin::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = resized.recv() => {
                    if let Some((lines, columns)) = size() {
                        // A size that cannot be set changes nothing else.
                        let _ = Terminal::resize(&self.main, lines, columns);
                    }
                }
            }
        };
        drop(self.program);
        // The rest of the output; the thread sends something or ends.
        let _ = has_ended.await;
        Ok(result)
    }
}

/// Returns the lines and columns of the terminal.
fn size() -> Option<(u16, u16)> {
    Term::stdout().size_checked()
}

/// The terminal of this program.
struct Own {
    /// Where to write what is typed, before the sandbox takes over the terminal.
    input: Option<fs_err::File>,
    before: Termios,
    taken: Option<Raw>,
    is_raw: Arc<AtomicBool>,
}

impl Own {
    /// Lets the sandbox have the terminal.
    fn take_over(&mut self) {
        if let Some(input) = self.input.take() {
            self.taken = Raw::set(self.before.clone());
            self.is_raw.store(self.taken.is_some(), Ordering::Relaxed);
            std::thread::spawn(move || type_into(input));
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.is_raw.store(false, Ordering::Relaxed);
    }
}

/// Prints what the sandbox writes until its last process ends.
fn show(mut output: fs_err::File, mut own: Own) {
    let mut bytes = [0; 4096];
    // The end is an error of the device.
    while let Ok(count @ 1..) = output.read(&mut bytes) {
        own.take_over();
        let mut stdout = std::io::stdout().lock();
        let shown = bytes.get(..count).unwrap_or_default();
        if stdout
            .write_all(shown)
            .and_then(|()| stdout.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Passes on what is typed, to the end of this program.
fn type_into(mut input: fs_err::File) {
    let stdin = std::io::stdin();
    let mut bytes = [0; 1024];
    loop {
        let count = match stdin.lock().read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        if input
            .write_all(bytes.get(..count).unwrap_or_default())
            .is_err()
        {
            return;
        }
    }
}

/// The terminal without echo, lines and signals, which the pseudo-terminal has instead. It gets its mode back when this is
/// dropped.
struct Raw(Termios);

impl Raw {
    fn set(before: Termios) -> Option<Self> {
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that refuses cannot be restored in another way.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}
