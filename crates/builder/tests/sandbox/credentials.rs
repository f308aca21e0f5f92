//! Credentials of git on a worker: in memory while a commit is fetched, and nowhere afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_builder::{BuildRequest, Source};
use buildbtw_model::FailureKind;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Fixture, chmod};

const PASSWORD: &str = "a-password-of-this-test";
/// How long git may take to send a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the headers of a request.
async fn request_of(stream: &mut BufReader<TcpStream>) -> String {
    let mut text = String::new();
    loop {
        let before = text.len();
        let length = stream.read_line(&mut text).await.unwrap();
        if length <= 2 || text.len() == before {
            return text.to_lowercase();
        }
    }
}

/// Rejects all credentials. Returns what `check` finds while git waits for the response to a request
/// that has some.
async fn refuse<T>(listener: &TcpListener, check: impl Fn() -> T) -> T {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let request = request_of(&mut stream).await;
        let found = request.contains("authorization: basic ").then(&check);
        let response = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(response).await.unwrap();
        stream.shutdown().await.unwrap();
        if let Some(found) = found {
            return found;
        }
    }
}

/// Returns the `/proc` folder of the process that is connected to this address.
fn client_of(url: &str) -> PathBuf {
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    let found = processes.map(|entry| entry.path()).find(|process| {
        let arguments = fs_err::read(process.join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        arguments.contains("git-remote-http") && arguments.contains(url)
    });
    found.unwrap()
}

/// Returns the mount points of a sandbox whose last component is this, with the types of the mounted file
/// systems.
fn mounts_at(process: &Path, name: &str) -> Vec<(PathBuf, String)> {
    let mounts = fs_err::read_to_string(process.join("mountinfo")).unwrap();
    let mounts = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let place = Path::new(place.split(' ').nth(4)?).to_owned();
        Some((place, kind.split(' ').next()?.to_owned()))
    });
    mounts
        .filter(|(place, _)| place.starts_with("/run/buildbtw-sandbox") && place.ends_with(name))
        .collect()
}

/// Returns the files below a folder, as a process sees it, that contain the password, those on mounts below it
/// included.
fn with_password(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            found.extend(with_password(&path));
        } else if metadata.is_file() {
            let bytes = fs_err::read(&path).unwrap();
            if String::from_utf8_lossy(&bytes).contains(PASSWORD) {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn keeps_credentials_in_memory_only_while_git_runs() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let url = format!("http://{host}/x.git");
    let own = fixture.path("credentials");
    let text = format!("http://worker:{PASSWORD}@{host}\n");
    fs_err::write(&own, &text).unwrap();
    chmod(&own, 0o600);
    fixture.configure(|config| config.git.credentials = Some(own.clone()));
    let source = Source::Git {
        url: url.clone(),
        commit: "1".repeat(40).parse().unwrap(),
    };
    let request = BuildRequest::new("secret".parse().unwrap(), "x86_64".parse().unwrap(), source);
    let check = || {
        let process = client_of(&url);
        let mounts = mounts_at(&process, "secrets");
        let [(folder, kind)] = &mounts[..] else {
            panic!("{mounts:?}");
        };
        assert_eq!(kind, "tmpfs");
        let inside = |path: &Path| process.join("root").join(path.strip_prefix("/").unwrap());
        let copy = inside(folder).join("git-credentials");
        assert_eq!(fs_err::read_to_string(&copy).unwrap(), text);
        assert_eq!(statfs(&copy).unwrap().filesystem_type(), TMPFS_MAGIC);
        // All files that the build has on its disk are around it.
        with_password(&inside(folder.parent().unwrap())) == [copy]
    };
    let refused = tokio::time::timeout(PATIENCE, refuse(&listener, check));
    let (failed, is_only_there) = tokio::join!(fixture.fails(&request), refused);
    assert!(is_only_there.unwrap());
    let (kind, message, log) = failed;
    assert_eq!(kind, FailureKind::Infrastructure, "{message} {log}");
    for text in [&message, &log] {
        assert!(!text.contains(PASSWORD), "{message} {log}");
    }
    // Git erases rejected credentials from the file it was given: the operator's own file stays.
    assert_eq!(fs_err::read_to_string(&own).unwrap(), text);
    assert_eq!(with_password(fixture.folder.path()), [own]);
}
