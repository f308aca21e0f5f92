//! The live area of a rebuild that is followed.

use buildbtw_model::{BuildStatus, IterationStatus};

use super::{PROGRAM, Terminal, command, exit_code, start};
use crate::fake::Fake;

#[tokio::test]
async fn live_area_fits_a_narrow_terminal() {
    let names: Vec<String> = (0..40)
        .map(|number| format!("a-package-{number:02}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (fake, home) = (Fake::start(&names).await, tempfile::tempdir().unwrap());
    let mut terminal = Terminal::open(20, 8);
    let child = start(&fake, &home, &terminal, &["watch", "space"]);
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
    assert_eq!(exit_code(child).await, Some(1));
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
async fn terminal_that_cannot_move_its_cursor_gets_lines() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut terminal = Terminal::open(20, 24);
    let mut command = command(&fake, &home, &terminal, &[PROGRAM, "watch", "space"]);
    let child = command.env("TERM", "dumb").spawn().unwrap();
    terminal.until("iteration 1").await;
    fake.build("libgreet", BuildStatus::Building, None);
    terminal.until("\n22:13:21 building l…\r\n").await;
    fake.build("libgreet", BuildStatus::Built, Some("2.0-1"));
    fake.end(IterationStatus::Done);
    terminal.until("space done").await;
    assert_eq!(exit_code(child).await, Some(0));
    assert!(!terminal.seen.contains('\x1b'), "{:?}", terminal.seen);
}

#[tokio::test]
async fn live_area_ends_when_the_namespace_is_deleted() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut terminal = Terminal::open(80, 24);
    let child = start(&fake, &home, &terminal, &["watch", "space"]);
    fake.build("libgreet", BuildStatus::Building, None);
    terminal.until("building libgreet").await;
    fake.change(|inner| inner.deleted = true);
    fake.interrupt_streams();
    terminal
        .until("error: namespace `space` was deleted while it was followed")
        .await;
    terminal.until("hint: `buildbtw list`").await;
    assert_eq!(exit_code(child).await, Some(3));
}
