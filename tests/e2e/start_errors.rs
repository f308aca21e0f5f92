//! Every reason for which server, worker and executor do not start, as [`crate::messages`] records it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use buildbtw_tests::{Server, Sources, Worker, cli, printed};

use crate::messages::Transcript;

/// Settings of a server that has a data folder and sources.
const SERVER: &str = r"
unknown option               | buildbtw-server run --port 80
no port                      | buildbtw-server run --listen localhost
invalid setting              | BUILDBTW_LISTEN=nowhere buildbtw-server run
lease of 0 seconds           | buildbtw-server run --lease-seconds 0
lease in words               | buildbtw-server run --lease-seconds soon
unknown policy               | buildbtw-server run --network all
port in use                  | buildbtw-server run --listen {address}
metrics port in use          | buildbtw-server run --metrics-listen {address}
data folder in use           | buildbtw-server run --data-dir data
unusable data folder         | buildbtw-server run --data-dir /dev/null/data
missing source folder        | buildbtw-server run --sources-dir nowhere
file as source folder        | buildbtw-server run --sources-dir token
path as URL of sources       | buildbtw-server run --sources-url /srv/sources
missing base repositories    | buildbtw-server run --base-repositories nowhere
invalid base repositories    | buildbtw-server run --base-repositories token
invalid architecture         | buildbtw-server run --architectures x86-64
architecture `any`           | buildbtw-server run --architectures any
architecture given twice     | buildbtw-server run --architectures x86_64,x86_64
URL without scheme           | buildbtw-server run --url build.example.org
URL with user                | buildbtw-server run --url https://user@build.example.org
URL with query               | buildbtw-server run --url https://build.example.org/?a=b
URL with path of the server  | buildbtw-server run --url https://build.example.org/api
URL with empty segment       | buildbtw-server run --url https://build.example.org/a//b
tool without version         | buildbtw-server run --buildtool devtools
reserve larger than the disk | buildbtw-server run --disk-reserve-mib 4294967295
reserve in words             | buildbtw-server run --disk-reserve-mib some
reports without GitLab       | buildbtw-server run --gitlab-report commit-status
pipelines without GitLab     | buildbtw-server run --run-builds-on-gitlab
architectures of no pipeline | buildbtw-server run --gitlab-architectures x86_64
webhook without GitLab       | buildbtw-server run --gitlab-webhook-secret-file token
unknown report               | buildbtw-server run --gitlab-report mail
missing configuration        | buildbtw-server run --config nowhere
folder as configuration      | buildbtw-server run --config sources
configuration without TOML   | buildbtw-server run --config token
unknown setting in file      | buildbtw-server run --config unknown.toml
file named by a variable     | BUILDBTW_SERVER_CONFIG=unknown.toml buildbtw-server check --data-dir data
table in file                | buildbtw-server run --config table.toml
setting of another type      | buildbtw-server run --config type.toml
setting out of range         | buildbtw-server run --config range.toml
secret in place of its file  | buildbtw-server run --config secret.toml
policies in file             | buildbtw-server run --config policies.toml
console without its feature  | buildbtw-server run --tokio-console
console at no address        | buildbtw-server run --tokio-console localhost
invalid log filter           | buildbtw-server run --log a=loud
unknown log format           | buildbtw-server run --log-format xml
invalid OTLP endpoint        | OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318 buildbtw-server run --otlp
unsupported OTLP protocol    | OTEL_EXPORTER_OTLP_PROTOCOL=grpc buildbtw-server run --otlp
unknown trace sampler        | OTEL_TRACES_SAMPLER=sometimes buildbtw-server run --otlp
";

/// Settings of a server whose sources are in GitLab.
const GITLAB: &str = r"
folder and GitLab      | buildbtw-server run --sources-dir sources
URL of another scheme  | buildbtw-server run --gitlab-url ftp://gitlab.example
URL with user          | buildbtw-server run --gitlab-url https://user@gitlab.example
URL with query         | buildbtw-server run --gitlab-url https://gitlab.example/?a=b
invalid group          | buildbtw-server run --gitlab-group a//b
polls every 0 seconds  | buildbtw-server run --gitlab-poll-seconds 0
missing webhook secret | buildbtw-server run --gitlab-webhook-secret-file nowhere
empty webhook secret   | buildbtw-server run --gitlab-webhook-secret-file empty
long webhook secret    | buildbtw-server run --gitlab-webhook-secret-file lines
invalid signing token  | buildbtw-server run --gitlab-webhook-signing-token-file token
";

