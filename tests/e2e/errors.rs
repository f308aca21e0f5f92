//! Every error of the command line with its hint, as [`crate::messages`] records it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use buildbtw_tests::{Package, Server, Sources, cli, printed};

use crate::messages::Transcript;

/// Errors of the arguments, found before anything else is done.
const ARGUMENTS: &str = r"
unknown command          | buildbtw frobnicate
mistyped command         | buildbtw lst
unknown option           | buildbtw list --colour
missing argument         | buildbtw new
missing option           | buildbtw token create --name w
too many arguments       | buildbtw show one two
invalid pkgbase          | buildbtw new ../main
invalid ref              | buildbtw new libgreet/-x
URL of no merge request  | buildbtw new https://gitlab.example/group
invalid namespace        | buildbtw show Set
reserved namespace       | buildbtw new libgreet/main --name local
unknown scope            | buildbtw new libgreet/main --scope everything
unknown policy           | buildbtw new libgreet/main --network all
unknown format           | buildbtw plan libgreet/main --format svg
unknown field            | buildbtw list --json nmae
broken jq                | buildbtw list --jq '.['
no JSON                  | buildbtw completions bash --jq .
unknown state            | buildbtw show set --state broken
broken --grep            | buildbtw logs set libgreet --grep '('
invalid iteration        | buildbtw diff set/0
unknown shell            | buildbtw completions tcl
unknown choice of colour | buildbtw list --color sometimes
invalid number           | buildbtw show set --iteration first
invalid attempt          | buildbtw logs set libgreet --attempt 1
invalid architecture     | buildbtw plan libgreet/main --arch x86-64
invalid boolean          | buildbtw new-iteration set --same-sonames=perhaps
invalid duration         | buildbtw new libgreet/main --follow-default soon
duration of 0            | buildbtw new libgreet/main --follow-default 0m
long duration            | buildbtw token create --scope worker --name w --expires 9999w
unknown token scope      | buildbtw token create --scope root --name w
token of an attempt      | buildbtw token create --scope attempt --name a
invalid token number     | buildbtw token revoke first
invalid packager         | buildbtw build '--packager=Unknown Packager'
tool without version     | buildbtw build --buildtool devtools
release of an attempt    | buildbtw build set libfoo --pkgrel 2
attempt without package  | buildbtw build --attempt 00000000-0000-7000-8000-000000000000
invalid action           | buildbtw build --missing-keys ask
invalid source network   | buildbtw build --allow-source-network 10.0.0.1/8
invalid date             | SOURCE_DATE_EPOCH=today buildbtw build
repository without URL   | buildbtw build --repository base
repository with path     | buildbtw build --repository base=/srv/base
reserved repository      | buildbtw build --repository local=file:///srv/base
mount of a relative path | buildbtw sandbox --dir root --bind a:b -- true
sandbox without command  | buildbtw sandbox --dir root
";

/// Errors of files on this machine.
const FILES: &str = r"
no .SRCINFO              | buildbtw build nowhere --arch x86_64
folder named .SRCINFO    | buildbtw build folder --arch x86_64
.SRCINFO without pkgbase | buildbtw build nameless --arch x86_64
other architecture       | buildbtw build tree/greet --arch riscv64
shell without a terminal | buildbtw build tree/greet --arch x86_64 --shell
missing source tree      | buildbtw plan greet --srcinfo nowhere
empty source tree        | buildbtw plan greet --srcinfo folder
unknown pkgbase          | buildbtw plan nothing --srcinfo tree
ref in a source tree     | buildbtw plan greet/main --srcinfo tree
unmatched --include      | buildbtw plan greet --srcinfo tree --include 'lib*'
invalid --include        | buildbtw plan greet --srcinfo tree --include '['
invalid --exclude        | buildbtw plan greet --srcinfo tree --exclude '{a'
existing token file      | buildbtw token create --scope worker --name w --output token
unwritable token file    | buildbtw token create --scope worker --name w --output /dev/null/w
";

/// Errors of the login, and of servers that cannot be used.
const CONNECTIONS: &str = r"
no home folder                 | HOME= buildbtw login --token-file token
damaged login                  | XDG_CONFIG_HOME={folder}/damaged buildbtw list
unreadable login               | XDG_CONFIG_HOME={folder}/unreadable buildbtw list
missing token file             | buildbtw login --token-file nowhere
empty token file               | buildbtw login --token-file empty
no token on standard input     | buildbtw login
invalid token                  | 'BUILDBTW_TOKEN=two words' buildbtw list
no URL                         | buildbtw list --server localhost
URL of another scheme          | BUILDBTW_SERVER=ftp://localhost buildbtw list
URL with query                 | buildbtw list --server http://localhost/?a=b
login at an invalid URL        | buildbtw login --server localhost
missing authority              | buildbtw list --ca nowhere
file without authority         | buildbtw list --ca empty
unreachable server             | buildbtw list --server http://127.0.0.1:1
unreachable server, followed   | buildbtw watch set --server http://127.0.0.1:1
login at an unreachable server | buildbtw login --server http://127.0.0.1:1 --token-file token
server without the API         | buildbtw list --server http://{empty}
server of another version      | buildbtw list --server http://{other}
proxy without its server       | buildbtw list --server http://{proxy}
";

/// Requests that need another token.
const TOKENS: &str = r"
no token                    | buildbtw new libfoo/main
no token for an admin       | buildbtw token list
unknown token               | BUILDBTW_TOKEN=bbtw_unknown buildbtw new libfoo/main
token of another scope      | BUILDBTW_TOKEN={worker} buildbtw new libfoo/main
no admin token              | BUILDBTW_TOKEN={worker} buildbtw token list
login with an unknown token | buildbtw login --token-file token
";

