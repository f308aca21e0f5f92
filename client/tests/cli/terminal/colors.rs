//! Colours on terminals.

use super::{PROGRAM, Terminal, command, exit_code};
use crate::fake::Fake;

#[tokio::test]
async fn colours_are_used_unless_they_are_refused() {
    for (variable, option, is_colored) in [
        (("TERM", "xterm"), "--color=auto", true),
        (("NO_COLOR", "1"), "--color=auto", false),
        (("TERM", "dumb"), "--color=auto", false),
        (("TERM", "xterm"), "--color=never", false),
        (("NO_COLOR", "1"), "--color=always", true),
    ] {
        let (fake, home) = (
            Fake::start(&["libgreet"]).await,
            tempfile::tempdir().unwrap(),
        );
        let mut terminal = Terminal::open(80, 24);
        let args = [PROGRAM, "list", option];
        let mut command = command(&fake, &home, &terminal, &args);
        command.env_remove("NO_COLOR").env(variable.0, variable.1);
        let child = command.spawn().unwrap();
        terminal.until("libgreet/main").await;
        assert_eq!(exit_code(child).await, Some(0));
        let seen = &terminal.seen;
        assert_eq!(seen.contains('\x1b'), is_colored, "{variable:?}: {seen:?}");
    }
}
