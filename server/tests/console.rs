//! The server with tokio-console: its tasks have names. `just test-console` runs this, with flags that compile
//! everything in another way.

// Clippy's exemption for tests covers test functions only, not their helpers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "everything here is a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use console_api::field::{Name, Value};
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, Update};
use console_api::tasks::Task;

/// How long something that is expected may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tasks that every server has.
const EXPECTED: [&str; 8] = [
    "HTTP service",
    "claims",
    "committer",
    "leases",
    "publisher",
    "retention",
    "signals",
    "source watching",
];

/// A running server.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(folder: &Path, console: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildbtw-server"));
    command.env_clear().args(["run", "--listen=127.0.0.1:0"]);
    command.arg("--data-dir").arg(folder.join("data"));
    command.arg("--sources-dir").arg(folder);
    command.args(["--tokio-console", console]);
    command.stderr(Stdio::piped());
    command
}

/// Starts a server, and returns the address of its console.
fn start(folder: &Path) -> (Server, String) {
    let mut command = command(folder, "127.0.0.1:0");
    // The filter of the log does not apply to the console.
    command.args(["--log", "off,buildbtw_telemetry=info"]);
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let server = Server(child);
    let mut lines = log.lines().map(Result::unwrap);
    let address = lines.find_map(|line| {
        let (_, rest) = line.split_once("tokio-console is available")?;
        Some(rest.split_once("address=")?.1.trim().to_owned())
    });
    // The server must not block when it logs more.
    std::thread::spawn(move || lines.for_each(drop));
    (server, address.expect("the server ended"))
}

/// What the console has said about tasks.
#[derive(Default)]
struct Seen {
    /// Names of fields, by the metadata that lists them.
    fields: BTreeMap<u64, Vec<String>>,
    names: BTreeSet<String>,
    /// Where tasks without a name were started.
    unnamed: Vec<String>,
}

impl Seen {
    fn add(&mut self, update: Update) {
        for new in update.new_metadata.unwrap_or_default().metadata {
            let (id, metadata) = (new.id.unwrap(), new.metadata.unwrap());
            self.fields.insert(id.id, metadata.field_names);
        }
        for task in update.task_update.unwrap_or_default().new_tasks {
            match self.field(&task, "task.name") {
                Some(name) => {
                    self.names.insert(name);
                }
                None if self.field(&task, "kind").as_deref() == Some("block_on") => {}
                None => {
                    let place = task.location.and_then(|location| location.file);
                    self.unnamed.push(place.unwrap_or_default());
                }
            }
        }
    }

    fn field(&self, task: &Task, name: &str) -> Option<String> {
        let found = task.fields.iter().find(|field| match &field.name {
            Some(Name::StrName(own)) => own == name,
            Some(Name::NameIdx(index)) => {
                let metadata = field.metadata_id.as_ref().unwrap().id;
                let index = usize::try_from(*index).unwrap();
                self.fields[&metadata][index] == name
            }
            None => false,
        });
        match found?.value.as_ref()? {
            Value::StrVal(text) => Some(text.clone()),
            Value::DebugVal(text) => Some(text.trim_matches('"').to_owned()),
            _ => None,
        }
    }

    fn has_all_expected(&self) -> bool {
        EXPECTED.iter().all(|name| self.names.contains(*name))
    }
}

#[tokio::test]
async fn names_all_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, address) = start(folder.path());
    let client = InstrumentClient::connect(format!("http://{address}")).await;
    let request = InstrumentRequest {};
    let updates = client.unwrap().watch_updates(request).await;
    let mut updates = updates.unwrap().into_inner();
    let mut seen = Seen::default();
    let wait = async {
        while !seen.has_all_expected() {
            let update = updates.message().await.unwrap();
            seen.add(update.expect("the console ended"));
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "names of tasks: {:?}", seen.names);
    // Libraries start tasks, too.
    let own = |file: &&String| !file.contains("/.cargo/registry/") && !file.contains("/rustc/");
    let own: Vec<&String> = seen.unnamed.iter().filter(own).collect();
    assert!(own.is_empty(), "tasks without names are started in {own:?}");
}

#[test]
fn refuses_an_address_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = command(folder.path(), &address);
    let mut server = Server(command.spawn().unwrap());
    let mut text = String::new();
    let mut log = server.0.stderr.take().unwrap();
    log.read_to_string(&mut text).unwrap();
    assert_eq!(server.0.wait().unwrap().code(), Some(1));
    let expected = format!(
        "cannot serve tokio-console at {address}: the address is in use by another program"
    );
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains("\nhint: "), "{text}");
}