/// Commands without settings in the environment.
const COMMANDS: &str = r"
no sources                 | buildbtw-server run --data-dir own
GitLab without token       | buildbtw-server run --data-dir own --gitlab-url a --gitlab-group b
template without GitLab    | buildbtw-server gitlab set-ci-config --template a.yml@b
backup of nothing          | buildbtw-server backup --data-dir own copy
existing backup            | buildbtw-server backup --data-dir data token
backup to a missing folder | buildbtw-server backup --data-dir data nowhere/copy
backup into the data       | buildbtw-server backup --data-dir data data/copy
backup of a file           | buildbtw-server backup --data-dir token copy
backup of no database      | buildbtw-server backup --data-dir broken copy
backup after a kill        | buildbtw-server backup --data-dir restoring copy
restore of nothing         | buildbtw-server restore --data-dir own nowhere
restore of a foreign file  | buildbtw-server restore --data-dir fresh token
restore of other files     | buildbtw-server restore --data-dir fresh sources
restore of compressed data | buildbtw-server restore --data-dir fresh backup.tar.gz
restore over other files   | buildbtw-server restore --data-dir data sources
restore into a file        | buildbtw-server restore --data-dir token sources
check of nothing           | buildbtw-server check --data-dir own
check of a running server  | buildbtw-server check --data-dir data
check after a kill         | buildbtw-server check --data-dir restoring
";

/// Settings of a worker that simulates builds, and what the server says to it.
const WORKER: &str = r"
unknown option          | buildbtw-worker run --port 80
no jobs                 | buildbtw-worker run --jobs 0
invalid name            | buildbtw-worker run --name 'my worker'
invalid seconds         | buildbtw-worker run --simulated-seconds soon
negative seconds        | buildbtw-worker run --simulated-seconds=-1
invalid architecture    | buildbtw-worker run --architectures x86-64
architecture `any`      | buildbtw-worker run --architectures any
invalid packager        | buildbtw-worker run --packager 'Unknown Packager'
invalid source network  | buildbtw-worker run --allow-source-network 10.0.0.1/8
file without authority  | buildbtw-worker run --ca token
unknown builder         | buildbtw-worker run --builder docker
unknown scratch disk    | buildbtw-worker run --scratch-disk tape
invalid log filter      | buildbtw-worker run --log a=loud
missing token file      | buildbtw-worker run --token-file nowhere
empty token file        | buildbtw-worker run --token-file empty
empty token             | buildbtw-worker run --token ' '
invalid token           | buildbtw-worker run --token 'two words'
invalid URL             | buildbtw-worker run --server localhost
key without known hosts | buildbtw-worker run --git-ssh-key token
the same in a file      | buildbtw-worker run --config key.toml
missing configuration   | buildbtw-worker run --config nowhere
unknown setting in file | buildbtw-worker run --config unknown.toml
setting of another type | BUILDBTW_WORKER_CONFIG=type.toml buildbtw-worker run
token in a file         | buildbtw-worker run --config secret.toml
missing credentials     | buildbtw-worker run --builder sandbox --git-credentials nowhere
public credentials      | buildbtw-worker run --builder sandbox --git-credentials token
metrics port in use     | buildbtw-worker run --scratch-dir own --metrics-listen {address}
unusable scratch folder | buildbtw-worker run --scratch-dir /dev/null/scratch
scratch folder in use   | buildbtw-worker run --scratch-dir used
no token                | buildbtw-worker run --scratch-dir own
unknown token           | buildbtw-worker run --scratch-dir own --token bbtw_unknown
token of a client       | buildbtw-worker run --scratch-dir own --token {client}
";

/// The executor outside of a job.
const EXECUTOR: &str = r"
unknown command       | buildbtw-executor frobnicate
missing arguments     | buildbtw-executor run
missing settings      | buildbtw-executor check --config nowhere
settings without TOML | buildbtw-executor check --config token
unknown setting       | buildbtw-executor check --config unknown.toml
unknown limit         | buildbtw-executor check --config unknown-limit.toml
setting of a type     | buildbtw-executor check --config type.toml
no server             | buildbtw-executor check --config empty
relative folder       | buildbtw-executor check --config relative.toml
architecture `any`    | buildbtw-executor check --config any.toml
unknown builder       | buildbtw-executor check --config builder.toml
invalid limit         | buildbtw-executor check --config limit.toml
no job                | buildbtw-executor config --config good.toml
missing job           | JOB_RESPONSE_FILE=nowhere buildbtw-executor config --config good.toml
invalid job           | JOB_RESPONSE_FILE=token buildbtw-executor config --config good.toml
metrics port in use   | buildbtw-executor metrics --config good.toml --listen {address}
metrics at no address | buildbtw-executor metrics --config good.toml --listen localhost
";

