//! `open` starts a browser.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::fake::Fake;
use super::program::{CommandOutput, PATIENCE, buildbtw};

#[tokio::test]
async fn starts_the_browser_with_the_address() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    // A program that opens the file of this name stands for the browser: the test waits at the other end of a pipe.
    let folder = home.path().join("http:/server");
    fs_err::create_dir_all(&folder).unwrap();
    let pipe = folder.join("space");
    mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let opened = tokio::task::spawn_blocking(move || fs_err::read(pipe).unwrap());
    let mut command = buildbtw(home.path(), &fake.url, &["open", "space"]);
    command
        .env("BROWSER", "/usr/bin/tee")
        .current_dir(home.path());
    let ran = CommandOutput::from(command.output().await.unwrap());
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "http://server/space\n"),
        "{}",
        ran.stderr
    );
    let opened = tokio::time::timeout(PATIENCE, opened).await;
    assert_eq!(opened.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn names_a_browser_that_cannot_be_started() {
    let (fake, home) = (
        Fake::start(&["libgreet"]).await,
        tempfile::tempdir().unwrap(),
    );
    let mut command = buildbtw(home.path(), &fake.url, &["open", "space"]);
    command.env("BROWSER", "/nowhere/browser");
    let ran = CommandOutput::from(command.output().await.unwrap());
    assert_eq!(ran.code, 3);
    assert_eq!(
        ran.stderr,
        "error: cannot start `/nowhere/browser`: No such file or directory (os error 2)\n\
         hint: set BROWSER to a browser, or use --print\n"
    );
}
