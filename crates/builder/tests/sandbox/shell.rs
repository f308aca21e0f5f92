//! Shells in the roots of failed builds, and commands in kept roots, on a terminal.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use buildbtw_builder::{RootCommand, Terminal, run_in_root};
use buildbtw_model::FailureKind;
use nix::pty::openpty;
use nix::unistd::ttyname;
use tokio_util::sync::CancellationToken;

use crate::support::{Fixture, Log, script_package};

/// A pseudo-terminal: what a person types into it waits for the program.
struct Typed {
    main: fs_err::File,
    program: OwnedFd,
}

impl Typed {
    /// Lets the sandboxes of a fixture use a new terminal, into which a text was typed.
    fn into(fixture: &mut Fixture, text: &str) -> Self {
        let pair = openpty(None, None).unwrap();
        let mut main = fs_err::File::from_parts(pair.master.into(), "terminal");
        main.write_all(text.as_bytes()).unwrap();
        let terminal = Terminal {
            path: ttyname(&pair.slave).unwrap(),
            kind: "dumb".into(),
        };
        fixture.configure(|config| config.terminal = Some(terminal));
        Self {
            main,
            program: pair.slave,
        }
    }

    /// Returns what was written to it, once no program has it open.
    fn seen(mut self) -> String {
        drop(self.program);
        let mut bytes = Vec::new();
        // The end is an error of the device.
        let _ = self.main.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[tokio::test]
async fn opens_a_shell_where_the_build_failed() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let pkgbuild = "pkgname=broken\npkgver=1\npkgrel=1\narch=(any)\n\
                    prepare() { echo prepared >\"$srcdir/note\"; }\n\
                    build() { echo begun >/tmp/note; false; }\npackage() { :; }\n";
    // The echo of the terminal has the words as they are typed.
    let typed = "echo in=\"\"$PWD uid=$(id -u) arch=\"\"$CARCH; cat note /tmp/note\n\
                 ls /startdir; : 2>/dev/tty && echo terminal=\"\"yes\nexit 4\n";
    let terminal = Typed::into(&mut fixture, typed);
    let request = fixture.request("broken", pkgbuild);
    let (kind, message, log) = fixture.fails(&request).await;
    let seen = terminal.seen();
    assert_eq!(kind, FailureKind::Package);
    assert!(
        message.contains("a function in the PKGBUILD failed"),
        "{message}"
    );
    assert!(
        log.contains("opening a shell in the root of broken"),
        "{log}"
    );
    for part in [
        "root of broken where it failed",
        "in=/build/broken/src uid=1000 arch=x86_64\r\n",
        "\nprepared\r\nbegun\r\n",
        "PKGBUILD\r\n",
        "terminal=yes\r\n",
    ] {
        assert!(seen.contains(part), "{part:?}: {seen}\n{log}");
    }
    // Job control needs a terminal of its own.
    assert!(!seen.contains("no job control"), "{seen}");
}

#[tokio::test]
async fn opens_no_shell_for_a_build_that_succeeds() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let terminal = Typed::into(&mut fixture, "");
    let request = fixture.request("fine", &script_package("fine", "true"));
    let (_, log) = fixture.built(&request).await;
    assert!(!log.contains("opening a shell"), "{log}");
    assert_eq!(terminal.seen(), "");
}

#[tokio::test]
async fn commands_of_kept_roots_read_from_the_terminal() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    for (script, code) in [
        ("read line; echo got=$line; test -t 0 && exit 7", 7),
        ("read line; echo got=$line; kill -TERM $$", 128 + 15),
        ("read line; echo got=$line; kill -INT $$", 128 + 2),
    ] {
        let terminal = Typed::into(&mut fixture, "typed\n");
        let command = RootCommand {
            dir: fixture.path("root"),
            command: ["bash", "-c", script].map(str::to_owned).into(),
            network: false,
            binds: Vec::new(),
            repositories: Vec::new(),
            architecture: "x86_64".parse().unwrap(),
        };
        let log = Log::default();
        let ran = run_in_root(&fixture.config, &command, &log, CancellationToken::new()).await;
        let seen = terminal.seen();
        assert_eq!(ran.unwrap(), code, "{script}: {seen}{}", log.text());
        assert!(seen.contains("got=typed\r\n"), "{seen}");
        assert!(!log.text().contains("got="), "{}", log.text());
    }
}