#[test]
fn server_errors_match_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    for (name, text) in [
        ("token", "bbtw_unknown\n"),
        ("empty", "\n"),
        ("lines", "one\ntwo\n"),
        (
            "unknown.toml",
            "# Sources\ngitlab_ur = 'https://gitlab.example'\n",
        ),
        ("table.toml", "[gitlab]\nurl = 'https://gitlab.example'\n"),
        ("type.toml", "lease_seconds = '90'\n"),
        ("range.toml", "lease_seconds = 0\n"),
        ("secret.toml", "gitlab_token_file = 'glpat-abcdefghij'\n"),
        (
            "policies.toml",
            "network = 'prepare'\nmax_network = 'none'\n",
        ),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let archive = folder.path().join("backup.tar.gz");
    std::fs::write(archive, b"\x1f\x8b\x08\0").unwrap();
    let text = "This is not a database, and longer than the header of one. ".repeat(3);
    for (data, name, text) in [
        ("broken", "buildbtw.sqlite3", &*text),
        ("restoring", "restoring.sqlite3", ""),
    ] {
        std::fs::create_dir(folder.path().join(data)).unwrap();
        std::fs::write(folder.path().join(data).join(name), text).unwrap();
    }
    let server = Server::start(folder.path(), &sources);

    let folder_settings = [
        ("BUILDBTW_DATA_DIR", "own"),
        ("BUILDBTW_SOURCES_DIR", "sources"),
        ("BUILDBTW_LISTEN", "127.0.0.1:0"),
    ];
    let gitlab_settings = [
        ("BUILDBTW_DATA_DIR", "own"),
        ("BUILDBTW_GITLAB_URL", "https://gitlab.example"),
        ("BUILDBTW_GITLAB_GROUP", "packages"),
        ("BUILDBTW_GITLAB_TOKEN_FILE", "token"),
    ];
    for (name, settings, table) in [
        ("server", folder_settings.to_vec(), SERVER),
        ("gitlab", gitlab_settings.to_vec(), GITLAB),
        ("commands", Vec::new(), COMMANDS),
    ] {
        let mut transcript = Transcript::with_server(folder.path(), &server);
        for (variable, value) in settings {
            transcript.set(variable, value);
        }
        transcript.fail(table);
        insta::assert_snapshot!(name, transcript.finish());
    }
}

#[test]
fn worker_errors_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    for (name, text) in [
        ("token", "bbtw_unknown\n"),
        ("empty", "\n"),
        ("key.toml", "git_ssh_key = 'token'\n"),
        ("unknown.toml", "job = 2\n"),
        ("type.toml", "jobs = '2'\n"),
        ("secret.toml", "token = 'bbtw_unknown'\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    }
    let server = Server::start(folder.path(), &sources);
    let output = cli(&server, &["token", "create", "--scope=client", "--name=c"]);
    assert!(output.status.success(), "{}", printed(&output));
    let client = String::from_utf8(output.stdout).unwrap();
    let mut worker = Worker::simulated(&server, &folder.path().join("used"), 1, "0");
    worker.process.wait_for_line("worker started");

    let mut transcript = Transcript::with_server(folder.path(), &server);
    transcript.name("{client}", client.trim());
    for (variable, value) in [
        ("BUILDBTW_WORKER_NAME", "w"),
        ("BUILDBTW_BUILDER", "simulated"),
        ("BUILDBTW_ARCHITECTURES", "x86_64"),
        ("BUILDBTW_LOG", "error"),
    ] {
        transcript.set(variable, value);
    }
    transcript.fail(WORKER);
    insta::assert_snapshot!("worker", transcript.finish());
}

#[test]
fn executor_errors_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let server = "server = 'http://127.0.0.1:1'\n";
    for (name, settings) in [
        ("good.toml", ""),
        ("unknown.toml", "servre = 1"),
        ("unknown-limit.toml", "[limits]\nmemory = 1"),
        ("type.toml", "architectures = 'x86_64'"),
        ("relative.toml", "state_dir = 'state'"),
        ("any.toml", "architectures = ['any']"),
        ("builder.toml", "builder = 'docker'"),
        ("limit.toml", "[limits]\nprocesses = 1"),
    ] {
        let text = format!("{server}{settings}\n");
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("token"), "bbtw_unknown\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut transcript = Transcript::new(folder.path());
    transcript.name("{address}", &other.local_addr().unwrap().to_string());
    transcript.fail(EXECUTOR);
    insta::assert_snapshot!("executor", transcript.finish());
}
