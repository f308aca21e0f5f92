//! Questions before something is removed.

use super::{Terminal, exit_code, start};
use crate::fake::Fake;

#[tokio::test]
async fn delete_asks_and_deletes_only_after_a_yes() {
    for (reply, text, code) in [
        ("y\n", "deleted space with its repositories and logs", 0),
        ("n\n", "error: `space` was not deleted: not confirmed", 3),
        ("\n", "hint: `buildbtw delete space --yes`", 3),
        // The end of the input.
        ("\x04", "error: `space` was not deleted: not confirmed", 3),
    ] {
        let (fake, home) = (
            Fake::start(&["libgreet"]).await,
            tempfile::tempdir().unwrap(),
        );
        let mut terminal = Terminal::open(80, 24);
        let child = start(&fake, &home, &terminal, &["delete", "space"]);
        terminal
            .until("Delete space with its repositories and logs? [y/N] ")
            .await;
        terminal.press(reply);
        terminal.until(text).await;
        assert_eq!(exit_code(child).await, Some(code), "{reply:?}");
        assert_eq!(fake.change(|inner| inner.deleted), code == 0, "{reply:?}");
    }
}
