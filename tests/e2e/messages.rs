//! Records what the programs print for snapshots, at 80 columns and not on a terminal. A transcript
//! shows each command after `$ `, its standard output, its standard error after `! `, and its exit
//! code unless it is 0. Parts that differ between machines and runs are replaced by names.
//! `INSTA_UPDATE=always cargo test -p buildbtw-tests --test e2e FILTER` writes the snapshots again.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use buildbtw_tests::{Server, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;

/// A terminal of the usual width.
const COLUMNS: &str = "80";

/// Longer than any command takes on a busy machine: only a program that starts by mistake runs longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Commands with what they print.
pub(crate) struct Transcript {
    /// Names for values that differ between runs, for commands and for what they print.
    names: Vec<(&'static str, String)>,
    /// Variables of every command.
    variables: Vec<(&'static str, String)>,
    text: String,
}

impl Transcript {
    /// Creates a transcript of commands that run in a folder, which is also their home.
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.canonicalize().unwrap().display().to_string();
        Self {
            names: vec![("{folder}", folder)],
            variables: Vec::new(),
            text: String::new(),
        }
    }

    /// Creates a transcript of commands that use a server.
    pub(crate) fn with_server(folder: &Path, server: &Server) -> Self {
        let mut transcript = Self::new(folder);
        let address = server.url().replace("http://", "");
        transcript.name("{address}", &address);
        transcript.set("BUILDBTW_SERVER", &server.url());
        transcript
    }

    /// Names a value: commands contain the name, and what they print is masked with it.
    pub(crate) fn name(&mut self, name: &'static str, value: &str) {
        self.names.push((name, value.to_owned()));
    }

    /// Sets a variable for all later commands.
    pub(crate) fn set(&mut self, variable: &'static str, value: &str) {
        self.variables.push((variable, value.to_owned()));
    }

    /// Runs a command and returns its exit code.
    pub(crate) fn run(&mut self, line: &str) -> Option<i32> {
        let output = self.output(line);
        self.text.push_str(&format!("$ {line}\n"));
        let text = |bytes: &[u8]| mask(&String::from_utf8_lossy(bytes), &self.names);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        for line in stdout.lines() {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
        for line in stderr.lines() {
            self.text.push_str(format!("! {line}").trim_end());
            self.text.push('\n');
        }
        let code = output.status.code();
        if code != Some(0) {
            let status = code.map_or("killed".to_owned(), |code| format!("exit code {code}"));
            self.text.push_str(&format!("[{status}]\n"));
        }
        self.text.push('\n');
        code
    }

    /// Runs a command that must succeed.
    pub(crate) fn succeed(&mut self, line: &str) {
        let code = self.run(line);
        assert_eq!(code, Some(0), "{line}: {}", self.text);
    }

    /// Runs the commands of a table, all of which must fail. A line is the name of a case, `|` and a
    /// command, with variables before it as in a shell.
    pub(crate) fn fail(&mut self, table: &str) {
        for line in table.trim().lines() {
            let (name, command) = line.split_once('|').unwrap();
            self.text.push_str(&format!("## {}\n\n", name.trim()));
            let code = self.run(command.trim());
            assert!(code.is_some_and(|code| code != 0), "{line}: {}", self.text);
        }
    }

    /// Returns the text of the snapshot.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn output(&self, line: &str) -> Output {
        let words = words(&self.expand(line));
        let count = words.iter().take_while(|word| is_assignment(word)).count();
        let (variables, command) = words.split_at(count);
        let (name, args) = command.split_first().unwrap();
        let (_, folder) = &self.names[0];
        let child = Command::new(program(name))
            .args(args)
            .env_clear()
            .env("COLUMNS", COLUMNS)
            .env("HOME", folder)
            .env("TZ", "UTC")
            // Not the files of this machine.
            .env("BUILDBTW_SERVER_CONFIG", "/dev/null")
            .env("BUILDBTW_WORKER_CONFIG", "/dev/null")
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .envs(variables.iter().filter_map(|word| word.split_once('=')))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait(child)
    }

    fn expand(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (name, value) in &self.names {
            line = line.replace(name, value);
        }
        line
    }
}

/// Waits until a process exits, and kills it if that takes too long.
fn wait(child: Child) -> Output {
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let (exited, exit) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if exit.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(exited);
    watchdog.join().unwrap();
    output
}

/// Splits a command at spaces, except in single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// Returns whether a word sets a variable.
fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    let is_variable = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(is_variable))
}

