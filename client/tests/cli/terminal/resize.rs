//! Terminals that change their size.

use buildbtw_model::{BuildStatus, IterationStatus};
use tokio::process::Command;

use super::{Terminal, exit_code, start};
use crate::fake::Fake;

#[tokio::test]
async fn live_area_and_summary_follow_the_width_of_the_terminal() {
    let names: Vec<String> = (0..40).map(|number| format!("p{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (fake, home) = (Fake::start(&names).await, tempfile::tempdir().unwrap());
    let mut terminal = Terminal::open(80, 24);
    let child = start(&fake, &home, &terminal, &["watch", "space"]);
    for name in &names[..10] {
        fake.build(name, BuildStatus::Building, None);
    }
    terminal.until("building p09").await;
    let mut resize = Command::new("stty");
    resize
        .args(["cols", "20", "rows", "8"])
        .stdin(terminal.stdio());
    assert!(resize.status().await.unwrap().success());
    let message = "no compiler, neither for C nor for C++";
    fake.build("p05", BuildStatus::Failed, Some(message));
    terminal.until("failed p05").await;
    for name in &names[10..] {
        fake.build(name, BuildStatus::Building, None);
    }
    terminal.until("more").await;
    fake.end(IterationStatus::Failed);
    terminal.until("space failed").await;
    assert_eq!(exit_code(child).await, Some(1));
    let text = console::strip_ansi_codes(&terminal.seen).into_owned();
    let (start, end) = (text.find("failed p05"), text.find("space failed"));
    for line in text[start.unwrap()..end.unwrap()].split(['\n', '\r']) {
        assert!(console::measure_text_width(line) <= 20, "{line:?}");
    }
}
