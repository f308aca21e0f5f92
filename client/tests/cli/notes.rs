//! The screens of the notes are what the commands print, in a pipe with 80 columns.

use std::path::Path;

use buildbtw::cli::Cli;
use clap::CommandFactory as _;

use super::contract::{COMMANDS, write_files};
use super::fake::{Fake, TOKEN, valid_tokens};
use super::program::buildbtw;
use super::snapshots::small;

/// Returns what a command prints: first the result, then notes and hints.
async fn printed(home: &Path, fake: &Fake, command: &str) -> String {
    let args: Vec<&str> = command.split(' ').collect();
    let mut program = buildbtw(home, &fake.url, &args);
    program
        .env("COLUMNS", "80")
        .env("BUILDBTW_TOKEN", TOKEN)
        .current_dir(home);
    let output = program.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text)
        .unwrap()
        .replace(&fake.url, "http://server")
        .replace(home.to_str().unwrap(), "~")
}

/// Returns the notes with the output of every command in their blocks.
async fn with_output(notes: &str, home: &Path, fake: &Fake) -> String {
    let mut written = String::new();
    let mut is_block = false;
    for line in notes.lines() {
        let command = line.strip_prefix("$ buildbtw ");
        let is_fence = line.starts_with("```");
        if is_fence {
            is_block = line == "```console";
        }
        if !is_block || is_fence || command.is_some() {
            written.push_str(line);
            written.push('\n');
        }
        if let Some(command) = command.filter(|_| is_block) {
            written.push_str(&printed(home, fake, command).await);
        }
    }
    written
}

#[tokio::test]
async fn screens_are_what_commands_print() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notes/cli.md");
    let notes = fs_err::read_to_string(&path).unwrap();
    let (fake, home) = (small().await, tempfile::tempdir().unwrap());
    fake.change(|inner| inner.tokens = valid_tokens(1));
    let packages = [("libgreet", ""), ("greet", "\tdepends = libgreet\n")];
    write_files(home.path(), &packages);
    let written = with_output(&notes, home.path(), &fake).await;
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs_err::write(&path, &written).unwrap();
        return;
    }
    let mut lines = notes.lines().zip(written.lines()).zip(1..);
    if let Some(((noted, printed), number)) = lines.find(|((noted, printed), _)| noted != printed) {
        panic!(
            "notes/cli.md:{number} says {noted:?}, printed was {printed:?}; INSTA_UPDATE=always \
             cargo test -p buildbtw --test cli writes it again"
        );
    }
    assert_eq!(notes.lines().count(), written.lines().count());
}

#[test]
fn notes_have_a_screen_of_every_command() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notes/cli.md");
    let notes = fs_err::read_to_string(path).unwrap();
    let program = Cli::command();
    let names = program.get_subcommands().map(clap::Command::get_name);
    let with_json = COMMANDS.iter().map(|(command, _)| *command);
    for command in names.chain(with_json) {
        let screen = format!("\n$ buildbtw {command}");
        assert!(notes.contains(&screen), "{command} has no screen");
    }
}