/// What differs between runs. Where a table aligns it, the replacement is as wide.
static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\x1b\[[0-9;]*m", ""),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIMESTAMP"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d", "YYYY-MM-DD hh:mm"),
        (r"(?m)^\d\d:\d\d:\d\d ", "hh:mm:ss "),
        (r"\b(\d+ h \d\d min|\d+ min \d\d s|\d+\.\d s)\b", "DURATION"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\b[0-9a-f]{32}\b", "TRACE"),
        (r"\b[0-9a-f]{40}\b", "COMMIT"),
        (r"\b[0-9a-f]{10}\b", "cccccccccc"),
        (r"bbtw_[0-9A-Za-z_-]{40,}", "bbtw_SECRET"),
        (r"\.buildbtw-backup-\w{6}\b", ".buildbtw-backup-RANDOM"),
    ]
    .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
    .into()
});

/// Replaces what differs between runs.
fn mask(text: &str, names: &[(&'static str, String)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in names {
        text = text.replace(value.as_str(), name);
    }
    for (pattern, name) in MASKS.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    normalize_columns(&text)
}

/// Puts two spaces between the columns of tables with durations, whose width differs.
fn normalize_columns(text: &str) -> String {
    let mut has_durations = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let is_header = line.starts_with("PKGBASE ") && line.contains(" DURATION ");
        has_durations = is_header || (has_durations && !line.is_empty());
        lines.push(match has_durations {
            true => {
                let cells = line.split("  ").map(str::trim);
                let cells: Vec<_> = cells.filter(|cell| !cell.is_empty()).collect();
                cells.join("  ")
            }
            false => line.to_owned(),
        });
    }
    lines.join("\n")
}

#[test]
fn masks_what_differs_between_runs() {
    let names = [
        ("{folder}", "/tmp/.tmpAbC123".to_owned()),
        ("{address}", "127.0.0.1:40123".to_owned()),
    ];
    for (text, masked) in [
        ("in `/tmp/.tmpAbC123/data`", "in `{folder}/data`"),
        ("http://127.0.0.1:40123/repo", "http://{address}/repo"),
        ("2026-11-30T03:18:05.123456Z ERROR no", "TIMESTAMP ERROR no"),
        (
            "planned     2026-11-30 03:18",
            "planned     YYYY-MM-DD hh:mm",
        ),
        (
            "03:18:05 built greet (0.1 s)",
            "hh:mm:ss built greet (DURATION)",
        ),
        ("done in 2 min 05 s", "done in DURATION"),
        (
            "attempt 0192f0c1-0000-7000-8000-00000000000a",
            "attempt UUID",
        ),
        ("libgreet/main at 0123456789", "libgreet/main at cccccccccc"),
        ("\x1b[0;1;31mERROR: no\x1b[0m", "ERROR: no"),
        (
            "duration    0.1 s\n\nPKGBASE  VERSION  STATE  DURATION  NOTE\ngreet    1-1      built  0.1 s     -\n\na   b",
            "duration    DURATION\n\nPKGBASE  VERSION  STATE  DURATION  NOTE\ngreet  1-1  built  DURATION  -\n\na   b",
        ),
    ] {
        assert_eq!(mask(text, &names), masked);
    }
}

#[test]
fn splits_commands_like_a_shell() {
    assert_eq!(
        words("A_B=1 buildbtw new --name 'a b' ''"),
        ["A_B=1", "buildbtw", "new", "--name", "a b", ""]
    );
    assert!(is_assignment("A_B=1"));
    assert!(!is_assignment("--name=1") && !is_assignment("buildbtw"));
}