/// Requests that the server refuses.
const REQUESTS: &str = r"
unknown pkgbase              | buildbtw new nothing/main
pkgname of a pkgbase         | buildbtw new split-docs/main
mistyped pkgbase             | buildbtw new libfo
mistyped ref                 | buildbtw new libfoo/mian
unknown ref                  | buildbtw new libfoo/nowhere
broken source repository     | buildbtw new broken/main
existing name                | buildbtw new libfoo/main --name set
origin given twice           | buildbtw new libfoo/main libfoo/main
large plan                   | buildbtw new libfoo/main --max-builds 1
unmatched --include          | buildbtw new libfoo/main --include 'haskell-*'
invalid --include            | buildbtw new libfoo/main --include '['
excluded origin              | buildbtw new libfoo/main --exclude 'lib*'
merge request without GitLab | buildbtw new https://gitlab.example/a/b/-/merge_requests/1
architecture of no worker    | buildbtw plan libfoo/main --arch riscv64
unknown namespace            | buildbtw show nowhere
mistyped namespace           | buildbtw show sett
no confirmation              | buildbtw delete set
unknown namespace, followed  | buildbtw watch nowhere
unknown namespace, deleted   | buildbtw delete nowhere --yes
unknown iteration            | buildbtw show set --iteration 9
unknown build                | buildbtw logs set other
unknown stage                | buildbtw logs set libfoo --stage 2
unknown attempt              | buildbtw logs set libfoo --attempt 00000000-0000-7000-8000-000000000000
no log of a ready build      | buildbtw logs set libfoo
no log of a blocked build    | buildbtw logs set top
build of another package     | buildbtw build set other
build without an attempt     | buildbtw build set libfoo
build of an unknown attempt  | buildbtw build set libfoo --attempt 00000000-0000-7000-8000-000000000000
reason for another package   | buildbtw why set other
retry without failures       | buildbtw retry set
retry of a ready build       | buildbtw retry set libfoo
retry of another package     | buildbtw retry set other
resume of a running rebuild  | buildbtw resume set
unnamed token                | buildbtw token create --scope worker --name ''
unknown token number         | buildbtw token revoke 99
last admin token             | buildbtw token revoke 1
";

/// Requests for a cancelled namespace.
const CANCELLED: &str = r"
retry of a cancelled rebuild         | buildbtw retry set
new iteration of a cancelled rebuild | buildbtw new-iteration set
no log of a cancelled rebuild        | buildbtw logs set libfoo
";

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Starts a web server that gives every request the same response, and returns its address.
fn web_server(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // A request without a body ends in an empty line.
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let _ = lines.map_while(Result::ok).find(String::is_empty);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    address
}

#[test]
fn argument_errors_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::new(folder.path());
    transcript.fail(ARGUMENTS);
    insta::assert_snapshot!("arguments", transcript.finish());
}

#[test]
fn file_errors_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let package =
        "pkgbase = greet\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = greet\n";
    write(folder.path(), "tree/greet/.SRCINFO", package);
    write(folder.path(), "nameless/.SRCINFO", "pkgver = 1\n");
    write(folder.path(), "token", "bbtw_unknown\n");
    std::fs::create_dir_all(folder.path().join("folder/.SRCINFO")).unwrap();
    let mut transcript = Transcript::new(folder.path());
    transcript.fail(FILES);
    insta::assert_snapshot!("files", transcript.finish());
}

#[test]
fn connection_errors_match_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "token", "bbtw_unknown\n");
    write(folder.path(), "empty", "\n");
    write(folder.path(), "damaged/buildbtw/config.toml", "server = [");
    let unreadable = folder.path().join("unreadable/buildbtw/config.toml");
    std::fs::create_dir_all(unreadable).unwrap();
    let mut transcript = Transcript::new(folder.path());
    for (name, response) in [
        (
            "{empty}",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        (
            "{other}",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        ),
        (
            "{proxy}",
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n",
        ),
    ] {
        transcript.name(name, &web_server(response));
    }
    transcript.fail(CONNECTIONS);
    insta::assert_snapshot!("connections", transcript.finish());
}

#[test]
fn refusals_match_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "token", "bbtw_unknown\n");
    let sources = Sources::with_a_library(folder.path());
    sources.commit_text("broken", "pkgver = 1\n");
    sources.commit(&Package {
        pkgbase: "split",
        pkgver: "1",
        base: &[],
        packages: &[("split", &[]), ("split-docs", &[])],
    });
    let server = Server::start(folder.path(), &sources);
    let output = cli(&server, &["new", "libfoo/main", "--name=set"]);
    assert!(output.status.success(), "{}", printed(&output));
    let output = cli(&server, &["token", "create", "--scope=worker", "--name=w"]);
    let worker = String::from_utf8(output.stdout).unwrap();

    let mut transcript = Transcript::with_server(folder.path(), &server);
    transcript.name("{worker}", worker.trim());
    transcript.fail(TOKENS);
    insta::assert_snapshot!("tokens", transcript.finish());

    let mut transcript = Transcript::with_server(folder.path(), &server);
    transcript.set("BUILDBTW_TOKEN", &server.admin_token());
    transcript.fail(REQUESTS);
    let output = cli(&server, &["cancel", "set"]);
    assert!(output.status.success(), "{}", printed(&output));
    transcript.fail(CANCELLED);
    insta::assert_snapshot!("requests", transcript.finish());
}
