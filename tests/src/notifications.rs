//! The socket of a service manager, which programs notify (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::waiting::PATIENCE;

/// A socket that receives notifications.
pub struct Notifications {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Notifications {
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    /// Makes a program notify this socket.
    pub fn expected_from<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("NOTIFY_SOCKET", &self.path)
    }

    /// Returns the next notification.
    pub fn next(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// Waits for a notification that has this line.
    pub fn wait_for(&self, line: &str) -> String {
        loop {
            let message = self.next();
            if message.lines().any(|found| found == line) {
                return message;
            }
        }
    }
}
