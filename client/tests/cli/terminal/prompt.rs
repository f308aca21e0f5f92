//! The prompt for a token.

use nix::sys::termios::{LocalFlags, tcgetattr};

use super::{PROGRAM, Terminal, command, exit_code};
use crate::fake::{Fake, TOKEN};

/// Logs in, and prints the mode of the terminal afterwards. The shell outlives the program, as after it the terminal
/// would be reset.
async fn login(keys: &str) -> (Option<i32>, Terminal) {
    let (fake, home) = (Fake::start(&[]).await, tempfile::tempdir().unwrap());
    let mut terminal = Terminal::open(80, 24);
    let script = "trap : INT; \"$@\"; code=$?; stty -a; echo over; exit $code";
    let args = ["sh", "-c", script, "sh", PROGRAM, "login"];
    let mut command = command(&fake, &home, &terminal, &args);
    let child = command.env_remove("BUILDBTW_TOKEN").spawn().unwrap();
    terminal.until("Token for ").await;
    let mode = tcgetattr(&terminal.program).unwrap();
    assert!(!mode.local_flags.contains(LocalFlags::ECHO));
    terminal.press(keys);
    terminal.until("over").await;
    (exit_code(child).await, terminal)
}

#[tokio::test]
async fn token_is_not_shown() {
    let (code, terminal) = login(&format!("{TOKEN}\n")).await;
    assert_eq!(code, Some(0), "{}", terminal.seen);
    assert!(!terminal.seen.contains(TOKEN), "{}", terminal.seen);
    terminal.expect_mode_restored();
}

#[tokio::test]
async fn an_interrupted_prompt_restores_the_echo() {
    let (code, terminal) = login("\x03").await;
    assert_eq!(code, Some(3), "{}", terminal.seen);
    let error = "error: interrupted; the login is unchanged";
    assert!(terminal.seen.contains(error), "{}", terminal.seen);
    terminal.expect_mode_restored();
}
