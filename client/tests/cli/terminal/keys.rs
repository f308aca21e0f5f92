//! Keys while a rebuild is followed.

use buildbtw_model::BuildStatus;
use nix::sys::termios::{LocalFlags, tcgetattr};
use tokio::process::Command;

use super::{PROGRAM, Terminal, command, exit_code, start};
use crate::fake::Fake;

#[tokio::test]
async fn a_key_leaves_the_rebuild_running() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut terminal = Terminal::open(80, 24);
    let child = start(&fake, &home, &terminal, &["watch", "space"]);
    fake.build("libgreet", BuildStatus::Building, None);
    terminal.until("q: leave").await;
    terminal.press("q");
    terminal.until("interrupted; the rebuild continues").await;
    assert_eq!(exit_code(child).await, Some(130));
}

#[tokio::test]
async fn keys_scroll_and_hide_running_builds() {
    let names: Vec<String> = (0..40).map(|number| format!("pkg{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (fake, home) = (Fake::start(&names).await, tempfile::tempdir().unwrap());
    for name in &names[..10] {
        fake.build(name, BuildStatus::Failed, Some("no compiler"));
    }
    for name in &names[10..] {
        fake.build(name, BuildStatus::Building, None);
    }
    // Besides the headline and the keys, it has room for six entries and the number of the others.
    let mut terminal = Terminal::open(80, 10);
    let child = start(&fake, &home, &terminal, &["watch", "space"]);
    terminal.until("q: leave").await;
    terminal.until("and 34 more").await;
    terminal.press("\x1b[B");
    terminal.until("building pkg10").await;
    terminal.press("\x1b[A");
    terminal.until("failed pkg00").await;
    terminal.press("f");
    terminal.until("and 4 more").await;
    terminal.press("f");
    terminal.until("and 34 more").await;
    terminal.press("q");
    assert_eq!(exit_code(child).await, Some(130));
}

#[tokio::test]
async fn an_interrupt_restores_the_mode_of_the_terminal() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut terminal = Terminal::open(80, 24);
    // The shell outlives the program, as after it the terminal would be reset.
    let script = "trap : INT; \"$@\"; code=$?; stty -a; echo over; exit $code";
    let args = ["sh", "-c", script, "sh", PROGRAM, "watch", "space"];
    let child = command(&fake, &home, &terminal, &args).spawn().unwrap();
    terminal.until("q: leave").await;
    let mode = tcgetattr(&terminal.program).unwrap();
    assert!(!mode.local_flags.contains(LocalFlags::ICANON));
    assert!(!mode.local_flags.contains(LocalFlags::ECHO));
    terminal.press("\x03");
    terminal.until("over").await;
    assert_eq!(exit_code(child).await, Some(130));
    terminal.expect_mode_restored();
}

#[tokio::test]
async fn sigterm_restores_the_mode_of_the_terminal() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut terminal = Terminal::open(80, 24);
    // Without the third descriptor, a shell lets a program in the background read nothing.
    let script =
        "exec 3<&0; \"$@\" <&3 & echo pid=$!; wait $!; code=$?; stty -a; echo over; exit $code";
    let args = ["sh", "-c", script, "sh", PROGRAM, "watch", "space"];
    let child = command(&fake, &home, &terminal, &args).spawn().unwrap();
    terminal.until("pid=").await;
    terminal.until("q: leave").await;
    let (_, after) = terminal.seen.split_once("pid=").unwrap();
    let pid: String = after.chars().take_while(char::is_ascii_digit).collect();
    let killed = Command::new("kill").arg(pid).status().await.unwrap();
    assert!(killed.success());
    terminal.until("over").await;
    assert!(
        terminal.seen.contains("hint: `buildbtw watch space`"),
        "{}",
        terminal.seen
    );
    assert_eq!(exit_code(child).await, Some(143));
    terminal.expect_mode_restored();
}
