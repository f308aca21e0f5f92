//! The keys that are pressed while a rebuild is followed.

use std::io::Read as _;
use std::io::{IsTerminal as _, Stdin};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};
use tokio::sync::mpsc;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Stop following.
    Quit,
    /// Scroll towards the first entry.
    Up,
    /// Scroll towards the last entry.
    Down,
    /// Show or hide running builds.
    Failed,
}

/// Reads keys from the terminal, without echo and without waiting for the end of a line. The terminal gets its mode
/// back when this is dropped. Ctrl-C stays a signal.
#[derive(Debug)]
pub(super) struct Keys {
    before: Termios,
    pressed: mpsc::UnboundedReceiver<Key>,
}

impl Keys {
    /// Begins to read keys, if standard input is a terminal that this program may read from.
    pub(super) fn begin() -> Option<Self> {
        let stdin = std::io::stdin();
        // A program in the background is stopped when it changes the terminal.
        if !stdin.is_terminal() || tcgetpgrp(&stdin).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut quiet = before.clone();
        quiet
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON);
        tcsetattr(&stdin, SetArg::TCSANOW, &quiet).ok()?;
        let (send, pressed) = mpsc::unbounded_channel();
        // A thread of its own, because reading a terminal cannot be interrupted.
        std::thread::spawn(move || read(&stdin, &send));
        Some(Self { before, pressed })
    }

    /// Waits for the next key; forever, if the terminal was closed.
    pub(super) async fn next(&mut self) -> Key {
        match self.pressed.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that refuses cannot be restored in another way.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

fn read(stdin: &Stdin, send: &mpsc::UnboundedSender<Key>) {
    let mut bytes = [0; 64];
    loop {
        let count = match stdin.lock().read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        for key in keys(bytes.get(..count).unwrap_or_default()) {
            if send.send(key).is_err() {
                return;
            }
        }
    }
}

/// Returns the keys whose bytes a terminal sent together.
fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    loop {
        let (key, length) = match bytes {
            [] => return keys,
            [b'\x1b', b'[' | b'O', b'A', ..] => (Some(Key::Up), 3),
            [b'\x1b', b'[' | b'O', b'B', ..] => (Some(Key::Down), 3),
            [b'q' | b'Q', ..] => (Some(Key::Quit), 1),
            [b'k', ..] => (Some(Key::Up), 1),
            [b'j', ..] => (Some(Key::Down), 1),
            [b'f' | b'F', ..] => (Some(Key::Failed), 1),
            _ => (None, 1),
        };
        keys.extend(key);
        bytes = bytes.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_letters_and_arrows() {
        let expected = [
            Key::Up,
            Key::Down,
            Key::Up,
            Key::Down,
            Key::Failed,
            Key::Quit,
        ];
        assert_eq!(keys(b"\x1b[A\x1bOBk jxfq"), expected);
        assert_eq!(keys(b"\x1b"), []);
    }
}
